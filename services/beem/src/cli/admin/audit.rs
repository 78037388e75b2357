//! `beem admin verify-audit` and `audit-heads`. A running installation verifies itself; of a data directory that nobody
//! serves the trail is read here.

use super::{is_cluster, link};
use crate::cli::say;
use crate::data_dir::DataDir;
use crate::keys;
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beem_clock::{Clock, Entropy};
use beem_database::{Database, DatabaseSettings};
use beem_fault::Fault;
use beem_link::Link;
use beem_proto::authz::v1::audit_client::AuditClient;
use beem_proto::authz::v1::{
    AuditFinding, AuditHead, ListAuditHeadsRequest, VerifyAuditRequest, VerifyAuditResponse,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct VerifyAuditArgs {
    /// Heads that audit-heads printed earlier: the trail must still reach them
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
}

/// One line of `audit-heads`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HeadLine {
    account_id: String,
    sequence: u64,
    /// Hex.
    hash: String,
    time_ms: i64,
    /// Base64.
    signature: String,
}

pub(super) async fn heads(settings: &Settings) -> Result<()> {
    let mut audit = AuditClient::new(link(settings, "authz").await?);
    let mut page_token = String::new();
    loop {
        let answer = audit.list_audit_heads(ListAuditHeadsRequest { max: 500, page_token }).await;
        let page = answer.map_err(Fault::from)?.into_inner();
        for head in page.heads {
            let line = HeadLine {
                account_id: head.account_id,
                sequence: head.sequence,
                hash: hex::encode(&head.hash),
                time_ms: head.time_ms,
                signature: STANDARD.encode(&head.signature),
            };
            say(serde_json::to_string(&line)?);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

pub(super) async fn verify(settings: &Settings, args: &VerifyAuditArgs) -> Result<ExitCode> {
    let kept = args.heads.as_deref().map(read_heads).transpose()?.unwrap_or_default();
    let stopped = !is_cluster(settings) && link(settings, "authz").await.is_err();
    let verdict = if stopped {
        offline(settings, &kept).await?
    } else {
        online(link(settings, "authz").await?, kept).await?
    };
    for finding in &verdict.findings {
        let AuditFinding { account_id, sequence, row_id, detail } = finding;
        say(format_args!("WRONG  account {account_id} row {sequence} {row_id}: {detail}"));
    }
    let how = if stopped { "as it lies on disk" } else { "as it is served" };
    say(format_args!(
        "{} rows, {} heads, {} findings, {how}",
        verdict.rows,
        verdict.heads,
        verdict.findings.len()
    ));
    Ok(if verdict.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What all pages said together.
#[derive(Default)]
struct Verdict {
    findings: Vec<AuditFinding>,
    rows: u64,
    heads: u64,
}

impl Verdict {
    fn add(&mut self, page: VerifyAuditResponse) -> String {
        self.findings.extend(page.findings);
        self.rows = self.rows.saturating_add(page.rows);
        self.heads = self.heads.saturating_add(page.heads);
        page.next_page_token
    }
}

async fn online(link: Link, kept_heads: Vec<AuditHead>) -> Result<Verdict> {
    let mut audit = AuditClient::new(link);
    let mut verdict = Verdict::default();
    let mut request = VerifyAuditRequest { kept_heads, ..VerifyAuditRequest::default() };
    loop {
        let answer = audit.verify_audit(request).await.map_err(Fault::from)?;
        let page_token = verdict.add(answer.into_inner());
        if page_token.is_empty() {
            return Ok(verdict);
        }
        request = VerifyAuditRequest { page_token, ..VerifyAuditRequest::default() };
    }
}

/// Of a directory nobody serves, and nobody may begin to serve meanwhile.
async fn offline(settings: &Settings, kept: &[AuditHead]) -> Result<Verdict> {
    let file = settings.data_dir.join("authz.sqlite");
    if !file.is_file() {
        bail!("{} is no data directory of an installation", settings.data_dir.display());
    }
    let dir = DataDir::open(&settings.data_dir)?;
    let key = keys::read_lasting_key(&dir.file(keys::STANDING_FILE))?.verifying_key();
    let keys = [vec![key], settings.authz.former_keys()?].concat();
    let database = DatabaseSettings::at(format!("sqlite:{}", file.display()));
    let database = Database::connect(&database, Clock::System, Entropy::System).await?;
    let mut verdict = Verdict::default();
    let found = |finding| verdict.findings.push(finding);
    (verdict.rows, verdict.heads) = beem_authz::verify_audit(&database, &keys, kept, found).await?;
    Ok(verdict)
}

fn read_heads(file: &Path) -> Result<Vec<AuditHead>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let head = |line: &str| -> Result<AuditHead> {
        let line: HeadLine = serde_json::from_str(line)?;
        Ok(AuditHead {
            account_id: line.account_id,
            sequence: line.sequence,
            hash: hex::decode(&line.hash)?,
            time_ms: line.time_ms,
            signature: STANDARD.decode(&line.signature)?,
        })
    };
    let heads = lines.map(head).collect::<Result<Vec<_>>>();
    heads.with_context(|| format!("{} is not what audit-heads prints", file.display()))
}
