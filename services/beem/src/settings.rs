//! The settings of a process: which services it runs, where their data is, how it reaches the others, and its keys. In
//! the embedded shape all of it has defaults; in a cluster each process has a file (see `beem keygen --cluster`).

use beem_authz::AuthzSettings;
use beem_database::DatabaseSettings;
use beem_gateway::GatewaySettings;
use beem_hooks::HooksSettings;
use beem_identity::IdentitySettings;
use beem_ledger::LedgerSettings;
use beem_mail::MailSettings;
use beem_settings::Secret;
use beem_telemetry::TelemetrySettings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Every service of this build, in the order in which they are built: a service comes after those it calls.
pub const SERVICES: [&str; 5] = ["authz", "identity", "ledger", "hooks", "gateway"];

/// Everything a process can be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What this process runs. Empty: everything.
    pub services: Vec<String>,
    /// sandbox or live; at the first start only. Empty: sandbox at the first start, afterwards what it was.
    pub environment: String,
    /// Where the embedded shape keeps its files.
    pub data_dir: PathBuf,
    pub gateway: GatewaySettings,
    pub identity: IdentitySettings,
    pub authz: AuthzSettings,
    pub ledger: LedgerSettings,
    pub hooks: HooksSettings,
    /// Per service: its database. Absent: one SQLite file in the data directory.
    pub database: BTreeMap<String, DatabaseUrl>,
    /// Standings, limits and replay store. Absent: in this process, which is right only when it is the only gateway.
    pub redis: Option<RedisSettings>,
    /// Services of other processes: `https://identity.internal:7001`.
    pub peers: BTreeMap<String, String>,
    /// The listener other processes reach this one's services by. Absent in the embedded shape.
    pub grpc: Option<GrpcSettings>,
    /// Address and port of `/healthz`, `/readyz` and `/metrics` for operators. Absent: none.
    pub admin_listen: Option<String>,
    pub keys: KeySettings,
    pub sealing: SealingSettings,
    pub mail: MailSettings,
    /// An installation's own services, which may call the methods named.
    pub internal_services: Vec<InternalService>,
    pub telemetry: TelemetrySettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            environment: String::new(),
            data_dir: ".beem".into(),
            gateway: GatewaySettings::default(),
            identity: IdentitySettings::default(),
            authz: AuthzSettings::default(),
            ledger: LedgerSettings::default(),
            hooks: HooksSettings::default(),
            database: BTreeMap::new(),
            redis: None,
            peers: BTreeMap::new(),
            grpc: None,
            admin_listen: None,
            keys: KeySettings::default(),
            sealing: SealingSettings::default(),
            mail: MailSettings::default(),
            internal_services: Vec::new(),
            telemetry: TelemetrySettings::default(),
        }
    }
}

/// `[database.identity]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseUrl {
    /// `postgres://…` or `sqlite:PATH`. Secret, because it may hold a password.
    pub url: Secret<String>,
    /// Connections at most; absent is the default of `beem_database`.
    pub max_connections: Option<u32>,
}

impl DatabaseUrl {
    #[must_use]
    pub fn settings(&self) -> DatabaseSettings {
        let mut settings = DatabaseSettings::at(self.url.expose());
        if let Some(max) = self.max_connections {
            settings.max_connections = max;
        }
        settings
    }
}

/// `[redis]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://`, `rediss://` or `redis+unix://`.
    pub url: Secret<String>,
    /// Before every key, so that installations can share a server.
    pub key_prefix: String,
}

/// `[grpc]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcSettings {
    /// Absent for a process that only calls: a gateway, `beem admin`.
    #[serde(default)]
    pub listen: Option<String>,
    /// Mutual TLS. Absent: clear text, for a network that is protected otherwise.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
}

/// `[grpc.tls]`: PEM files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose signatures peers must carry.
    pub authority: PathBuf,
}

/// `[keys]`: 32 bytes each, base64. Absent keys are drawn at the start, which is right only when one process runs all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeySettings {
    /// Ed25519 seeds of the services this process runs, by service; `admin` for `beem admin`.
    pub service: BTreeMap<String, Secret<String>>,
    /// Ed25519 public keys of every service, by name: one, or two while they rotate.
    pub issuers: BTreeMap<String, Vec<String>>,
    /// HMAC keys the gateway seals actors with, by audience: one, or two while they rotate; the first seals.
    pub actor: BTreeMap<String, Vec<Secret<String>>>,
    /// Ed25519 seed authz signs standings with.
    pub standing: Option<Secret<String>>,
    /// Its public key, and the previous one while they rotate.
    pub standing_public: Vec<String>,
    /// Ed25519 seed the ledger signs the heads of the books with.
    pub ledger: Option<Secret<String>>,
}

/// `[sealing]`: the key that secrets in the databases are sealed with; 32 bytes, base64. Either in the settings or in a
/// file; the embedded shape makes `sealing.keys` in its data directory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SealingSettings {
    /// The current key, and the one before while they rotate.
    pub keys: Vec<Secret<String>>,
    /// The same, one a line; looked at each second.
    pub key_file: Option<PathBuf>,
}

/// `[[internal_services]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InternalService {
    pub name: String,
    /// Ed25519 public keys, base64: one, or two while they rotate.
    pub public_keys: Vec<String>,
    /// gRPC paths: `/beem.authz.v1.Standings/Check`.
    pub methods: Vec<String>,
}

impl Settings {
    /// The services this process runs, in building order.
    ///
    /// # Errors
    /// The name of a service that does not exist.
    pub fn running(&self) -> Result<Vec<&'static str>, String> {
        if let Some(unknown) = self.services.iter().find(|s| !SERVICES.contains(&s.as_str())) {
            return Err(format!(
                "services: there is no service {unknown}; there are {}",
                SERVICES.join(", ")
            ));
        }
        let all = self.services.is_empty();
        Ok(SERVICES.into_iter().filter(|s| all || self.services.iter().any(|w| w == s)).collect())
    }

    /// Whether this process is the whole installation.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.services.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn keys(value: &Value, path: &str, out: &mut Vec<String>) {
        let Value::Object(members) = value else { return };
        for (name, member) in members {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            keys(member, &path, out);
            out.push(path);
        }
    }

    /// The file in `deploy/` is what people read: it has every key that has a default, with that default.
    #[test]
    fn the_documented_settings_are_the_defaults() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/config/beem.toml");
        let loaded: Settings = beem_settings::load(Some(&file), &[]).unwrap();
        let (loaded, default) =
            (serde_json::to_value(loaded).unwrap(), serde_json::to_value(Settings::default()).unwrap());
        assert_eq!(loaded, default);
        let written: toml::Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        let mut there = Vec::new();
        keys(&serde_json::to_value(written).unwrap(), "", &mut there);
        let mut wanted = Vec::new();
        keys(&default, "", &mut wanted);
        let without_default = [
            "redis",
            "grpc",
            "admin_listen",
            "database",
            "peers",
            "internal_services",
            "keys.standing",
            "keys.ledger",
            "sealing.key_file",
            "mail.folder",
            "mail.smtp",
            "telemetry.otlp_endpoint",
        ];
        let missing: Vec<_> =
            wanted.iter().filter(|k| !there.contains(k) && !without_default.contains(&k.as_str())).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn a_service_that_does_not_exist_is_named() {
        let settings = Settings { services: vec!["ledgre".into()], ..Settings::default() };
        assert!(settings.running().unwrap_err().contains("ledgre"));
    }
}
