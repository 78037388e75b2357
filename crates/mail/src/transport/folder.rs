//! Into a folder: one file for each mail, for installations that have no server yet, and for whoever looks what would
//! have been sent.

use super::{Outgoing, Stage, Transport, Undelivered};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// `<folder>/20260102T030405Z-<id>.eml`: the same name and the same bytes however often it is sent.
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Transport for Folder {
    fn send<'a>(&'a self, mail: &'a Outgoing) -> BoxFuture<'a, Result<(), Undelivered>> {
        let (folder, mail) = (self.path.clone(), mail.clone());
        async move {
            let refused = Undelivered { stage: Stage::Folder, code: None, permanent: false };
            match tokio::task::spawn_blocking(move || write(&folder, &mail)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a mail could not be written into its folder");
                    Err(refused)
                }
                Err(_) => Err(refused),
            }
        }
        .boxed()
    }
}

/// Only whole files have the final name, and when this returns one has it durably.
fn write(folder: &Path, mail: &Outgoing) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = folder.join(format!(".{}.tmp", mail.id));
    // One that an earlier attempt left is nobody's.
    if let Err(error) = fs::remove_file(&unfinished)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(&mail.bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(name(mail)))?;
    File::open(folder)?.sync_all()
}

fn name(mail: &Outgoing) -> String {
    let time = mail.created.rfc3339();
    let to_the_second = time.split(['.', 'Z']).next().unwrap_or_default();
    format!("{}Z-{}.eml", to_the_second.replace(['-', ':'], ""), mail.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::Moment;
    use std::os::unix::fs::PermissionsExt as _;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_mail_is_one_private_file_however_often_it_is_sent() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/mail");
        let mail = Outgoing {
            id: Uuid::from_u128(7),
            created: Moment::from_unix_ms(1_700_000_000_123),
            from: "beem@localhost".parse().unwrap(),
            to: "ada@example.com".parse().unwrap(),
            bytes: b"Subject: x\r\n\r\n".to_vec(),
        };
        fs::create_dir(parent.path().join("a")).unwrap();
        let folder = Folder::new(path.clone());
        folder.send(&mail).await.unwrap();
        fs::write(path.join(format!(".{}.tmp", mail.id)), "half of an ear").unwrap();
        folder.send(&mail).await.unwrap();
        let files: Vec<_> = fs::read_dir(&path).unwrap().map(|f| f.unwrap().path()).collect();
        assert_eq!(files, [path.join("20231114T221320Z-00000000-0000-0000-0000-000000000007.eml")]);
        assert_eq!(fs::read(&files[0]).unwrap(), mail.bytes);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&files[0])), (0o700, 0o600));
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_is_tried_again() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let mail = Outgoing {
            id: Uuid::nil(),
            created: Moment::from_unix_ms(0),
            from: "beem@localhost".parse().unwrap(),
            to: "ada@example.com".parse().unwrap(),
            bytes: Vec::new(),
        };
        let refused = Folder::new(file.join("mail")).send(&mail).await.unwrap_err();
        assert_eq!((refused.stage, refused.permanent), (Stage::Folder, false));
    }
}
