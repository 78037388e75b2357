//! `beem admin create-account`, `invite-owner`, `list-accounts`.

use super::{gateway, link};
use crate::bootstrap::{self, NewAccount};
use crate::cli::say;
use crate::data_dir::private_dir;
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use beem_clock::{Entropy, Moment};
use beem_fault::Fault;
use beem_proto::from_timestamp;
use beem_proto::identity::v1::ListAccountsRequest;
use beem_proto::identity::v1::directory_client::DirectoryClient;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct CreateAccountArgs {
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

#[derive(Debug, Args)]
pub(super) struct InviteOwnerArgs {
    /// The account's id, see list-accounts
    #[arg(long)]
    account: String,
    /// The folder for owner.json
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) async fn create(settings: &Settings, args: &CreateAccountArgs) -> Result<()> {
    let (link, base_url) = (link(settings, "identity").await?, gateway(settings)?);
    let folder = &args.client_key_out;
    if folder.join("client.json").exists() {
        bail!("{} already holds the credentials of an account", folder.display());
    }
    private_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // One attempt, however often it is run: the key in the folder names it.
    let effect_key = bootstrap::attempt(folder, &Entropy::System)?;
    let account = NewAccount { effect_key: &effect_key, name: &args.name, owner_email: &args.owner_email };
    let made = bootstrap::create_account(folder, link, &base_url, &account, &Entropy::System).await?;
    say(format_args!("account {}", made.client.account_id));
    say(format_args!("client  {}", made.client.client_id));
    if let Some(link) = made.activation_url {
        say(format_args!("owner   {link}"));
    }
    say(folder.join("client.json").display());
    Ok(())
}

pub(super) async fn invite_owner(settings: &Settings, args: &InviteOwnerArgs) -> Result<()> {
    let (link, base_url) = (link(settings, "identity").await?, gateway(settings)?);
    private_dir(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    say(bootstrap::invite_owner(&args.out, link, &base_url, &args.account).await?);
    Ok(())
}

pub(super) async fn list(settings: &Settings) -> Result<()> {
    let mut directory = DirectoryClient::new(link(settings, "identity").await?);
    let mut page_token = String::new();
    loop {
        let answer = directory.list_accounts(ListAccountsRequest { max: 500, page_token }).await;
        let page = answer.map_err(Fault::from)?.into_inner();
        for account in page.accounts {
            let made = account.date_created.as_ref().map_or(0, from_timestamp);
            let made = Moment::from_unix_ms(made).rfc3339();
            say(format_args!("{}  {made}  {}  {}", account.id, account.owner_email, account.name));
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}
