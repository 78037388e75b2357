//! Real PostgreSQL and Redis servers for tests, in a second and thrown away, and whole clusters of `beem` processes.
//!
//! - [`postgres::Server`], [`redis::Server`]: a server of one's own, to be killed and started again.
//! - [`postgres::fresh_database`], [`redis::fresh_database`]: an empty database on the server that `cargo xtask test`
//!   started for the whole run. What most tests want.
//! - [`cluster::Cluster`]: every service as its own process with two gateways.
//!
//! Everything lives under `<temp>/beem-testkit-<uid>/run/<pid>-<n>`, listens on Unix sockets only (no port races) and goes
//! away on drop. What a killed run left behind is swept by the next one: see [`folder`].
//!
//! Only std and tempfile: `cargo xtask` depends on this and must compile in a moment. All of it blocks; in an async test
//! that is one short pause.

pub mod cluster;
pub mod folder;
pub mod postgres;
pub mod process;
pub mod redis;

use std::time::Duration;

/// How often [`eventually`] looks.
const STEP: Duration = Duration::from_millis(20);

/// Looks every 20 ms until there is something, an error, or `limit` has passed.
///
/// # Errors
/// What `look` said, or that `what` did not happen in time.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>, String>,
) -> Result<T, String> {
    let steps = limit.as_millis().div_ceil(STEP.as_millis());
    for _ in 0..steps {
        if let Some(found) = look()? {
            return Ok(found);
        }
        std::thread::sleep(STEP);
    }
    Err(format!("{what}: not within {} s", limit.as_secs()))
}
