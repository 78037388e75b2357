//! Whose key a command signs with: a credentials file, or the data directory's.

use super::Common;
use crate::bootstrap::{ClientFile, client_file};
use anyhow::{Context, Result, bail};
use beem_signing::{Algorithm, PrivateKey, Signer};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Args)]
pub struct CredentialsArgs {
    /// A client.json [default: DIR/credentials/client.json]
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
}

/// A client that can sign.
pub struct Credentials {
    pub client: ClientFile,
    pub signer: Signer,
}

/// # Errors
/// When the files are not there or do not fit each other.
pub fn load(common: &Common, args: &CredentialsArgs) -> Result<Credentials> {
    let dir = common.data_dir.clone().unwrap_or_else(|| ".beem".into());
    let file = args.credentials.clone().unwrap_or_else(|| client_file(&dir));
    let text = std::fs::read_to_string(&file).with_context(|| {
        format!("cannot read {}: start beem once, or name a file with --credentials", file.display())
    })?;
    let client: ClientFile = serde_json::from_str(&text).with_context(|| format!("{}", file.display()))?;
    let beside = file.parent().unwrap_or_else(|| Path::new("."));
    let key = read_key(&beside.join(&client.private_key_file))?;
    let mut signer = Signer::new(client.client_id.clone(), key);
    signer.algorithm = algorithm(&client.algorithm, &signer)?;
    Ok(Credentials { client, signer })
}

/// # Errors
/// When it is not there or no PKCS#8 key.
pub fn read_key(path: &Path) -> Result<PrivateKey> {
    let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    PrivateKey::from_pkcs8_pem(&pem).with_context(|| format!("{}", path.display()))
}

/// The algorithm of that name (a key's kind stands for its usual one), which the signer's key must be able to do.
///
/// # Errors
/// When there is none, or the key cannot.
pub fn algorithm(name: &str, signer: &Signer) -> Result<Algorithm> {
    let kind = signer.key.kind();
    if name == kind.as_str() {
        return Ok(kind.default_algorithm());
    }
    let algorithm = Algorithm::parse(name).with_context(|| format!("there is no algorithm {name}"))?;
    if algorithm.key_kind() != kind {
        bail!("a key of kind {} does not sign with {name}", kind.as_str());
    }
    Ok(algorithm)
}
