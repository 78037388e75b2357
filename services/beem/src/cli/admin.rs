//! `beem admin`: operates an installation, through `DIR/admin.sock` of an embedded one, or in a cluster with the
//! operator's identity of its settings file. Never through the gateway.

use super::{Common, say, serve};
use crate::admin_socket;
use crate::bootstrap::{NewAccount, create_account};
use crate::data_dir::private_dir;
use crate::keys::Keys;
use crate::links::Links;
use crate::running::base_url;
use anyhow::{Context, Result, bail};
use beem_caller::ServiceIdentity;
use beem_clock::{Clock, Entropy};
use beem_fault::Fault;
use beem_link::Link;
use beem_proto::from_timestamp;
use beem_proto::identity::v1::ListAccountsRequest;
use beem_proto::identity::v1::directory_client::DirectoryClient;
use beem_telemetry::Telemetry;
use clap::{Args, Subcommand};
use ed25519_dalek::SigningKey;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct AdminArgs {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Make an account, its Owner, and a first client with all 15 roles
    CreateAccount(CreateAccountArgs),
    /// List every account of the installation
    ListAccounts,
}

#[derive(Debug, Args)]
struct CreateAccountArgs {
    #[arg(long)]
    name: String,
    /// The Owner's e-mail address
    #[arg(long)]
    owner_email: String,
    /// The folder for client.json, client.pem and owner.json. A folder that already holds a key of an attempt that
    /// failed finishes that attempt.
    #[arg(long, value_name = "DIR")]
    client_key_out: PathBuf,
}

pub async fn run(common: &Common, args: &AdminArgs) -> Result<ExitCode> {
    let (link, base_url) = identity(common).await?;
    match &args.command {
        AdminCommand::CreateAccount(account) => create(link, &base_url, account).await?,
        AdminCommand::ListAccounts => list(link).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The way to identity as the operator, and where callers find the gateway.
async fn identity(common: &Common) -> Result<(Link, String)> {
    let settings = serve::settings(common, &serve::ServeArgs::default())?;
    let base_url = match settings.gateway.listen.parse() {
        Ok(address) => base_url(&settings, address),
        Err(_) => bail!("gateway.listen is no address and port"),
    };
    if !settings.keys.service.is_empty() {
        let keys = Keys::from_settings(&settings, &Clock::System)?;
        let telemetry = Telemetry::off();
        let link = Links::new(&settings, &keys, &telemetry).link("admin", "identity")?;
        return Ok((link, base_url));
    }
    let socket = settings.data_dir.join("admin.sock");
    let channel = admin_socket::connect(&socket).await.with_context(|| {
        format!("nobody serves {}: is beem running on this data directory?", socket.display())
    })?;
    let listening = crate::bootstrap::read_base_url(&settings.data_dir).unwrap_or(base_url);
    // The socket is the proof; the identity that counts is put on behind it.
    let nobody =
        ServiceIdentity::new("admin", SigningKey::from_bytes(&Entropy::System.bytes()), Clock::System);
    Ok((Link::remote("identity", channel, nobody, Telemetry::off()), listening))
}

async fn create(link: Link, base_url: &str, args: &CreateAccountArgs) -> Result<()> {
    let folder = &args.client_key_out;
    if folder.join("client.json").exists() {
        bail!("{} already holds the credentials of an account", folder.display());
    }
    private_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // One attempt, however often it is run: the key in the folder names it.
    let effect_key = crate::bootstrap::attempt(folder, &Entropy::System)?;
    let account = NewAccount { effect_key: &effect_key, name: &args.name, owner_email: &args.owner_email };
    let client = create_account(folder, link, base_url, &account, &Entropy::System).await?;
    say(format_args!("account {}", client.account_id));
    say(format_args!("client  {}", client.client_id));
    say(folder.join("client.json").display());
    Ok(())
}

async fn list(link: Link) -> Result<()> {
    let mut directory = DirectoryClient::new(link);
    let mut page_token = String::new();
    loop {
        let answer = directory.list_accounts(ListAccountsRequest { max: 500, page_token }).await;
        let page = answer.map_err(Fault::from)?.into_inner();
        for account in page.accounts {
            let made = account.date_created.as_ref().map_or(0, from_timestamp);
            let made = beem_clock::Moment::from_unix_ms(made).rfc3339();
            say(format_args!("{}  {made}  {}  {}", account.id, account.owner_email, account.name));
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}
