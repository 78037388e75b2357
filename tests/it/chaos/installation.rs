//! Installations to be broken: a cluster with a PostgreSQL and a Redis of its own, or one embedded process; and the little
//! that is read behind their backs, from their databases.

use beem_testkit::cluster::{Cluster, Options, beem_bin};
use beem_testkit::folder::RunFolder;
use beem_testkit::process::Process;
use beem_testkit::{postgres, redis};
use beem_tests::environment::{ALLOW_LOOPBACK, internal_services};
use beem_tests::rig::{Gateway, MAIL_FOLDER, Shape};
use beem_tests::{Client, Creds, Mailbox, Rig};
use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};
use std::net::SocketAddr;
use std::time::Duration;

/// A cluster, and the servers under it.
#[derive(Debug)]
pub struct Installation {
    // Declared first: processes stop before what they stand on.
    pub cluster: Cluster,
    pub redis: redis::Server,
    pub postgres: postgres::Server,
    pub gateways: Vec<Gateway>,
    /// A client with all 15 roles.
    pub main: Creds,
    /// What it has sent.
    pub mailbox: Mailbox,
    _mail: RunFolder,
}

impl Installation {
    /// Two gateways without limits that a test reaches, and these settings.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let postgres = postgres::Server::start().unwrap();
        let redis = redis::Server::start().unwrap();
        let mut options = Options::new(beem_bin(), postgres.socket(), redis.url());
        let usual = [
            ALLOW_LOOPBACK,
            ("BEEM__GATEWAY__RATES__CLIENT_PER_S", "100000"),
            ("BEEM__GATEWAY__RATES__ADDRESS_PER_S", "100000"),
        ];
        let all = usual.iter().chain(settings);
        options.envs = all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mail = RunFolder::create().unwrap();
        let mailbox = Mailbox { folder: mail.path().join("mail") };
        options.envs.push(internal_services());
        options.envs.push((MAIL_FOLDER.into(), mailbox.folder.display().to_string()));
        let cluster = Cluster::start(&options).unwrap();
        let gateway = |n| {
            let address = cluster.address(&format!("gateway-{n}")).unwrap();
            Gateway { url: format!("http://{address}"), address }
        };
        let gateways = vec![gateway(1), gateway(2)];
        let (main, _) = Creds::load(&cluster.create_account("Main", "credentials").unwrap()).unwrap();
        Self { cluster, redis, postgres, gateways, main, mailbox, _mail: mail }
    }

    /// The main client at the first gateway.
    pub fn client(&self) -> Client {
        Client { creds: self.main.clone(), gateway: self.gateways[0].clone() }
    }

    /// Any client at every gateway.
    pub fn everywhere(&self, creds: &Creds) -> Vec<Client> {
        self.gateways.iter().map(|g| Client { creds: creds.clone(), gateway: g.clone() }).collect()
    }

    /// That no process of it has ended.
    pub fn all_run(&mut self) {
        for name in ["authz", "identity", "ledger", "hooks", "gateway-1", "gateway-2"] {
            let process = self.cluster.process(name).unwrap();
            assert!(process.is_running(), "{name} ended; its log ends with:\n{}", process.log_tail());
        }
    }
}

/// Either shape, for chaos that is the same on both.
#[derive(Debug)]
pub enum House {
    Embedded(Box<Rig>),
    Clustered(Box<Installation>),
}

impl House {
    pub fn gateways(&self) -> &[Gateway] {
        match self {
            Self::Embedded(rig) => &rig.gateways,
            Self::Clustered(installation) => &installation.gateways,
        }
    }

    pub fn main(&self) -> &Creds {
        match self {
            Self::Embedded(rig) => &rig.main,
            Self::Clustered(installation) => &installation.main,
        }
    }

    /// What it has sent.
    pub fn mailbox(&self) -> &Mailbox {
        match self {
            Self::Embedded(rig) => &rig.mailbox,
            Self::Clustered(installation) => &installation.mailbox,
        }
    }

    /// A client at every gateway.
    pub fn everywhere(&self, creds: &Creds) -> Vec<Client> {
        self.gateways().iter().map(|g| Client { creds: creds.clone(), gateway: g.clone() }).collect()
    }

