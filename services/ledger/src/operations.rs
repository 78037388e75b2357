//! One RPC a file: parse, load, decide, commit, announce.

mod create_credit;
mod create_quote;
mod create_wallet;
mod execute_quote;
mod expire_holds;
mod export_transactions;
mod get_quote;
mod get_wallet;
mod go_on_with_suspended;
mod list_balances;
mod list_currencies;
mod list_quotes;
mod list_suspended;
mod list_transactions;
mod list_wallets;
mod lock_rate;
mod post_batches;
mod post_hold;
mod post_outbound;
mod read_hold;
mod read_rate;
mod read_settlement;
mod read_wallet;
mod release_inbound;
mod reserve;
mod reserve_outbound;
mod settle_inbound;
mod void_hold;

pub use beem_writes::{PATIENCE, refused};
pub use go_on_with_suspended::Rounds;

use crate::rates::Rates;
use crate::settings::LedgerSettings;
use crate::store;
use crate::writer::Writer;
use crate::{LedgerDeps, tasks};
use beem_clock::{Clock, Entropy};
use beem_database::claims::Outcome;
use beem_database::{Database, Tx};
use beem_events::Feed;
use beem_fault::{Code, Fault, Result};
use beem_money::{Currencies, Currency, CurrencyCode};
use beem_proto::{AnswerJson, Contract};
use beem_runtime::Task;
use beem_settings::Environment;
use beem_telemetry::Telemetry;
use beem_writes::{Remember, Trail, Writes};
use futures::future::BoxFuture;
use std::sync::Arc;

/// What the operations work with.
pub struct Means {
    pub db: Database,
    pub feed: Feed,
    pub currencies: Currencies,
    pub rates: Rates,
    pub settings: LedgerSettings,
    pub environment: Environment,
    pub writer: Writer,
    /// Of transactions beside the writer's: it must find connections left.
    writes: Writes,
    pub clock: Clock,
    pub entropy: Entropy,
    pub telemetry: Telemetry,
    /// A wallet and a quote as their GETs answer them, for events.
    pub wallet_json: AnswerJson,
    pub quote_json: AnswerJson,
}

/// The ledger's operations. Cheap to clone.
#[derive(Clone)]
pub struct Operations(pub Arc<Means>);

impl Means {
    /// Opens the installation, its system accounts, the writer and the rates.
    ///
    /// # Errors
    /// As [`crate::build`].
    pub async fn open(settings: LedgerSettings, deps: LedgerDeps) -> Result<(Operations, Vec<Task>)> {
        let db = deps.database.clone();
        let environment = store::installation::open(&db, deps.environment).await?;
        let currencies = settings.currencies()?;
        store::accounts::open_system(&db, &settings, &currencies, environment).await?;
        let contract = Contract::load().map_err(Fault::internal)?;
        let (writer, committer) = Writer::new(db.clone(), &settings, deps.telemetry.clone());
        let means = Self {
            feed: Feed::open(db.clone()).await?,
            rates: Rates::open(&settings, &currencies, &deps.clock, &deps.telemetry)?,
            db,
            currencies,
            environment,
            writer,
            writes: Writes::new(settings.writes_at_once),
            clock: deps.clock.clone(),
            entropy: deps.entropy.clone(),
            telemetry: deps.telemetry.clone(),
            wallet_json: AnswerJson::new(&contract, "beem.ledger.v1.Wallet").map_err(Fault::internal)?,
            quote_json: AnswerJson::new(&contract, "beem.ledger.v1.Quote").map_err(Fault::internal)?,
            settings,
        };
        let operations = Operations(Arc::new(means));
        let tasks = tasks::all(&operations, committer, deps);
        Ok((operations, tasks))
    }

    /// A currency a caller named.
    ///
    /// # Errors
    /// `currency-unknown` naming the field.
    pub fn currency(&self, field: &str, code: &str) -> Result<&Currency> {
        let found = CurrencyCode::parse(code).ok().and_then(|code| self.currencies.get(code));
        found.ok_or_else(|| Fault::field_as(Code::CurrencyUnknown, field, "a code of ListCurrencies"))
    }

    /// A currency of our own tables.
    ///
    /// # Errors
    /// `internal` when the registry no longer has it.
    pub fn stored_currency(&self, code: CurrencyCode) -> Result<&Currency> {
        self.currencies
            .get(code)
            .ok_or_else(|| Fault::internal(format!("{code} is no longer in the registry")))
    }
}

impl Operations {
    /// See [`Writes::write`].
    pub async fn write<'e, W>(
        &self,
        trail: Trail<'e>,
        rpc: &str,
        request: &[u8],
        target: &str,
        work: W,
    ) -> Outcome
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
    {
        self.0.writes.write(&self.0.db, trail, (rpc, Remember::Plain), request, target, work).await
    }

    /// See [`Writes::effect`]: for those that do more than what the writer does.
    pub async fn effect<'e, W>(&self, key: &str, fingerprint: [u8; 32], work: W) -> Outcome
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
    {
        self.0.writes.effect(&self.0.db, key, fingerprint, work).await
    }
}
