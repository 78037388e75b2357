//! The files of a cluster: for each process its settings with its own keys, and certificates of one authority. Every
//! process gets what it needs and no more: only the gateway's file has all actor keys, only authz's the key of standings,
//! and each service that seals secrets has a sealing key of its own.

use crate::data_dir::{private_dir, write_private};
use crate::sealing_keys::KEEPERS;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beem_clock::Entropy;
use ed25519_dalek::SigningKey;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What a cluster is to look like.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Public listeners, one a gateway.
    pub gateways: Vec<String>,
    /// Service → where it listens.
    pub services: BTreeMap<String, String>,
    /// Service → its database.
    pub databases: BTreeMap<String, String>,
    pub redis: Option<String>,
    /// Process → its admin port.
    pub admin: BTreeMap<String, String>,
    pub public_origins: Vec<String>,
    /// sandbox or live; empty: sandbox, since nothing was there before.
    pub environment: String,
}

/// One process to be.
struct Process {
    /// The file's name: `gateway-1`.
    file: String,
    /// The identity it calls as.
    service: String,
    listen: Option<String>,
}

/// Writes all files; answers with their names.
///
/// # Errors
/// When the directory has files of a cluster already, or cannot be written.
pub fn write(dir: &Path, plan: &Plan) -> Result<Vec<PathBuf>> {
    private_dir(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let authority_file = dir.join("authority.pem");
    if authority_file.exists() {
        bail!("{} has the files of a cluster already", dir.display());
    }
    let entropy = Entropy::System;
    let names: Vec<&str> = plan.services.keys().map(String::as_str).chain(["gateway", "admin"]).collect();
    let seeds: BTreeMap<&str, [u8; 32]> = names.iter().map(|n| (*n, entropy.bytes())).collect();
    let secrets = Secrets {
        issuers: seeds.iter().map(|(n, seed)| ((*n).to_owned(), array([public(seed)]))).collect(),
        actor: plan.services.keys().map(|n| (n.clone(), STANDARD.encode(entropy.bytes::<32>()))).collect(),
        seeds: seeds.iter().map(|(n, seed)| ((*n).to_owned(), STANDARD.encode(seed))).collect(),
        standing_public: public(seeds.get("authz").context("a cluster has authz")?),
        sealing: KEEPERS.map(|n| (n, STANDARD.encode(entropy.bytes::<32>()))).into(),
        ledger: STANDARD.encode(entropy.bytes::<32>()),
    };
    let authority = authority()?;
    let mut written = vec![authority_file.clone()];
    for process in processes(plan) {
        let (certificate, key) =
            (dir.join(format!("{}.cert.pem", process.file)), dir.join(format!("{}.key.pem", process.file)));
        let (certificate_pem, key_pem) = certify(&authority, &process.service)?;
        write_private(&certificate, certificate_pem.as_bytes())?;
        write_private(&key, key_pem.as_bytes())?;
        let settings = settings(plan, &secrets, &process, [&certificate, &key, &authority_file], dir)?;
        let file = dir.join(format!("{}.toml", process.file));
        write_private(&file, settings.to_string().as_bytes())?;
        written.push(file);
    }
    write_private(&authority_file, authority.pem().as_bytes())?;
    Ok(written)
}

/// All keys of the cluster, base64.
struct Secrets {
    issuers: Table,
    actor: BTreeMap<String, String>,
    seeds: BTreeMap<String, String>,
    standing_public: String,
    sealing: BTreeMap<&'static str, String>,
    /// Signs the heads of the books: another one than the service's, which may change at any time.
    ledger: String,
}

fn processes(plan: &Plan) -> Vec<Process> {
    let process = |file: String, service: &str, listen| Process { file, service: service.to_owned(), listen };
    let gateways =
        plan.gateways.iter().zip(1..).map(|(_, n)| process(format!("gateway-{n}"), "gateway", None));
    let services = plan.services.iter().map(|(name, at)| process(name.clone(), name, Some(at.clone())));
    gateways.chain(services).chain([process("admin".into(), "admin", None)]).collect()
}

fn settings(
    plan: &Plan,
    secrets: &Secrets,
    process: &Process,
    tls: [&PathBuf; 3],
    dir: &Path,
) -> Result<Table> {
    let [certificate, key, authority] = tls.map(|path| text(path.display()));
    let tls = table([("certificate", certificate), ("key", key), ("authority", authority)]);
    let mut grpc = table([("tls", Value::Table(tls))]);
    if let Some(listen) = &process.listen {
        grpc.insert("listen".into(), text(listen));
    }
    let peers = plan.services.iter().filter(|(name, _)| **name != process.service);
    let peers: Table = peers.map(|(name, at)| (name.clone(), text(format_args!("https://{at}")))).collect();
    let mut all = table([
        ("data_dir", text(dir.join("data").display())),
        ("grpc", Value::Table(grpc)),
        ("peers", Value::Table(peers)),
        ("keys", Value::Table(keys(secrets, &process.service)?)),
    ]);
    if process.service != "admin" {
        all.insert("services".into(), array([process.service.clone()]));
    }
    if let Some(redis) =
        plan.redis.as_ref().filter(|_| ["gateway", "authz"].contains(&process.service.as_str()))
    {
        all.insert(
            "redis".into(),
            Value::Table(table([("url", text(redis)), ("key_prefix", text("beem:"))])),
        );
    }
    if let Some(url) = plan.databases.get(&process.service) {
        let database = table([("url", text(url))]);
        all.insert(
            "database".into(),
            Value::Table(table([(process.service.as_str(), Value::Table(database))])),
        );
    }
    if ["identity", "ledger"].contains(&process.service.as_str()) {
        let environment = if plan.environment.is_empty() { "sandbox" } else { &plan.environment };
        all.insert("environment".into(), text(environment));
    }
    if let Some(key) = secrets.sealing.get(process.service.as_str()) {
        all.insert("sealing".into(), Value::Table(table([("keys", array([key.clone()]))])));
        // Until an SMTP server is named (`mail.smtp`), mail lies here.
        all.insert("mail".into(), Value::Table(table([("folder", text(dir.join("mail").display()))])));
    }
    if let Some(listen) = plan.admin.get(&process.file) {
        all.insert("admin_listen".into(), text(listen));
    }
    if let Some(gateway) = gateway(plan, process) {
        all.insert("gateway".into(), Value::Table(gateway));
    }
    Ok(all)
}

/// `admin` and identity get the origins, too: the credentials and mails they write name them.
fn gateway(plan: &Plan, process: &Process) -> Option<Table> {
    let listen = match process.service.as_str() {
        "gateway" => {
            let number = process.file.strip_prefix("gateway-").and_then(|n| n.parse::<usize>().ok());
            number.and_then(|n| plan.gateways.get(n.checked_sub(1)?))
        }
        "admin" | "identity" => plan.gateways.first(),
        _ => None,
    };
    let mut gateway = table([("listen", text(listen?))]);
    if !plan.public_origins.is_empty() {
        gateway.insert("public_origins".into(), array(plan.public_origins.iter().cloned()));
    }
    Some(gateway)
}

fn keys(secrets: &Secrets, service: &str) -> Result<Table> {
    let seed = secrets.seeds.get(service).with_context(|| format!("no key for {service}"))?;
    let mut keys = table([
        ("service", Value::Table(table([(service, text(seed))]))),
        ("issuers", Value::Table(secrets.issuers.clone())),
    ]);
    // The gateway seals for everyone; a service opens what is meant for it.
    let actor = secrets.actor.iter().filter(|(name, _)| service == "gateway" || *name == service);
    let actor: Table = actor.map(|(name, key)| (name.clone(), array([key.clone()]))).collect();
    keys.insert("actor".into(), Value::Table(actor));
    if service == "authz" {
        keys.insert("standing".into(), text(seed));
    }
    if service == "ledger" {
        keys.insert("ledger".into(), text(&secrets.ledger));
    }
    if ["gateway", "authz", "admin"].contains(&service) {
        keys.insert("standing_public".into(), array([secrets.standing_public.clone()]));
    }
    Ok(keys)
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "BEEM cluster authority");
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// A certificate for a service, whose name callers hold it to. PEM of both.
fn certify(authority: &CertifiedIssuer<'static, KeyPair>, service: &str) -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![service.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, service);
    let certificate = params.signed_by(&key, authority)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn public(seed: &[u8; 32]) -> String {
    STANDARD.encode(SigningKey::from_bytes(seed).verifying_key().as_bytes())
}

fn text(value: impl std::fmt::Display) -> Value {
    Value::String(value.to_string())
}

fn array(values: impl IntoIterator<Item = String>) -> Value {
    Value::Array(values.into_iter().map(Value::String).collect())
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;
    use crate::settings::Settings;
    use beem_clock::Clock;

    #[test]
    fn every_process_gets_settings_it_can_use_and_no_more_than_it_needs() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan {
            gateways: vec!["127.0.0.1:1".into(), "127.0.0.1:2".into()],
            services: [("identity", 3), ("authz", 4), ("ledger", 5), ("hooks", 6)]
                .map(|(name, port)| (name.to_owned(), format!("127.0.0.1:{port}")))
                .into(),
            databases: [("identity".to_owned(), "sqlite:x".to_owned())].into(),
            redis: Some("redis://localhost".into()),
            ..Plan::default()
        };
        let files = write(dir.path(), &plan).unwrap();
        assert!(write(dir.path(), &plan).is_err(), "a cluster's files are not written over");
        let load = |name: &str| -> Settings {
            let file = dir.path().join(format!("{name}.toml"));
            assert!(files.contains(&file));
            beem_settings::load(Some(&file), &[]).unwrap()
        };
        for name in ["gateway-1", "gateway-2", "identity", "authz", "ledger", "hooks", "admin"] {
            let settings = load(name);
            Keys::from_settings(&settings, &Clock::System).unwrap();
            settings.running().unwrap();
        }
        assert_eq!(load("gateway-2").gateway.listen, "127.0.0.1:2");
        assert_eq!(load("gateway-1").keys.actor.len(), 4);
        assert_eq!(
            (load("ledger").environment.as_str(), load("authz").environment.as_str()),
            ("sandbox", "")
        );
        assert!(load("ledger").keys.ledger.is_some() && load("identity").keys.ledger.is_none());
        assert_eq!(load("identity").keys.actor.len(), 1);
        assert!(load("gateway-1").keys.standing.is_none() && load("authz").keys.standing.is_some());
        assert!(load("identity").redis.is_none());
        let [of_identity, of_hooks] = KEEPERS.map(|name| load(name).sealing.keys);
        assert_eq!((of_identity.len(), of_hooks.len()), (1, 1));
        assert_ne!(of_identity[0].expose(), of_hooks[0].expose());
        assert!(KEEPERS.iter().all(|name| load(name).mail.folder.is_some()));
        assert!(load("admin").sealing.keys.is_empty() && load("authz").sealing.keys.is_empty());
    }
}
