//! An installation whose ledger is two processes on one PostgreSQL: gateways know the one, other services know both. And what
//! the workers of its chaos were told, as sums.

use super::installation::Installation;
use crate::ledger::books::{Inside, Purse, minor};
use beem_proto::ledger::v1::{Batch, PostHoldRequest, ReserveRequest, VoidHoldRequest};
use beem_testkit::cluster::{beem_bin, free_addresses, http_status};
use beem_testkit::process::{Launch, Process};
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::environment::internal_services;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const READY: Duration = Duration::from_secs(60);
const SETTINGS: [(&str, &str); 1] = [("BEEM__LEDGER__QUOTE_TTL_S", "3600")];

/// See the module.
#[derive(Debug)]
pub struct TwoLedgers {
    // Declared first: it ends before what it stands on.
    second: Process,
    launch: Launch,
    listen: SocketAddr,
    admin: SocketAddr,
    pub installation: Installation,
}

impl TwoLedgers {
    pub fn start() -> Self {
        let installation = Installation::start(&SETTINGS);
        let folder = installation.cluster.folder().to_owned();
        let [listen, admin] = free_addresses(2).unwrap()[..] else { unreachable!("two were asked for") };
        let text = std::fs::read_to_string(folder.join("ledger.toml")).unwrap();
        let mut settings: toml::Table = text.parse().unwrap();
        settings["grpc"]["listen"] = listen.to_string().into();
        settings["admin_listen"] = admin.to_string().into();
        let config = folder.join("ledger-2.toml");
        std::fs::write(&config, settings.to_string()).unwrap();
        let launch = Launch::new("ledger-2", beem_bin(), &folder).args(["serve", "--config"]).arg(config);
        let (name, value) = internal_services();
        let launch =
            SETTINGS.iter().fold(launch.env(name, value), |launch, (name, value)| launch.env(name, value));
        let second = launch.start().unwrap();
        let mut both = Self { second, launch, listen, admin, installation };
        both.wait_for_second();
        both
    }

    /// Payments, at each of the two.
    pub fn payments(&self) -> [Inside; 2] {
        let keys = ClusterKeys::read(self.installation.cluster.folder());
        let second = keys.channel_to("ledger", &format!("https://{}", self.listen));
        [Inside::payments(&keys), Inside::to(second, keys.internal("payments"))]
    }

    pub fn kill(&mut self, victim: &str) {
        match victim {
            "ledger-2" => self.second.kill(),
            "postgres" => self.installation.postgres.kill(),
            "both" => {
                self.second.kill();
                self.installation.cluster.kill("ledger").unwrap();
            }
            name => self.installation.cluster.kill(name).unwrap(),
        }
    }

    pub fn start_again(&mut self, victim: &str) {
        match victim {
            "postgres" => return self.installation.postgres.start_again().unwrap(),
            "both" => {
                self.start_second();
                self.installation.cluster.start_again("ledger").unwrap();
            }
            "ledger-2" => self.start_second(),
            name => self.installation.cluster.start_again(name).unwrap(),
        }
        self.wait_for_second();
    }

    pub fn all_run(&mut self) {
        self.installation.all_run();
        assert!(self.second.is_running(), "ledger-2 ended:\n{}", self.second.log_tail());
    }

    fn start_second(&mut self) {
        self.second = self.launch.start().unwrap();
    }

    fn wait_for_second(&mut self) {
        let ready = beem_testkit::eventually("ledger-2 is ready", READY, || {
            Ok((http_status(self.admin, "/readyz") == Some(200)).then_some(()))
        });
        ready.unwrap_or_else(|e| panic!("{e}\n{}", self.second.log_tail()));
    }
}

/// The wallets of one run.
#[derive(Clone, Debug)]
pub struct Wallets {
    pub account: String,
    pub usd: Vec<String>,
    pub eur: Vec<String>,
}

impl Wallets {
    pub const FILLED: &str = "500.00";

    pub async fn open(purse: &Purse) -> Self {
        let (mut usd, mut eur) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            usd.push(purse.filled("USD", Self::FILLED).await);
            eur.push(purse.filled("EUR", Self::FILLED).await);
        }
        Self { account: purse.0.creds.account_id.clone(), usd, eur }
    }

    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.usd.iter().chain(&self.eur)
    }
}

/// What payments asks for.
#[derive(Clone, Debug)]
pub enum Deed {
    Batch(Batch),
    Reserve(ReserveRequest),
    /// With what is held, and where.
    Post(PostHoldRequest, Placed),
    Void(VoidHoldRequest, Placed),
}

/// A hold as its owner knows it.
#[derive(Clone, Debug)]
pub struct Placed {
    pub id: String,
    pub wallet: String,
    pub cents: i128,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The ids it made.
    Done(Vec<String>),
    Refused(String),
}

/// Cents of every wallet, and how often each reference moved something in it.
#[derive(Debug, Default)]
pub struct Sums {
    pub total: BTreeMap<String, i128>,
    pub reserved: BTreeMap<String, i128>,
    pub moved: BTreeMap<(String, String), usize>,
}

impl Sums {
    pub fn of(wallets: &Wallets) -> Self {
        let mut sums = Self::default();
        for wallet in wallets.all() {
            sums.total.insert(wallet.clone(), minor(Wallets::FILLED));
            sums.reserved.insert(wallet.clone(), 0);
        }
        sums
    }

    /// That moved something in a wallet; system accounts are not told of.
    pub fn moved(&mut self, wallet: &str, cents: i128, reference: &str) {
        if let Some(total) = self.total.get_mut(wallet) {
            *total += cents;
            *self.moved.entry((wallet.to_owned(), reference.to_owned())).or_default() += 1;
        }
    }

    /// A deed that was done.
    pub fn add(&mut self, deed: &Deed) {
        match deed {
            Deed::Batch(batch) => {
                for transfer in &batch.transfers {
                    let cents = minor(&transfer.amount);
                    let of = |side: &Option<beem_proto::ledger::v1::Side>| {
                        side.clone().unwrap_or_default().wallet_id
                    };
                    self.moved(&of(&transfer.debit), -cents, &transfer.reference);
                    self.moved(&of(&transfer.credit), cents, &transfer.reference);
                }
            }
            Deed::Reserve(reserve) => {
                *self.reserved.get_mut(&reserve.wallet_id).unwrap() += minor(&reserve.amount);
            }
            Deed::Post(post, placed) => {
                let cents = if post.amount.is_empty() { placed.cents } else { minor(&post.amount) };
                *self.reserved.get_mut(&placed.wallet).unwrap() -= placed.cents;
                // A posted hold has the reference it was placed with.
                *self.total.get_mut(&placed.wallet).unwrap() -= cents;
                let to = post.credit.clone().unwrap_or_default().wallet_id;
                if let Some(total) = self.total.get_mut(&to) {
                    *total += cents;
                }
            }
            Deed::Void(_, placed) => *self.reserved.get_mut(&placed.wallet).unwrap() -= placed.cents,
        }
    }
}
