//! Where the sealing key comes from: the settings (`sealing.keys`), or a file with one key a line, the current one first.
//! The embedded shape makes the file at its first start. A file is looked at each second, so that a key is rotated under a
//! running process.

use crate::data_dir::{DataDir, write_private};
use crate::settings::SealingSettings;
use anyhow::{Context, Result, bail};
use beem_clock::Entropy;
use beem_runtime::{Task, task};
use beem_sealing::{Sealing, SealingKey};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The services that keep sealed secrets, each in its own database.
pub const KEEPERS: [&str; 2] = ["identity", "hooks"];

/// Between two looks at the file: also how long a rotation waits at most for a process to see its key.
const LOOK: Duration = Duration::from_secs(1);

/// Of the embedded shape, in the data directory.
const FILE: &str = "sealing.keys";

/// The sealing of this process, and the file its keys are in, if they are in one.
///
/// # Errors
/// When there is no key, or what should be one is none.
pub fn found(
    settings: &SealingSettings,
    dir: Option<&DataDir>,
    entropy: &Entropy,
) -> Result<(Sealing, Option<PathBuf>)> {
    if !settings.keys.is_empty() {
        let keys = settings.keys.iter().map(|key| SealingKey::parse(key.expose()));
        let keys = keys.collect::<Result<_, _>>().context("sealing.keys")?;
        return Ok((Sealing::new(keys).context("sealing.keys")?, None));
    }
    let file = match (file(settings, dir.map(DataDir::path)), dir) {
        (Some(file), _) if file.is_file() || settings.key_file.is_some() => file,
        (Some(file), Some(_)) => {
            write(&file, &[SealingKey::draw(entropy)])?;
            file
        }
        _ => bail!("sealing.keys or sealing.key_file is needed: secrets are stored sealed"),
    };
    Ok((Sealing::new(read(&file)?).with_context(|| file.display().to_string())?, Some(file)))
}

/// The file the keys are in, whether it is there or not; None when they are in the settings or nowhere.
#[must_use]
pub fn file(settings: &SealingSettings, data_dir: Option<&Path>) -> Option<PathBuf> {
    if !settings.keys.is_empty() {
        return None;
    }
    settings.key_file.clone().or_else(|| data_dir.map(|dir| dir.join(FILE)))
}

/// The keys of a file, the current one first.
///
/// # Errors
/// When it cannot be read or holds something else.
pub fn read(file: &Path) -> Result<Vec<SealingKey>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let keys: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).map(SealingKey::parse).collect();
    let keys = keys.into_iter().collect::<Result<Vec<_>, _>>();
    keys.with_context(|| format!("{} holds something that is no key", file.display()))
}

/// Writes the keys, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write(file: &Path, keys: &[SealingKey]) -> Result<()> {
    let lines: Vec<_> = keys.iter().map(SealingKey::to_base64).collect();
    let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
    write_private(file, text.as_bytes()).with_context(|| format!("cannot write {}", file.display()))
}

/// Follows the file. What cannot be read or holds no keys leaves the keys as they are.
#[must_use]
pub fn follow(sealing: Sealing, file: PathBuf) -> Task {
    task("sealing-keys", move |cancel| watch(sealing.clone(), file.clone(), cancel))
}

async fn watch(sealing: Sealing, file: PathBuf, cancel: CancellationToken) {
    let mut wrong = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = cancel.cancelled() => return,
        }
        let followed = read(&file).and_then(|keys| follow_once(&sealing, keys));
        match &followed {
            Ok(true) => tracing::info!(key = %sealing.current_id(), "the sealing keys have changed"),
            Ok(false) => {}
            Err(error) if !wrong => tracing::error!(%error, "the sealing keys cannot be followed"),
            Err(_) => {}
        }
        wrong = followed.is_err();
    }
}

/// Whether they were new.
fn follow_once(sealing: &Sealing, keys: Vec<SealingKey>) -> Result<bool> {
    if keys.iter().map(SealingKey::id).eq(sealing.key_ids()) {
        return Ok(false);
    }
    sealing.replace(keys)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_a_key_and_the_next_ones_use_it() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&folder.path().join("data")).unwrap();
        let (settings, entropy) = (SealingSettings::default(), Entropy::System);
        let (first, file) = found(&settings, Some(&dir), &entropy).unwrap();
        let (second, _) = found(&settings, Some(&dir), &entropy).unwrap();
        assert_eq!(first.current_id(), second.current_id());
        let file = file.unwrap();
        let mut keys = read(&file).unwrap();
        keys.insert(0, SealingKey::draw(&entropy));
        write(&file, &keys).unwrap();
        assert!(follow_once(&first, read(&file).unwrap()).unwrap());
        assert!(!follow_once(&first, read(&file).unwrap()).unwrap());
        let sealed = second.seal("c", b"secret", &entropy);
        assert_eq!(first.open("c", &sealed).unwrap().as_slice(), b"secret");
        assert!(found(&settings, None, &entropy).is_err(), "no directory, no key");
        std::fs::write(&file, "not a key\n").unwrap();
        assert!(found(&settings, Some(&dir), &entropy).is_err());
    }
}
