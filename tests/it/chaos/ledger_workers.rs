//! Who moves money while its ledger is killed: services that post, hold, charge and release at either process, and a
//! customer who converts at the gateways. Half of what they hear nothing of they try again at once, under its key; the
//! other half they leave for the end.

use super::ledger_books::{Deed, Outcome, Placed, Sums, Wallets};
use super::trying::{Write, is_certain};
use super::writers::{Choices, Course};
use crate::ledger::books::{
    Inside, Purse, accept, between, cause, conversion, id, minor, system_side, wallet_side,
};
use beem_proto::ledger::v1::{Batch, PostHoldRequest, ReserveRequest, VoidHoldRequest};
use beem_tests::{Answer, Client};
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

const PAUSE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether nobody can tell what became of it.
fn is_open(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Aborted | Code::Cancelled | Code::Unknown
    )
}

/// A deed once, at one process; none when nobody can tell what became of it.
async fn attempt(deed: &Deed, payments: &Inside) -> Option<Outcome> {
    let answer = match deed.clone() {
        Deed::Batch(batch) => payments.post(batch).await.map(|outcome| {
            if outcome.refused.is_empty() {
                Outcome::Done(outcome.transfer_ids)
            } else {
                Outcome::Refused(outcome.refused)
            }
        }),
        Deed::Reserve(request) => payments.reserve(request).await.map(|hold| Outcome::Done(vec![hold.id])),
        Deed::Post(request, _) => {
            payments.post_hold(request).await.map(|hold| Outcome::Done(vec![hold.id, hold.posted]))
        }
        Deed::Void(request, _) => payments.void_hold(request).await.map(|hold| Outcome::Done(vec![hold.id])),
    };
    match answer {
        Ok(outcome) => Some(outcome),
        Err(status) if is_open(&status) => None,
        Err(status) if status.code() == Code::FailedPrecondition => {
            Some(Outcome::Refused(status.message().to_owned()))
        }
        Err(status) => panic!("{deed:?}: {status:?}"),
    }
}

/// Again and again, at one process after the other.
pub async fn persist(deed: &Deed, payments: &[Inside; 2]) -> Outcome {
    let began = Instant::now();
    for one in payments.iter().cycle() {
        if let Some(outcome) = attempt(deed, one).await {
            return outcome;
        }
        assert!(began.elapsed() < PATIENCE, "{deed:?}: no certain outcome in time");
        sleep(PAUSE).await;
    }
    unreachable!("there are two")
}

/// Another service.
#[derive(Debug)]
pub struct Poster {
    name: String,
    choices: Choices,
    wallets: Wallets,
    holds: Vec<Placed>,
    count: u32,
    pub done: Vec<(Deed, Outcome)>,
    pub open: Vec<Deed>,
}

impl Poster {
    pub fn new(name: &str, seed: u64, wallets: &Wallets) -> Self {
        let (choices, wallets) = (Choices::new(seed), wallets.clone());
        Self {
            name: name.into(),
            choices,
            wallets,
            holds: Vec::new(),
            count: 0,
            done: Vec::new(),
            open: Vec::new(),
        }
    }

