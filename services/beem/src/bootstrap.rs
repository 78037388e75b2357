//! The first start of the embedded shape: an account, its Owner, who is invited, and a client with all 15 roles whose key lies in
//! `credentials/`. Each step can be repeated: the key file is written before the account exists, the account is made under
//! one effect key, and `client.json` comes last; a start that finds it does nothing.

use crate::data_dir::{DataDir, write_private};
use anyhow::{Context, Result};
use beem_clock::Entropy;
use beem_fault::{Code, Fault};
use beem_link::Link;
use beem_proto::identity::v1::directory_client::DirectoryClient;
use beem_proto::identity::v1::{CreateAccountRequest, InviteOwnerRequest};
use beem_signing::{KeyKind, PrivateKey};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// `credentials/client.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientFile {
    pub base_url: String,
    pub account_id: String,
    pub client_id: String,
    pub algorithm: String,
    /// Beside this file.
    pub private_key_file: String,
}

/// `credentials/owner.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnerFile {
    email: String,
    activation_url: String,
}

/// The first account's Owner, wherever it is. A real address: `beem admin create-account`.
const OWNER_EMAIL: &str = "owner@localhost";

/// Where the credentials of a data directory are.
#[must_use]
pub fn client_file(dir: &Path) -> PathBuf {
    dir.join("credentials").join("client.json")
}

/// Makes the first account and its credentials, unless they are there; the Owner's activation link when it did. `directory`
/// goes to identity as `admin`.
///
/// # Errors
/// When a file cannot be written or identity refuses.
pub async fn bootstrap(
    dir: &DataDir,
    directory: Link,
    base_url: &str,
    entropy: &Entropy,
) -> Result<Option<String>> {
    let folder = dir.path().join("credentials");
    let file = client_file(dir.path());
    if file.is_file() {
        follow_address(&file, base_url)?;
        return Ok(None);
    }
    let first = NewAccount { effect_key: "bootstrap", name: "Main", owner_email: OWNER_EMAIL };
    create_account(&folder, directory, base_url, &first, entropy).await.map(|made| made.activation_url)
}

/// An account to make.
#[derive(Clone, Copy, Debug)]
pub struct NewAccount<'a> {
    pub effect_key: &'a str,
    pub name: &'a str,
    pub owner_email: &'a str,
}

/// An account that was made.
#[derive(Clone, Debug)]
pub struct Made {
    pub client: ClientFile,
    /// For the Owner, good once and for 72 hours; None when the Owner has activated.
    pub activation_url: Option<String>,
}

/// Makes an account, writes its first client's credentials and its Owner's link into `folder`.
///
/// # Errors
/// As [`bootstrap`].
pub async fn create_account(
    folder: &Path,
    directory: Link,
    base_url: &str,
    account: &NewAccount<'_>,
    entropy: &Entropy,
) -> Result<Made> {
    let key = first_key(&folder.join("client.pem"), entropy)?;
    let request = CreateAccountRequest {
        effect_key: account.effect_key.into(),
        name: account.name.into(),
        owner_email: account.owner_email.into(),
        client_name: "First client".into(),
        client_public_key: key.public().pem(),
    };
    let answer = DirectoryClient::new(directory.clone()).create_account(request).await;
    let answer = answer.map_err(Fault::from).context("identity did not make the account")?.into_inner();
    let activation_url = invited(folder, directory, base_url, &answer.account_id).await?;
    let client = ClientFile {
        base_url: base_url.to_owned(),
        account_id: answer.account_id,
        client_id: answer.client_id,
        algorithm: "ed25519".into(),
        private_key_file: "client.pem".into(),
    };
    write_json(&folder.join("client.json"), &client)?;
    Ok(Made { client, activation_url })
}

/// The Owner's link. An attempt that was cut off may be finished when the Owner has activated by its mail already: then
/// there is none, and `owner.json` stays as that attempt left it.
async fn invited(folder: &Path, directory: Link, base_url: &str, account_id: &str) -> Result<Option<String>> {
    match invite_owner(folder, directory, base_url, account_id).await {
        Ok(link) => Ok(Some(link)),
        Err(error) => match error.downcast_ref::<Fault>() {
            Some(fault) if fault.code == Code::UserActive => Ok(None),
            Some(_) | None => Err(error),
        },
    }
}

/// Draws an activation link for the account's Owner, mails it, and writes it into `owner.json`. Earlier links end.
///
/// # Errors
/// When identity refuses (the Owner has activated) or the file cannot be written.
pub async fn invite_owner(
    folder: &Path,
    directory: Link,
    base_url: &str,
    account_id: &str,
) -> Result<String> {
    let request = InviteOwnerRequest { account_id: account_id.into() };
    let answer = DirectoryClient::new(directory).invite_owner(request).await;
    let answer = answer.map_err(Fault::from)?.into_inner();
    let activation_url = format!("{base_url}/activate?token={}", answer.activation_token);
    let owner = OwnerFile { email: answer.email, activation_url: activation_url.clone() };
    write_json(&folder.join("owner.json"), &owner)?;
    Ok(activation_url)
}

/// The name of the attempt that `folder` is for: drawn once and kept there until the account is made.
///
/// # Errors
/// When it cannot be written or read.
pub fn attempt(folder: &Path, entropy: &Entropy) -> Result<String> {
    let file = folder.join("attempt");
    if !file.is_file() {
        let name = format!("admin:{}", hex::encode(entropy.bytes::<16>()));
        write_private(&file, name.as_bytes()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
}

/// Where the gateway of a data directory was last started.
#[must_use]
pub fn read_base_url(dir: &Path) -> Option<String> {
    let text = std::fs::read_to_string(client_file(dir)).ok()?;
    serde_json::from_str::<ClientFile>(&text).ok().map(|client| client.base_url)
}

/// The key in the file; a new one when there is none, on disk before anybody hears of it.
fn first_key(path: &Path, entropy: &Entropy) -> Result<PrivateKey> {
    if path.is_file() {
        let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        return PrivateKey::from_pkcs8_pem(&pem).with_context(|| format!("{} is no key", path.display()));
    }
    let key = PrivateKey::generate(KeyKind::Ed25519, entropy)?;
    write_private(path, key.to_pkcs8_pem()?.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(key)
}

/// A later start may listen elsewhere; `beem call` goes where the system is now.
fn follow_address(file: &Path, base_url: &str) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut client: ClientFile =
        serde_json::from_str(&text).with_context(|| format!("{} is not as we wrote it", file.display()))?;
    if client.base_url != base_url {
        base_url.clone_into(&mut client.base_url);
        write_json(file, &client)?;
    }
    follow_owner(&file.with_file_name("owner.json"), base_url)
}

/// The Owner's link, too.
fn follow_owner(file: &Path, base_url: &str) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(()) };
    let mut owner: OwnerFile =
        serde_json::from_str(&text).with_context(|| format!("{} is not as we wrote it", file.display()))?;
    match owner.activation_url.split_once("/activate?") {
        Some((origin, token)) if origin != base_url => {
            owner.activation_url = format!("{base_url}/activate?{token}");
            write_json(file, &owner)
        }
        _ => Ok(()),
    }
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    write_private(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