    /// Everything that can be killed.
    pub fn victims(&self) -> Vec<&'static str> {
        match self {
            Self::Embedded(_) => vec!["beem"; 3],
            Self::Clustered(_) => vec!["identity", "authz", "gateway-1", "gateway-2", "postgres", "redis"],
        }
    }

    pub fn kill(&mut self, victim: &str) {
        match (self, victim) {
            (Self::Embedded(rig), _) => rig.embedded_mut().process.kill(),
            (Self::Clustered(i), "postgres") => i.postgres.kill(),
            (Self::Clustered(i), "redis") => i.redis.kill(),
            (Self::Clustered(i), name) => i.cluster.kill(name).unwrap(),
        }
    }

    pub fn start_again(&mut self, victim: &str) {
        match (self, victim) {
            (Self::Embedded(rig), _) => rig.embedded_mut().start_again().unwrap(),
            (Self::Clustered(i), "postgres") => i.postgres.start_again().unwrap(),
            (Self::Clustered(i), "redis") => i.redis.start_again().unwrap(),
            (Self::Clustered(i), name) => i.cluster.start_again(name).unwrap(),
        }
    }

    /// The process of that name, of a cluster, or the one there is.
    pub fn process(&mut self, name: &str) -> &mut Process {
        match self {
            Self::Embedded(rig) => &mut rig.embedded_mut().process,
            Self::Clustered(installation) => installation.cluster.process(name).unwrap(),
        }
    }

    /// Where that process listens.
    pub fn address(&self, name: &str) -> SocketAddr {
        match self {
            Self::Embedded(rig) => rig.gateways[0].address,
            Self::Clustered(installation) => installation.cluster.address(name).unwrap(),
        }
    }

    /// That nothing has ended but what was killed.
    pub fn all_run(&mut self) {
        match self {
            Self::Embedded(rig) => assert!(rig.embedded_mut().process.is_running()),
            Self::Clustered(installation) => installation.all_run(),
        }
    }

    /// The first column of a query on a service's database, as text. Ids are written `{id}` around their column, as hex in
    /// both databases: `SELECT {id:principal_id} FROM standings`.
    pub async fn column(&self, service: &str, query: &str) -> Vec<String> {
        match self {
            Self::Embedded(rig) => {
                let Shape::Embedded(embedded) = &rig.shape else { unreachable!("it is embedded") };
                let file = embedded.data_dir().join(format!("{service}.sqlite"));
                let query = with_ids(query, "lower(hex(", "))");
                let mut connection =
                    SqliteConnection::connect(&format!("sqlite:{}?mode=ro", file.display())).await.unwrap();
                let query = format!("SELECT CAST(one AS TEXT) FROM ({query})");
                let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.get::<String, _>(0)).collect()
            }
            Self::Clustered(installation) => {
                let url = installation.cluster.database(service).unwrap();
                let name =
                    url.rsplit('/').find(|part| part.contains("?host=")).or_else(|| url.split('/').nth(3));
                let name = name.unwrap().split('?').next().unwrap();
                let query = with_ids(query, "encode(uuid_send(", "), 'hex')");
                let answer = installation.postgres.sql(name, &format!("{query};")).unwrap();
                answer.lines().map(str::to_owned).collect()
            }
        }
    }
}

/// Authz's table of standings, held so that it can be read and not written: a write that needs it stays half way.
#[derive(Debug)]
pub enum Held {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Held {
    /// Until a write is half way: waiting for the table, or, where nobody tells of that, under way.
    pub async fn half_way(&mut self, house: &House) {
        super::trying::within(Duration::from_secs(10), "a write is half way", async || {
            let waiting: i64 = match self {
                Self::Postgres(connection) => {
                    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
                    sqlx::query_scalar(waiting).fetch_one(connection).await.unwrap()
                }
                Self::Sqlite(_) => {
                    let running = "SELECT count(*) AS one FROM claims WHERE state = 'RUNNING'";
                    house.column("identity", running).await[0].parse().unwrap()
                }
            };
            (waiting > 0).then_some(())
        })
        .await;
    }

    pub async fn release(self) {
        match self {
            Self::Postgres(mut connection) => {
                sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
            }
            Self::Sqlite(mut connection) => {
                sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
            }
        }
    }
}

impl House {
    pub async fn hold_standings(&self) -> Held {
        match self {
            Self::Embedded(rig) => {
                let Shape::Embedded(embedded) = &rig.shape else { unreachable!("it is embedded") };
                let file = embedded.data_dir().join("authz.sqlite");
                let mut connection =
                    SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
                sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
                Held::Sqlite(connection)
            }
            Self::Clustered(installation) => {
                let url = installation.cluster.database("authz").unwrap();
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::query("BEGIN").execute(&mut connection).await.unwrap();
                sqlx::query("LOCK TABLE standings IN EXCLUSIVE MODE").execute(&mut connection).await.unwrap();
                Held::Postgres(connection)
            }
        }
    }
}

/// `{id:column}` in the words of a database.
fn with_ids(query: &str, before: &str, after: &str) -> String {
    let mut parts = query.split("{id:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        let (column, rest) = part.split_once('}').unwrap();
        format!("{all}{before}{column}{after}{rest}")
    })
}
