//! `beem admin rotate-sealing-key`. Embedded: a new key goes before the old one in the key file, everything is sealed
//! again, and the old key goes. Each step may be repeated: a file with two keys is a rotation that was not finished. In a
//! cluster the operator changes the keys (identity's `sealing.keys` or its key file), and this seals again under the first.

use super::{is_cluster, link};
use crate::cli::say;
use crate::sealing_keys;
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use beem_clock::Entropy;
use beem_fault::{Code, Fault};
use beem_link::Link;
use beem_proto::identity::v1::directory_client::DirectoryClient;
use beem_proto::identity::v1::{ResealSecretsRequest, ResealSecretsResponse};
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
    let link = link(settings, "identity").await?;
    if is_cluster(settings) {
        let done = reseal(&link, "").await?;
        say(format_args!("sealed under key {}", done.key_id));
        say(
            "once every identity process has it as its first key, run this again; then the key before may go",
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
    reseal(&link, &key_id).await?;
    tokio::time::sleep(SETTLE).await;
    reseal(&link, &key_id).await?;
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

/// Until nothing is left under another key.
async fn reseal(link: &Link, key_id: &str) -> Result<ResealSecretsResponse> {
    let until = Instant::now() + PATIENCE;
    let mut directory = DirectoryClient::new(link.clone());
    let mut resealed = 0_u64;
    loop {
        let request = ResealSecretsRequest { key_id: key_id.to_owned() };
        match directory.reseal_secrets(request).await.map_err(Fault::from) {
            Ok(answer) => {
                let answer = answer.into_inner();
                resealed = resealed.saturating_add(answer.resealed);
                if answer.left == 0 {
                    say(format_args!("{resealed} secrets sealed again"));
                    return Ok(answer);
                }
            }
            // It has not seen the new key yet.
            Err(fault) if fault.code == Code::ChangedConcurrently && Instant::now() < until => {}
            Err(fault) => return Err(fault).context("identity did not seal again; run this once more"),
        }
        if Instant::now() >= until {
            bail!("some secrets stayed busy; run this once more");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
