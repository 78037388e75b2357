//! `beem keygen`: a key pair for a client; with `--cluster`, everything a cluster's processes need to know each other.

use super::say;
use crate::cluster_files::{self, Plan};
use crate::data_dir::write_private;
use anyhow::{Context, Result, bail};
use beem_clock::Entropy;
use beem_signing::{Algorithm, KeyKind, PrivateKey};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// ed25519, rsa or ecdsa-p256; or an algorithm of RFC 9421
    #[arg(long, default_value = "ed25519")]
    algorithm: String,
    /// Write NAME.pem and NAME.pub.pem instead of printing both
    #[arg(long, value_name = "NAME")]
    out: Option<PathBuf>,
    /// Write the settings, keys and certificates of a cluster's processes into DIR
    #[arg(long, value_name = "DIR", requires = "service")]
    cluster: Option<PathBuf>,
    /// A gateway's public listener; repeat for several
    #[arg(long, value_name = "ADDR:PORT")]
    gateway: Vec<String>,
    /// Where a service listens for the others: identity=10.0.0.5:7001
    #[arg(long, value_name = "NAME=ADDR:PORT", value_parser = pair)]
    service: Vec<(String, String)>,
    /// A service's database: identity=postgres://…
    #[arg(long, value_name = "NAME=URL", value_parser = pair)]
    database: Vec<(String, String)>,
    /// The Redis all share
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// A process's admin port: gateway-1=127.0.0.1:9001
    #[arg(long, value_name = "NAME=ADDR:PORT", value_parser = pair)]
    admin: Vec<(String, String)>,
    /// The origin callers use; repeat for several
    #[arg(long, value_name = "URL")]
    public_origin: Vec<String>,
    /// sandbox or live, for ever
    #[arg(long, value_name = "ENVIRONMENT", default_value = "sandbox", value_parser = ["sandbox", "live"])]
    environment: String,
}

pub fn run(args: &KeygenArgs) -> Result<ExitCode> {
    if let Some(dir) = &args.cluster {
        let plan = Plan {
            gateways: args.gateway.clone(),
            services: args.service.iter().cloned().collect(),
            databases: args.database.iter().cloned().collect(),
            redis: args.redis.clone(),
            admin: args.admin.iter().cloned().collect(),
            public_origins: args.public_origin.clone(),
            environment: args.environment.clone(),
        };
        for file in cluster_files::write(dir, &plan)? {
            say(file.display());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let kind = KeyKind::parse(&args.algorithm)
        .or_else(|| Algorithm::parse(&args.algorithm).map(Algorithm::key_kind));
    let Some(kind) = kind else { bail!("there is no algorithm {}", args.algorithm) };
    let key = PrivateKey::generate(kind, &Entropy::System)?;
    let (private, public) = (key.to_pkcs8_pem()?, key.public().pem());
    match &args.out {
        None => {
            say(private.trim_end());
            say(public.trim_end());
        }
        Some(name) => {
            let beside = |ending: &str| PathBuf::from(format!("{}.{ending}", name.display()));
            let (private_file, public_file) = (beside("pem"), beside("pub.pem"));
            if private_file.exists() {
                bail!("{} is there already", private_file.display());
            }
            write_private(&private_file, private.as_bytes()).context("cannot write the private key")?;
            std::fs::write(&public_file, public).context("cannot write the public key")?;
            say(private_file.display());
            say(public_file.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
