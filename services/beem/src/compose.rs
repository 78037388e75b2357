//! A process, put together: keys, stores, services in the order in which they call each other, each behind its guard, and
//! the ways between them. What runs here and what elsewhere is the settings' to say; the services cannot tell.

use crate::data_dir::DataDir;
use crate::keys::{self, Keys, Lasting};
use crate::links::{FEEDS, Links};
use crate::sealing_keys;
use crate::settings::{SERVICES, Settings};
use anyhow::{Context, Result};
use beem_cache::{StandingCache, VerifiedStandings, Verifier};
use beem_clock::{Clock, Entropy};
use beem_database::{Database, DatabaseSettings};
use beem_gateway::pages::PublishedKey;
use beem_gateway::standings::FromAuthz;
use beem_gateway::{Gateway, GatewayDeps};
use beem_limits::{Limiter, ReplayStore};
use beem_mail::MailSettings;
use beem_proto::Contract;
use beem_proto::identity::v1::GetInstallationRequest;
use beem_proto::identity::v1::directory_client::DirectoryClient;
use beem_redis::Redis;
use beem_runtime::{GuardSettings, Ready, Service, Task, guarded};
use beem_sealing::Sealing;
use beem_settings::Environment;
use beem_telemetry::Telemetry;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Buckets and used signatures kept in process.
const LIMITS_KEPT: u64 = 100_000;
const REPLAY_KEPT: usize = 1_000_000;

/// Standings kept in process, when there is no Redis.
const STANDINGS_KEPT: u64 = 100_000;

/// Between two looks for a peer that is away at the start.
const PEER_PAUSE: Duration = Duration::from_millis(200);

/// What everything in a process shares.
pub struct House {
    pub settings: Settings,
    pub contract: Contract,
    pub keys: Keys,
    pub clock: Clock,
    pub entropy: Entropy,
    pub telemetry: Telemetry,
    pub data_dir: Option<DataDir>,
    /// Where callers find the gateway, once it listens; mails name it.
    pub origin: Arc<OnceLock<String>>,
    stores: Stores,
}

/// Standings, limits, used signatures: in Redis, or in this process.
struct Stores {
    standings: StandingCache,
    limiter: Limiter,
    replay: ReplayStore,
}

/// The services of a process that stand behind guards.
#[derive(Default)]
pub struct Behind {
    pub tasks: Vec<Task>,
    pub ready: Vec<(&'static str, Ready)>,
    pub grpc_names: Vec<&'static str>,
    /// Of all that store secrets here, once the first of them has asked for it.
    sealing: Option<Sealing>,
}

impl House {
    /// Everything that needs no other process.
    ///
    /// # Errors
    /// Settings that contradict themselves, a data directory that is taken.
    pub fn found(settings: Settings, telemetry: Telemetry) -> Result<Self> {
        let (clock, entropy) = (Clock::System, Entropy::System);
        let running = settings.running().map_err(anyhow::Error::msg)?;
        let files = running.iter().any(|s| *s != "gateway" && !settings.database.contains_key(*s));
        let data_dir =
            if settings.is_embedded() || files { Some(DataDir::open(&settings.data_dir)?) } else { None };
        let keys = match &data_dir {
            Some(dir) if settings.is_embedded() && settings.keys.service.is_empty() => {
                let names: Vec<&str> = SERVICES.into_iter().chain(["admin"]).collect();
                let lasting = Lasting {
                    standing: keys::lasting_key(&dir.file(keys::STANDING_FILE), &entropy)?,
                    ledger: keys::lasting_key(&dir.file(keys::LEDGER_FILE), &entropy)?,
                };
                Keys::drawn(&names, lasting, &clock, &entropy)
            }
            Some(_) | None => Keys::from_settings(&settings, &clock)?,
        };
        let stores = Stores::found(&settings)?;
        let contract = Contract::load()?;
        let origin = Arc::default();
        Ok(Self { settings, contract, keys, clock, entropy, telemetry, data_dir, origin, stores })
    }

