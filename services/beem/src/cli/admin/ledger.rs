//! `beem admin verify-ledger`, `ledger-heads` and `list-suspended`. A running installation verifies itself; of a data
//! directory that nobody serves the books are read here.

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
use beem_proto::ledger::v1::books_client::BooksClient;
use beem_proto::ledger::v1::{
    LedgerFinding, LedgerHead, ListLedgerHeadsRequest, ListSuspendedRequest, VerifyLedgerRequest,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct VerifyLedgerArgs {
    /// Heads that ledger-heads printed earlier: the books must still reach them
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
}

/// Kept heads in one call at most.
const MOST_KEPT: usize = 500;

/// One line of `ledger-heads`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HeadLine {
    number: u64,
    time_ms: i64,
    /// Hex.
    digest: String,
    /// Base64.
    signature: String,
}

pub(super) async fn heads(settings: &Settings) -> Result<()> {
    let mut books = BooksClient::new(link(settings, "ledger").await?);
    let mut page_token = String::new();
    loop {
        let answer = books.list_ledger_heads(ListLedgerHeadsRequest { max: 500, page_token }).await;
        let page = answer.map_err(Fault::from)?.into_inner();
        for head in page.heads {
            let line = HeadLine {
                number: head.number,
                time_ms: head.time_ms,
                digest: hex::encode(&head.digest),
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

/// One line of `list-suspended`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SuspendedLine {
    id: String,
    effect_key: String,
    account_id: String,
    wallet_id: String,
    currency: String,
    amount: String,
    reason: String,
    since_ms: i64,
}

pub(super) async fn suspended(settings: &Settings) -> Result<()> {
    let mut books = BooksClient::new(link(settings, "ledger").await?);
    let mut page_token = String::new();
    loop {
        let answer = books.list_suspended(ListSuspendedRequest { max: 500, page_token }).await;
        let page = answer.map_err(Fault::from)?.into_inner();
        for deposit in page.content {
            let line = SuspendedLine {
                id: deposit.id,
                effect_key: deposit.effect_key,
                account_id: deposit.account_id,
                wallet_id: deposit.wallet_id,
                currency: deposit.currency,
                amount: deposit.amount,
                reason: deposit.reason,
                since_ms: deposit.since_ms,
            };
            say(serde_json::to_string(&line)?);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

pub(super) async fn verify(settings: &Settings, args: &VerifyLedgerArgs) -> Result<ExitCode> {
    let kept = args.heads.as_deref().map(read_heads).transpose()?.unwrap_or_default();
    let stopped = !is_cluster(settings) && link(settings, "ledger").await.is_err();
    let verdict = if stopped {
        offline(settings, &kept).await?
    } else {
        online(link(settings, "ledger").await?, kept).await?
    };
    for LedgerFinding { table, row, detail } in &verdict.findings {
        say(format_args!("WRONG  {table} {row}: {detail}"));
    }
    let how = if stopped { "as they lie on disk" } else { "as they are served" };
    let Verdict { findings, entries, rows } = &verdict;
    say(format_args!("{entries} entries, {rows} other rows, {} findings, {how}", findings.len()));
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What all pages said together.
#[derive(Default)]
struct Verdict {
    findings: Vec<LedgerFinding>,
    entries: u64,
    rows: u64,
}

async fn online(link: Link, kept_heads: Vec<LedgerHead>) -> Result<Verdict> {
    let mut books = BooksClient::new(link);
    let mut verdict = Verdict::default();
    let mut told = HashSet::new();
    let mut request = VerifyLedgerRequest { kept_heads, ..VerifyLedgerRequest::default() };
    loop {
        let page = books.verify_ledger(request).await.map_err(Fault::from)?.into_inner();
        verdict.entries = verdict.entries.saturating_add(page.entries);
        verdict.rows = verdict.rows.saturating_add(page.rows);
        // A row is told once, whatever pages it was met in.
        let new = page.findings.into_iter().filter(|one| told.insert((one.table.clone(), one.row.clone())));
        verdict.findings.extend(new);
        if page.next_page_token.is_empty() {
            return Ok(verdict);
        }
        request = VerifyLedgerRequest { page_token: page.next_page_token, ..VerifyLedgerRequest::default() };
    }
}

/// Of a directory nobody serves, and nobody may begin to serve meanwhile.
async fn offline(settings: &Settings, kept: &[LedgerHead]) -> Result<Verdict> {
    let file = settings.data_dir.join("ledger.sqlite");
    if !file.is_file() {
        bail!("{} is no data directory of an installation", settings.data_dir.display());
    }
    let dir = DataDir::open(&settings.data_dir)?;
    let key = keys::read_lasting_key(&dir.file(keys::LEDGER_FILE))?;
    let keys = settings.ledger.keys(&key)?;
    let database = DatabaseSettings::at(format!("sqlite:{}", file.display()));
    let database = Database::connect(&database, Clock::System, Entropy::System).await?;
    let mut verdict = Verdict::default();
    let found = |finding| verdict.findings.push(finding);
    (verdict.entries, verdict.rows) = beem_ledger::verify_ledger(&database, &keys, kept, found).await?;
    Ok(verdict)
}

/// The newest ones, when there are more than one call takes: they hold those before them.
fn read_heads(file: &Path) -> Result<Vec<LedgerHead>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let head = |line: &str| -> Result<LedgerHead> {
        let line: HeadLine = serde_json::from_str(line)?;
        Ok(LedgerHead {
            number: line.number,
            time_ms: line.time_ms,
            digest: hex::decode(&line.digest)?,
            signature: STANDARD.decode(&line.signature)?,
        })
    };
    let heads = lines.map(head).collect::<Result<Vec<_>>>();
    let mut heads = heads.with_context(|| format!("{} is not what ledger-heads prints", file.display()))?;
    heads.sort_by_key(|head| std::cmp::Reverse(head.number));
    heads.truncate(MOST_KEPT);
    Ok(heads)
}
