//! A wire that can be cut at the worst moment: forwards to PostgreSQL, and once armed passes the next COMMIT on, waits
//! for its answer, and breaks the connection instead of delivering it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

pub struct Wire {
    folder: tempfile::TempDir,
    armed: Arc<AtomicBool>,
}

impl Wire {
    /// Between the test and the server whose socket is in that folder.
    pub fn to(server: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let armed = Arc::new(AtomicBool::new(false));
        let (server, for_all) = (server.join(".s.PGSQL.5432"), armed.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, server.clone(), for_all.clone()));
            }
        });
        Self { folder, armed }
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The next COMMIT's answer is lost.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub fn was_cut(&self) -> bool {
        !self.armed.load(Ordering::SeqCst)
    }
}

async fn forward(mut client: UnixStream, server: PathBuf, armed: Arc<AtomicBool>) {
    let mut server = UnixStream::connect(server).await.unwrap();
    let (mut up, mut down) = ([0; 8192], [0; 8192]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(n @ 1..) = read else { return };
                let commits = up[..n].windows(6).any(|w| w == b"COMMIT");
                if server.write_all(&up[..n]).await.is_err() { return }
                if commits && armed.swap(false, Ordering::SeqCst) {
                    let answer = server.read(&mut down).await.unwrap();
                    assert!(down[..answer].windows(6).any(|w| w == b"COMMIT"), "the server has committed");
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(n @ 1..) = read else { return };
                if client.write_all(&down[..n]).await.is_err() { return }
            }
        }
    }
}