    /// Builds the services of this process that stand behind guards, and adds them to `links`.
    ///
    /// # Errors
    /// When a service cannot be built. A database that is away is waited for.
    pub async fn services(&self, links: &mut Links<'_>) -> Result<Behind> {
        let mut behind = Behind::default();
        for name in self.settings.running().map_err(anyhow::Error::msg)? {
            let service = match name {
                "authz" => self.authz().await?,
                "identity" => self.identity(links, self.sealing(&mut behind)?).await?,
                "ledger" => self.ledger(links).await?,
                "hooks" => self.hooks(links, self.sealing(&mut behind)?).await?,
                _ => continue,
            };
            links.add(name, guarded(service.routes, self.guard(name)));
            behind.tasks.extend(service.tasks);
            behind.ready.push((name, service.ready));
            behind.grpc_names.extend(service.grpc_names);
        }
        Ok(behind)
    }

    async fn authz(&self) -> Result<Service> {
        let signing_key =
            self.keys.standing.clone().context("keys.standing: authz signs standings with it")?;
        let deps = beem_authz::AuthzDeps {
            database: self.database("authz").await?,
            cache: self.stores.standings.clone(),
            signing_key,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            telemetry: self.telemetry.clone(),
        };
        beem_authz::build(self.settings.authz.clone(), deps).await.context("authz")
    }

    async fn identity(&self, links: &Links<'_>, sealing: Sealing) -> Result<Service> {
        let deps = beem_identity::IdentityDeps {
            database: self.database("identity").await?,
            authz: links.link("identity", "authz")?,
            sealing,
            mail: self.mail()?,
            origin: self.link_origin(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            telemetry: self.telemetry.clone(),
            environment: self.wanted_environment()?,
        };
        beem_identity::build(self.settings.identity.clone(), deps).await.context("identity")
    }

    async fn ledger(&self, links: &Links<'_>) -> Result<Service> {
        let signing_key =
            self.keys.ledger.clone().context("keys.ledger: the heads of the books are signed with it")?;
        let deps = beem_ledger::LedgerDeps {
            database: self.database("ledger").await?,
            authz: links.link("ledger", "authz")?,
            signing_key,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            telemetry: self.telemetry.clone(),
            environment: self.wanted_environment()?,
        };
        beem_ledger::build(self.settings.ledger.clone(), deps).await.context("ledger")
    }

    async fn hooks(&self, links: &Links<'_>, sealing: Sealing) -> Result<Service> {
        let feed = |source: &'static str| Ok((source, links.link("hooks", source)?));
        let deps = beem_hooks::HooksDeps {
            database: self.database("hooks").await?,
            authz: links.link("hooks", "authz")?,
            identity: links.link("hooks", "identity")?,
            feeds: FEEDS.into_iter().map(feed).collect::<Result<_>>()?,
            sealing,
            mail: self.mail()?,
            resolver: None,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            telemetry: self.telemetry.clone(),
        };
        beem_hooks::build(self.settings.hooks.clone(), deps).await.context("hooks")
    }

    /// What secrets of this process are sealed with: one for all its services, and one task that follows the file.
    fn sealing(&self, behind: &mut Behind) -> Result<Sealing> {
        if let Some(sealing) = &behind.sealing {
            return Ok(sealing.clone());
        }
        let (sealing, file) =
            sealing_keys::found(&self.settings.sealing, self.data_dir.as_ref(), &self.entropy)?;
        behind.tasks.extend(file.map(|file| sealing_keys::follow(sealing.clone(), file)));
        behind.sealing = Some(sealing.clone());
        Ok(sealing)
    }

    /// What the settings say this installation is. Each service that keeps it holds it against what it was made as.
    fn wanted_environment(&self) -> Result<Option<Environment>> {
        let wanted = self.settings.environment.as_str();
        Ok(if wanted.is_empty() { None } else { Some(wanted.parse()?) })
    }

    /// How mail goes out: as the settings say, else into a folder of the data directory.
    fn mail(&self) -> Result<MailSettings> {
        let mut mail = self.settings.mail.clone();
        if mail.smtp.is_none() && mail.folder.is_none() {
            let dir = self.data_dir.as_ref().context(
                "mail.smtp or mail.folder is needed: people are invited, and told of their hooks, by mail",
            )?;
            mail.folder = Some(dir.file("mail"));
        }
        Ok(mail)
    }

    /// What links in mails begin with: the public origin, or where the gateway of this process listens.
    fn link_origin(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let origin = Arc::clone(&self.origin);
        let gateway = &self.settings.gateway;
        let configured = gateway.public_origins.first().cloned();
        let configured = configured.unwrap_or_else(|| format!("http://{}", gateway.listen));
        Arc::new(move || origin.get().unwrap_or(&configured).clone())
    }

    /// The gateway, once identity has told which environment this is.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub async fn gateway(
        &self,
        links: &Links<'_>,
        listen: SocketAddr,
        ready: Ready,
    ) -> Result<(Gateway, Vec<Task>)> {
        let all = links.all_from("gateway")?;
        let identity = links.link("gateway", "identity")?;
        let environment = environment(DirectoryClient::new(identity)).await;
        let standings = VerifiedStandings::new(
            self.stores.standings.clone(),
            Arc::new(FromAuthz(links.link("gateway", "authz")?)),
            Verifier::new(self.keys.standing_public.clone()),
            self.clock.clone(),
        );
        let deps = GatewayDeps {
            contract: self.contract.clone(),
            links: all,
            sealer: self.keys.sealer(),
            standings,
            limiter: self.stores.limiter.clone(),
            replay: self.stores.replay.clone(),
            environment,
            public_keys: self.published(),
            ready,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            telemetry: self.telemetry.clone(),
        };
        Ok(beem_gateway::build(&self.settings.gateway, listen, deps)?)
    }

