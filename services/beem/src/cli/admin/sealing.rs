//! `beem admin rotate-sealing-key`. Embedded: a new key goes before the old one in the key file, every service that keeps
//! sealed secrets seals them again, and the old key goes. Each step may be repeated: a file with two keys is a rotation that
//! was not finished. In a cluster the operator changes the keys (`sealing.keys` of identity and of hooks, or their key
//! files), and this seals again under the first of each.

use super::{is_cluster, link};
use crate::cli::say;
use crate::sealing_keys::{self, KEEPERS};
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use beem_clock::Entropy;
use beem_fault::{Code, Fault};
use beem_link::Link;
use beem_proto::hooks::v1 as hooks;
use beem_proto::hooks::v1::upkeep_client::UpkeepClient;
use beem_proto::identity::v1 as identity;
use beem_proto::identity::v1::directory_client::DirectoryClient;
use beem_sealing::SealingKey;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// A call that sealed under the old key just before the new one was there has ended by then: longer than any call's
/// deadline at the gateway.
const SETTLE: Duration = Duration::from_secs(12);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// For the process to see the new key, and for busy rows to come free.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn rotate(settings: &Settings) -> Result<()> {
    let mut keepers = Vec::new();
    for service in KEEPERS {
        keepers.push(Keeper::of(service, link(settings, service).await?)?);
    }
    if is_cluster(settings) {
        for keeper in &keepers {
            let key_id = keeper.reseal("").await?;
            say(format_args!("{}: sealed under key {key_id}", keeper.name()));
        }
        say(
            "once every process of a service has its new key as the first, run this again; then the key before may go",
        );
        return Ok(());
    }
    let file = sealing_keys::file(&settings.sealing, Some(&settings.data_dir));
    let file =
        file.context("the keys are in the settings: change them there, restart, and run this again")?;
    let _alone = alone(&file)?;
    let mut keys = sealing_keys::read(&file)?;
    if let [_] = keys.as_slice() {
        keys.insert(0, SealingKey::draw(&Entropy::System));
        sealing_keys::write(&file, &keys)?;
    }
    let Some(current) = keys.first().cloned() else { bail!("{} holds no key", file.display()) };
    let key_id = current.id().to_string();
    // The old key stays until all have done it, twice.
    reseal_all(&keepers, &key_id).await?;
    tokio::time::sleep(SETTLE).await;
    reseal_all(&keepers, &key_id).await?;
    sealing_keys::write(&file, &[current])?;
    say(format_args!("sealed under the new key {key_id}; the old one is gone"));
    Ok(())
}

/// One rotation at a time: two would each write the file with a key of their own.
fn alone(file: &Path) -> Result<File> {
    let lock = file.with_extension("lock");
    let held = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock);
    let held = held.with_context(|| format!("cannot write {}", lock.display()))?;
    held.try_lock().context("another rotation is under way")?;
    Ok(held)
}

async fn reseal_all(keepers: &[Keeper], key_id: &str) -> Result<()> {
    for keeper in keepers {
        keeper.reseal(key_id).await?;
    }
    Ok(())
}

/// A service that keeps sealed secrets: each is asked in its own contract's words.
enum Keeper {
    Identity(DirectoryClient<Link>),
    Hooks(UpkeepClient<Link>),
}

/// What one call did.
struct Round {
    resealed: u64,
    left: u64,
    key_id: String,
}

impl Keeper {
    fn of(service: &str, link: Link) -> Result<Self> {
        match service {
            "identity" => Ok(Self::Identity(DirectoryClient::new(link))),
            "hooks" => Ok(Self::Hooks(UpkeepClient::new(link))),
            other => bail!("{other} keeps no sealed secrets"),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Identity(_) => "identity",
            Self::Hooks(_) => "hooks",
        }
    }

    async fn round(&self, key_id: &str) -> Result<Round, Fault> {
        let key_id = key_id.to_owned();
        match self {
            Self::Identity(directory) => {
                let request = identity::ResealSecretsRequest { key_id };
                let identity::ResealSecretsResponse { resealed, left, key_id } =
                    directory.clone().reseal_secrets(request).await.map_err(Fault::from)?.into_inner();
                Ok(Round { resealed, left, key_id })
            }
            Self::Hooks(upkeep) => {
                let request = hooks::ResealSecretsRequest { key_id };
                let hooks::ResealSecretsResponse { resealed, left, key_id } =
                    upkeep.clone().reseal_secrets(request).await.map_err(Fault::from)?.into_inner();
                Ok(Round { resealed, left, key_id })
            }
        }
    }

