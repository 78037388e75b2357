//! The installation and its environment, which is fixed at the first start.

use beem_ids::InstallationId;
pub use beem_settings::Environment;

/// This installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installation {
    pub id: InstallationId,
    pub environment: Environment,
}