    pub async fn work(mut self, payments: [Inside; 2], course: Course) -> Self {
        while !course.end.load(Ordering::Relaxed) {
            let deed = self.choose();
            let outcome = match attempt(&deed, &payments[self.choices.index(2)]).await {
                Some(outcome) => outcome,
                None if self.choices.below(2) == 0 => {
                    self.open.push(deed);
                    // As a caller does whose peer is away.
                    sleep(PAUSE).await;
                    continue;
                }
                None => persist(&deed, &payments).await,
            };
            self.told(deed, outcome);
            course.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        self
    }

    fn told(&mut self, deed: Deed, outcome: Outcome) {
        if let (Deed::Reserve(reserve), Outcome::Done(ids)) = (&deed, &outcome) {
            let (id, wallet) = (ids[0].clone(), reserve.wallet_id.clone());
            self.holds.push(Placed { id, wallet, cents: minor(&reserve.amount) });
        }
        self.done.push((deed, outcome));
    }

    fn choose(&mut self) -> Deed {
        self.count += 1;
        let key = format!("{}:{}", self.name, self.count);
        match (self.choices.below(10), self.holds.is_empty()) {
            (0..=4, _) => self.batch(key),
            (5 | 6, _) | (_, true) => self.reserve(key),
            (7 | 8, false) => {
                let placed = self.placed();
                Deed::Post(self.post(key, &placed), placed)
            }
            (_, false) => {
                let placed = self.placed();
                let account_id = self.wallets.account.clone();
                Deed::Void(
                    VoidHoldRequest { effect_key: key, account_id, hold_id: placed.id.clone() },
                    placed,
                )
            }
        }
    }

    fn placed(&mut self) -> Placed {
        self.holds.swap_remove(self.choices.index(self.holds.len()))
    }

    fn dollars(&self) -> String {
        self.wallets.usd[self.choices.index(self.wallets.usd.len())].clone()
    }

    /// 0.01 to 40.00, and now and then more than anybody has.
    fn amount(&self) -> String {
        let cents = if self.choices.below(20) == 0 { 999_999_999 } else { self.choices.below(4_000) + 1 };
        format!("{}.{:02}", cents / 100, cents % 100)
    }

    fn batch(&self, key: String) -> Deed {
        let pair = |wallets: &[String]| {
            let from = self.choices.index(wallets.len());
            let to = (from + 1 + self.choices.index(wallets.len() - 1)) % wallets.len();
            (wallets[from].clone(), wallets[to].clone())
        };
        let transfers = (0..=self.choices.below(4)).map(|_| {
            let (wallets, currency) = if self.choices.below(4) == 0 {
                (&self.wallets.eur, "EUR")
            } else {
                (&self.wallets.usd, "USD")
            };
            let (from, to) = pair(wallets);
            let mut transfer = between(&from, &to, currency, &self.amount(), &key);
            if self.choices.below(8) == 0 {
                transfer.credit = system_side("FEES", "");
                transfer.kind = "FEE".into();
            }
            transfer
        });
        let transfers = transfers.collect();
        Deed::Batch(Batch { account_id: self.wallets.account.clone(), transfers, effect_key: key })
    }

    fn reserve(&self, key: String) -> Deed {
        Deed::Reserve(ReserveRequest {
            account_id: self.wallets.account.clone(),
            wallet_id: self.dollars(),
            amount: self.amount(),
            reference: key.clone(),
            cause: cause(),
            expires_at: None,
            effect_key: key,
        })
    }

    fn post(&self, key: String, placed: &Placed) -> PostHoldRequest {
        let part = 1 + self.choices.below(u64::try_from(placed.cents).unwrap());
        let amount = if self.choices.below(2) == 0 {
            String::new()
        } else {
            format!("{}.{:02}", part / 100, part % 100)
        };
        let other = self.dollars();
        let credit = if other == placed.wallet { system_side("FEES", "") } else { wallet_side(&other) };
        PostHoldRequest {
            effect_key: key,
            account_id: self.wallets.account.clone(),
            hold_id: placed.id.clone(),
            amount,
            credit,
            kind: "PAYMENT_OUT".into(),
        }
    }
}

/// A customer.
#[derive(Debug)]
pub struct Converter {
    name: String,
    choices: Choices,
    wallets: Wallets,
    gateways: Vec<Client>,
    count: u32,
    pub done: Vec<(Write, Answer)>,
    pub open: Vec<Write>,
}

impl Converter {
    pub fn new(name: &str, seed: u64, wallets: &Wallets, purses: &[Purse]) -> Self {
        let gateways = purses.iter().map(|p| p.0.clone()).collect();
        let (choices, wallets) = (Choices::new(seed), wallets.clone());
        Self { name: name.into(), choices, wallets, gateways, count: 0, done: Vec::new(), open: Vec::new() }
    }

    pub async fn work(mut self, course: Course) -> Self {
        while !course.end.load(Ordering::Relaxed) {
            let quote = self.quote().await;
            let key = format!("{}:{}:accept", self.name, self.count);
            let write = Write { method: "PUT", target: accept(&quote), body: Value::Null, key };
            let answer = match write.attempt(&self.gateways[self.choices.index(self.gateways.len())]).await {
                Ok(answer) if is_certain(&answer) => answer,
                _ if self.choices.below(2) == 0 => {
                    self.open.push(write);
                    continue;
                }
                _ => write.persist(&self.gateways).await,
            };
            self.done.push((write, answer));
            course.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        self
    }

    async fn quote(&mut self) -> String {
        self.count += 1;
        let pick = |wallets: &[String]| wallets[self.choices.index(wallets.len())].clone();
        let (mut from, mut to) = (pick(&self.wallets.usd), pick(&self.wallets.eur));
        if self.choices.below(2) == 0 {
            std::mem::swap(&mut from, &mut to);
        }
        let cents = 2 + self.choices.below(3_000);
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let (body, key) = (conversion(&from, &to, &amount), format!("{}:{}", self.name, self.count));
        let write = Write { method: "POST", target: crate::ledger::books::QUOTES.into(), body, key };
        id(&write.persist(&self.gateways).await.expect(201))
    }

    /// What was left open is done or refused now, under its key; and what was told stays so.
    pub async fn look_after(&mut self, sums: &mut Sums) {
        for write in std::mem::take(&mut self.open) {
            let answer = write.persist(&self.gateways).await;
            self.done.push((write, answer));
        }
        for (write, answer) in &self.done {
            let again = write.persist(&self.gateways).await;
            assert_eq!(
                (again.status, again.json()["id"].clone()),
                (answer.status, answer.json()["id"].clone()),
                "{write:?}"
            );
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{write:?}");
            if answer.status != 200 {
                answer.refused(422, "insufficient-funds");
                continue;
            }
            let quote = answer.json();
            let text = |a: &str, b: &str| quote[a][b].as_str().unwrap().to_owned();
            let (out, got) = (minor(&text("amountIn", "amount")), minor(&text("amountOut", "amount")));
            let wallet = |name: &str| quote[name].as_str().unwrap().to_owned();
            sums.moved(&wallet("fromWalletId"), -out, quote["id"].as_str().unwrap());
            sums.moved(&wallet("toWalletId"), got, quote["id"].as_str().unwrap());
        }
    }
}