    fn guard(&self, name: &str) -> GuardSettings {
        let internal = self.settings.internal_services.iter();
        GuardSettings {
            service: name.to_owned(),
            contract: self.contract.clone(),
            issuers: self.keys.issuers(name),
            opener: self.keys.opener(name),
            extra_methods: internal.map(|s| (s.name.clone(), s.methods.clone())).collect(),
            clock: self.clock.clone(),
            telemetry: self.telemetry.clone(),
        }
    }

    async fn database(&self, name: &str) -> Result<Database> {
        let settings = match (self.settings.database.get(name), &self.data_dir) {
            (Some(database), _) => database.settings(),
            (None, Some(dir)) => {
                DatabaseSettings::at(format!("sqlite:{}", dir.file(&format!("{name}.sqlite")).display()))
            }
            (None, None) => anyhow::bail!("database.{name}: no url, and no data directory"),
        };
        settings.validate().with_context(|| format!("database.{name}"))?;
        let connected = Database::connect(&settings, self.clock.clone(), self.entropy.clone()).await;
        connected.with_context(|| format!("the database of {name}"))
    }

    fn published(&self) -> Vec<PublishedKey> {
        use base64::Engine;
        let encode = |key: &ed25519_dalek::VerifyingKey| PublishedKey {
            purpose: "standing",
            algorithm: "ed25519",
            public_key: base64::engine::general_purpose::STANDARD.encode(key.as_bytes()),
        };
        self.keys.standing_public.iter().map(encode).collect()
    }
}

impl Stores {
    fn found(settings: &Settings) -> Result<Self> {
        let Some(redis) = &settings.redis else {
            return Ok(Self {
                standings: StandingCache::in_process(STANDINGS_KEPT),
                limiter: Limiter::in_process(LIMITS_KEPT),
                replay: ReplayStore::in_process(REPLAY_KEPT),
            });
        };
        let redis = Redis::new(redis.url.expose(), &redis.key_prefix, beem_redis::ANSWER_LIMIT)?;
        Ok(Self {
            standings: StandingCache::in_redis(redis.clone()),
            limiter: Limiter::in_redis(redis.clone(), LIMITS_KEPT),
            replay: ReplayStore::in_redis(redis),
        })
    }
}

/// sandbox or live, as identity has it; asked until it answers.
async fn environment(mut directory: DirectoryClient<beem_link::Link>) -> String {
    let mut waiting = false;
    loop {
        match directory.get_installation(GetInstallationRequest {}).await {
            Ok(answer) => return answer.into_inner().environment,
            Err(status) if !waiting => {
                tracing::info!(code = ?status.code(), "waiting for identity");
                waiting = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(PEER_PAUSE).await;
    }
}