    /// Until nothing is left under another key; the id of the one it is under.
    async fn reseal(&self, key_id: &str) -> Result<String> {
        let (name, until) = (self.name(), Instant::now() + PATIENCE);
        let mut resealed = 0_u64;
        loop {
            match self.round(key_id).await {
                Ok(round) => {
                    resealed = resealed.saturating_add(round.resealed);
                    if round.left == 0 {
                        say(format_args!("{name}: {resealed} secrets sealed again"));
                        return Ok(round.key_id);
                    }
                }
                // It has not seen the new key yet.
                Err(fault) if fault.code == Code::ChangedConcurrently && Instant::now() < until => {}
                Err(fault) => {
                    return Err(fault)
                        .with_context(|| format!("{name} did not seal again; run this once more"));
                }
            }
            if Instant::now() >= until {
                bail!("some secrets of {name} stayed busy; run this once more");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin_socket;
    use beem_caller::ServiceIdentity;
    use beem_clock::Clock;
    use beem_link::LocalService;
    use beem_proto::Contract;
    use beem_telemetry::Telemetry;
    use ed25519_dalek::SigningKey;
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};
    use tokio_util::sync::CancellationToken;
    use tonic::body::Body;
    use tonic::{Request, Response, Status};
    use tonic_prost::ProstCodec;
    use tower::service_fn;

    /// The key ids that a service was asked to seal under.
    type Asked = Arc<Mutex<Vec<String>>>;

    fn link(name: &str, service: LocalService) -> (String, Link) {
        let identity = ServiceIdentity::new("admin", SigningKey::from_bytes(&[7; 32]), Clock::System);
        (name.to_owned(), Link::local(name, service, identity, Telemetry::off()))
    }

    /// Seals everything anew.
    fn willing(asked: Asked) -> LocalService {
        LocalService::new(service_fn(move |request: http::Request<Body>| {
            let asked = asked.clone();
            let answer = service_fn(move |request: Request<identity::ResealSecretsRequest>| {
                let key_id = request.into_inner().key_id;
                asked.lock().unwrap().push(key_id.clone());
                async move {
                    Ok::<_, Status>(Response::new(identity::ResealSecretsResponse {
                        resealed: 1,
                        left: 0,
                        key_id,
                    }))
                }
            });
            async move {
                let mut server = tonic::server::Grpc::new(ProstCodec::default());
                Ok::<_, Infallible>(server.unary(answer, request).await)
            }
        }))
    }

    /// Cannot.
    fn failing() -> LocalService {
        LocalService::new(service_fn(|_: http::Request<Body>| async {
            Ok::<_, Infallible>(Status::internal("it does not open").into_http())
        }))
    }

    #[tokio::test]
    async fn the_old_key_stays_while_one_service_cannot_seal_again() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        let file = sealing_keys::file(&settings.sealing, Some(folder.path())).unwrap();
        let old = SealingKey::draw(&Entropy::System);
        sealing_keys::write(&file, std::slice::from_ref(&old)).unwrap();
        let asked = Asked::default();
        let links = [link("identity", willing(asked.clone())), link("hooks", failing())].into();
        let (socket, contract) = (folder.path().join("admin.sock"), Contract::load().unwrap());
        let (stop, serving) = (CancellationToken::new(), socket.clone());
        let stopped = stop.clone();
        let served =
            beem_runtime::spawn(async move { admin_socket::serve(&serving, contract, links, stopped).await });
        while !socket.exists() {
            assert!(!served.is_finished(), "the socket was not made");
            tokio::task::yield_now().await;
        }
        // The first time, and again: the second goes on with the key that the first drew.
        for tries in 1..=2 {
            let refused = rotate(&settings).await.unwrap_err();
            assert!(refused.to_string().contains("hooks did not seal again"), "{refused:#}");
            let ids: Vec<_> = sealing_keys::read(&file).unwrap().iter().map(SealingKey::id).collect();
            assert_eq!((ids.len(), ids[1]), (2, old.id()));
            assert_eq!(*asked.lock().unwrap(), vec![ids[0].to_string(); tries]);
        }
        stop.cancel();
        served.await.unwrap().unwrap();
    }
}
