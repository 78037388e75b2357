//! The bell: tells this process's engine that something became due. A hint only; what another process did is found by looking.

use tokio::sync::watch;

/// Rung after a commit that made something due. Cheap to clone; all clones are the same bell.
#[derive(Clone, Debug)]
pub struct Bell {
    rung: watch::Sender<()>,
}

impl Bell {
    #[must_use]
    pub fn new() -> Self {
        Self { rung: watch::Sender::new(()) }
    }

    /// Something is due.
    pub fn ring(&self) {
        self.rung.send_replace(());
    }

    /// Hears it from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener { rung: self.rung.subscribe() }
    }
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}

/// One who hears the bell; what was rung while it did something else it hears once.
pub struct Listener {
    rung: watch::Receiver<()>,
}

impl Listener {
    /// Until it rings, or has rung since the last time.
    pub async fn rung(&mut self) {
        if self.rung.changed().await.is_err() {
            // Nobody can ring any more.
            std::future::pending().await
        }
    }
}
