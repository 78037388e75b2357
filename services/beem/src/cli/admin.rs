//! `beem admin`: operates an installation, through `DIR/admin.sock` of an embedded one, or in a cluster with the
//! operator's identity of its settings file. Never through the gateway.

mod accounts;
mod audit;
mod hooks;
mod ledger;
mod sealing;

use super::{Common, serve};
use crate::admin_socket;
use crate::keys::Keys;
use crate::links::Links;
use crate::running::base_url;
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use beem_caller::ServiceIdentity;
use beem_clock::{Clock, Entropy};
use beem_link::Link;
use beem_telemetry::Telemetry;
use clap::{Args, Subcommand};
use ed25519_dalek::SigningKey;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct AdminArgs {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Make an account, its Owner, and a first client with all 15 roles
    CreateAccount(accounts::CreateAccountArgs),
    /// Draw a new activation link for an account's Owner, who has not activated yet
    InviteOwner(accounts::InviteOwnerArgs),
    /// List every account of the installation
    ListAccounts,
    /// Recompute the chains of the audit trail; also of a data directory nobody serves. Exit 1 when something does not fit
    VerifyAudit(audit::VerifyAuditArgs),
    /// Print the signed heads of the audit trail, to be kept elsewhere for verify-audit --heads
    AuditHeads,
    /// Prove the books from their entries; also of a data directory nobody serves. Exit 1 when something does not fit
    VerifyLedger(ledger::VerifyLedgerArgs),
    /// Print the signed heads of the books, newest first, to be kept elsewhere for verify-ledger --heads
    LedgerHeads,
    /// List deposits that are in suspense, and why
    ListSuspended,
    /// Seal every stored secret under a new key (embedded: draws it; cluster: the first of sealing.keys of identity and of hooks)
    RotateSealingKey,
    /// List the feeds of events that hooks takes in, and how far
    ListFeeds,
    /// Take a feed in from its oldest event on, after its source was restored (list-feeds says "lost":true)
    RestartFeed(hooks::RestartFeedArgs),
}

pub async fn run(common: &Common, args: &AdminArgs) -> Result<ExitCode> {
    let settings = serve::settings(common, &serve::ServeArgs::default())?;
    match &args.command {
        AdminCommand::CreateAccount(account) => accounts::create(&settings, account).await?,
        AdminCommand::InviteOwner(account) => accounts::invite_owner(&settings, account).await?,
        AdminCommand::ListAccounts => accounts::list(&settings).await?,
        AdminCommand::VerifyAudit(args) => return audit::verify(&settings, args).await,
        AdminCommand::AuditHeads => audit::heads(&settings).await?,
        AdminCommand::VerifyLedger(args) => return ledger::verify(&settings, args).await,
        AdminCommand::LedgerHeads => ledger::heads(&settings).await?,
        AdminCommand::ListSuspended => ledger::suspended(&settings).await?,
        AdminCommand::RotateSealingKey => sealing::rotate(&settings).await?,
        AdminCommand::ListFeeds => hooks::feeds(&settings).await?,
        AdminCommand::RestartFeed(args) => hooks::restart_feed(&settings, args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the settings are those of a cluster's operator, rather than of an embedded installation.
fn is_cluster(settings: &Settings) -> bool {
    !settings.keys.service.is_empty()
}

/// The way to a service as the operator.
async fn link(settings: &Settings, to: &str) -> Result<Link> {
    if is_cluster(settings) {
        let keys = Keys::from_settings(settings, &Clock::System)?;
        let telemetry = Telemetry::off();
        return Links::new(settings, &keys, &telemetry).link("admin", to);
    }
    let socket = settings.data_dir.join("admin.sock");
    let channel = admin_socket::connect(&socket).await.with_context(|| {
        format!("nobody serves {}: is beem running on this data directory?", socket.display())
    })?;
    // The socket is the proof; the identity that counts is put on behind it.
    let nobody =
        ServiceIdentity::new("admin", SigningKey::from_bytes(&Entropy::System.bytes()), Clock::System);
    Ok(Link::remote(to, channel, nobody, Telemetry::off()))
}

/// Where callers find the gateway.
fn gateway(settings: &Settings) -> Result<String> {
    let configured = match settings.gateway.listen.parse() {
        Ok(address) => base_url(settings, address),
        Err(_) => bail!("gateway.listen is no address and port"),
    };
    if is_cluster(settings) {
        return Ok(configured);
    }
    Ok(crate::bootstrap::read_base_url(&settings.data_dir).unwrap_or(configured))
}
