//! Which database a test runs on.

use beem_clock::{Clock, Entropy};
use beem_database::{Database, DatabaseSettings};
use std::path::Path;

/// Which database it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Sqlite,
    Postgres,
}

impl Base {
    /// The URL of a new database: a file of that name in the folder, or one on the run's PostgreSQL server.
    #[must_use]
    pub fn fresh(self, folder: &Path, name: &str) -> String {
        match self {
            Self::Sqlite => format!("sqlite:{}", folder.join(format!("{name}.db")).display()),
            Self::Postgres => beem_testkit::postgres::fresh_database(),
        }
    }
}

/// A connection of its own, as every process has one.
pub async fn connect(url: &str, clock: &Clock, entropy: &Entropy) -> Database {
    Database::connect(&DatabaseSettings::at(url), clock.clone(), entropy.clone()).await.unwrap()
}

/// Each test once on SQLite and once on PostgreSQL. It takes a `crate::rig::Rig`, which has a `start(Base)`.
#[macro_export]
#[expect(clippy::crate_in_macro_def, reason = "each service's tests have a rig of their own")]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::rig::Rig::start($crate::Base::Sqlite).await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::rig::Rig::start($crate::Base::Postgres).await).await;
            })+
        }
    };
}
