//! What callers ask for: batches of transfers between wallets of one account, each batch under a key of its own.

use super::books::{ACCOUNT, CURRENCY};
use beem_clock::Entropy;
use beem_proto::ledger::v1::{Batch, Cause, PostBatchesRequest, Side, Transfer};
use prost::Message as _;
use std::cell::Cell;

/// Wallets that are hot.
const HOT: usize = 10;

/// What each wallet has in the beginning.
const FUNDS: &str = "1000000.00";
/// Where that comes from: in a sandbox it has no limit.
const SOURCE: &str = "LIQUIDITY";

/// Between whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// From any wallet to any other.
    Uniform,
    /// From any wallet to one of the hot ones.
    ToHot,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub batches: usize,
    /// Linked transfers of each batch.
    pub linked: usize,
}

impl Size {
    pub const fn transfers(self) -> usize {
        self.batches * self.linked
    }
}

/// See the module.
pub struct Orders {
    wallets: Vec<String>,
    /// Tells the keys of this run from others.
    run: String,
    made: Cell<u64>,
    random: Cell<u64>,
}

impl Orders {
    pub fn new(wallets: Vec<String>) -> Self {
        let seed = Entropy::System.bytes::<8>();
        let random = Cell::new(u64::from_be_bytes(seed) | 1);
        Self { wallets, run: hex::encode(seed), made: Cell::new(0), random }
    }

    /// Calls that put funds into every wallet.
    pub fn funding(&self) -> Vec<Vec<u8>> {
        let source = || Side { system: SOURCE.to_owned(), ..Side::default() };
        let of = |chunk: &[String]| {
            let one = |wallet: &String| {
                let funds = transfer(source(), side(wallet), FUNDS.to_owned(), "ADJUSTMENT", String::new());
                self.batch(vec![funds])
            };
            PostBatchesRequest { batches: chunk.iter().map(one).collect() }.encode_to_vec()
        };
        self.wallets.chunks(1_000).map(of).collect()
    }

    /// A call, encoded.
    pub fn call(&self, size: Size, spread: Spread) -> Vec<u8> {
        let batches =
            (0..size.batches).map(|_| self.batch((0..size.linked).map(|_| self.transfer(spread)).collect()));
        PostBatchesRequest { batches: batches.collect() }.encode_to_vec()
    }

    fn batch(&self, transfers: Vec<Transfer>) -> Batch {
        let n = self.next();
        Batch { effect_key: format!("payment:{}:{n}", self.run), account_id: ACCOUNT.to_owned(), transfers }
    }

    fn transfer(&self, spread: Spread) -> Transfer {
        let (all, targets) = match spread {
            Spread::Uniform => (self.wallets.len(), self.wallets.len()),
            Spread::ToHot => (self.wallets.len(), HOT),
        };
        let credit = self.below(targets);
        // Another one than that, all with the same chance.
        let debit = (credit + 1 + self.below(all - 1)) % all;
        let at = |n: usize| side(self.wallets.get(n).map_or("", String::as_str));
        let amount = format!("{}.{:02}", self.below(10), self.below(99) + 1);
        transfer(at(debit), at(credit), amount, "PAYMENT_IN", format!("order {}", self.made.get()))
    }

    fn next(&self) -> u64 {
        self.made.set(self.made.get() + 1);
        self.made.get()
    }

    /// Marsaglia's xorshift64: even enough for load, and it costs nothing.
    fn below(&self, n: usize) -> usize {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        let n = u64::try_from(n).unwrap_or(u64::MAX).max(1);
        usize::try_from((x >> 11) % n).unwrap_or(0)
    }

    /// Above 0, at most 1.
    pub fn chance(&self) -> f64 {
        let n = u32::try_from(self.below(1 << 30)).unwrap_or(0);
        (f64::from(n) + 1.0) / f64::from(1_u32 << 30)
    }
}

fn side(wallet: &str) -> Side {
    Side { wallet_id: wallet.to_owned(), ..Side::default() }
}

fn transfer(debit: Side, credit: Side, amount: String, kind: &str, reference: String) -> Transfer {
    let cause = Cause { r#type: "payment".to_owned(), id: "019a0000-0000-7000-8000-000000000001".to_owned() };
    Transfer {
        debit: Some(debit),
        credit: Some(credit),
        currency: CURRENCY.to_owned(),
        amount,
        kind: kind.to_owned(),
        reference,
        cause: Some(cause),
    }
}
