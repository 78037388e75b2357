//! An installation under test, embedded or clustered, with what tests do to it. Three of each shape are shared by a whole
//! test binary: plain ones; guarded ones that stand behind a trusted proxy and have low limits; and ones for people, who
//! come from somewhere each, as a trusted proxy tells, so that nobody's failed sign-ins delay another. Whoever stops
//! or kills something starts an installation of its own.

use crate::client::Client;
use crate::creds::{Creds, new_key};
use crate::embedded::Embedded;
pub use crate::environment::{
    GUARDED_ADDRESS_PER_S, GUARDED_CLIENT_PER_S, GUARDED_ORIGIN, MAIL_FOLDER, proxied,
};
use crate::environment::{PUBLIC_ORIGINS, guarded, internal_services, limitless, more, origin, unlimited};
use crate::mailbox::Mailbox;
use beem_roles::Role;
use beem_signing::KeyKind;
use beem_testkit::cluster::{Cluster, Options, beem_bin};
use beem_testkit::folder::RunFolder;
use beem_testkit::{postgres, redis};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a gateway is.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// What callers call it: `http://127.0.0.1:PORT`, or [`GUARDED_ORIGIN`].
    pub url: String,
    pub address: SocketAddr,
}

/// What runs.
#[derive(Debug)]
pub enum Shape {
    Embedded(Box<Embedded>),
    Clustered(Box<Cluster>),
}

/// See the module.
#[derive(Debug)]
pub struct Rig {
    pub shape: Shape,
    /// One, or two of a cluster.
    pub gateways: Vec<Gateway>,
    /// The first account's client, with all 15 roles.
    pub main: Creds,
    /// What it has sent.
    pub mailbox: Mailbox,
    accounts: AtomicU32,
    _mail: Option<RunFolder>,
}

type Shared = OnceLock<Result<Rig, String>>;

impl Rig {
    /// The embedded installation that this test binary shares.
    pub fn embedded() -> &'static Self {
        static RIG: Shared = OnceLock::new();
        shared(&RIG, || Self::start_embedded_with(&unlimited(), true))
    }

    /// The cluster that this test binary shares.
    pub fn clustered() -> &'static Self {
        static RIG: Shared = OnceLock::new();
        shared(&RIG, || Self::start_clustered_with(&unlimited(), None, true))
    }

    /// The embedded installation with low limits that takes this machine for a proxy.
    pub fn guarded_embedded() -> &'static Self {
        static RIG: Shared = OnceLock::new();
        shared(&RIG, || {
            let origins = format!("[\"{GUARDED_ORIGIN}\", \"http://{{address}}\"]");
            Self::start_embedded_with(&[guarded(), more(&[(PUBLIC_ORIGINS, &origins)])].concat(), true)
        })
    }

    /// The cluster with low limits that takes this machine for a proxy.
    pub fn guarded_clustered() -> &'static Self {
        static RIG: Shared = OnceLock::new();
        shared(&RIG, || Self::start_clustered_with(&guarded(), Some(GUARDED_ORIGIN), true))
    }

    /// The embedded installation for people.
    pub fn people_embedded() -> &'static Self {
        static RIG: Shared = OnceLock::new();
        shared(&RIG, || Self::start_embedded_with(&proxied(&[]), true))
    }

    /// The cluster for people.
    pub fn people_clustered() -> &'static Self {
        static RIG: Shared = OnceLock::new();
        shared(&RIG, || Self::start_clustered_with(&proxied(&[]), None, true))
    }

    /// An embedded installation of the caller's own, with these settings (`BEEM__…`); it ends on drop.
    #[must_use]
    pub fn start_embedded(settings: &[(&str, &str)]) -> Self {
        Self::start_embedded_with(&limitless(settings), false).unwrap_or_else(|e| panic!("{e}"))
    }

    /// A cluster of the caller's own, on databases of its own, with these settings; it ends on drop.
    #[must_use]
    pub fn start_clustered(settings: &[(&str, &str)]) -> Self {
        Self::start_clustered_with(&limitless(settings), None, false).unwrap_or_else(|e| panic!("{e}"))
    }

    fn start_embedded_with(settings: &[(String, String)], ends_with_thread: bool) -> Result<Self, String> {
        let embedded = Embedded::start(&beem_bin(), settings, ends_with_thread)?;
        let (main, said) = Creds::load(&embedded.data_dir().join("credentials"))?;
        let address = embedded.address;
        let url = origin(settings, address);
        if said != url {
            return Err(format!("client.json says {said}, callers use {url}"));
        }
        let mailbox = Mailbox { folder: embedded.data_dir().join("mail") };
        Self::of(Shape::Embedded(Box::new(embedded)), vec![Gateway { url, address }], main, mailbox, None)
    }

    fn start_clustered_with(
        settings: &[(String, String)],
        origin: Option<&str>,
        ends_with_thread: bool,
    ) -> Result<Self, String> {
        let mut options = Options::new(beem_bin(), postgres::shared(), redis::fresh_database());
        let mail = RunFolder::create()?;
        let mailbox = Mailbox { folder: mail.path().join("mail") };
        options.envs = settings.to_vec();
        options.envs.push(internal_services());
        options.envs.push((MAIL_FOLDER.into(), mailbox.folder.display().to_string()));
        options.ends_with_thread = ends_with_thread;
        let mut cluster = Cluster::start(&options)?;
        let mut gateways = Vec::new();
        for n in 1..=options.gateways {
            let name = format!("gateway-{n}");
            let address = cluster.address(&name)?;
            if let Some(origin) = origin {
                call(&mut cluster, &name, origin, address)?;
            }
            let url = origin.map_or_else(|| format!("http://{address}"), str::to_owned);
            gateways.push(Gateway { url, address });
        }
        let (main, _) = Creds::load(&cluster.create_account("Main", "credentials")?)?;
        Self::of(Shape::Clustered(Box::new(cluster)), gateways, main, mailbox, Some(mail))
    }

    fn of(
        shape: Shape,
        gateways: Vec<Gateway>,
        main: Creds,
        mailbox: Mailbox,
        mail: Option<RunFolder>,
    ) -> Result<Self, String> {
        Ok(Self { shape, gateways, main, mailbox, accounts: AtomicU32::new(0), _mail: mail })
    }

    /// The main client at the first gateway.
    #[must_use]
    pub fn client(&self) -> Client {
        self.as_client(&self.main)
    }

    /// Any client at the first gateway.
    #[must_use]
    pub fn as_client(&self, creds: &Creds) -> Client {
        Client { creds: creds.clone(), gateway: self.gateways[0].clone() }
    }

    /// Any client at every gateway.
    pub fn everywhere<'a>(&'a self, creds: &'a Creds) -> impl Iterator<Item = Client> + Clone + 'a {
        self.gateways.iter().map(|gateway| Client { creds: creds.clone(), gateway: gateway.clone() })
    }

    /// A new client of the main account with these roles and a fresh Ed25519 key, made through the public API.
    pub async fn new_client(&self, roles: &[Role]) -> Creds {
        self.client()
            .new_client(&json!({ "roles": roles.iter().map(|r| r.short()).collect::<Vec<_>>() }))
            .await
    }

    /// Another account, with its first client of all 15 roles, made by `beem admin`.
    #[must_use]
    pub fn new_account(&self) -> Creds {
        Creds::load(&self.make_account()).unwrap().0
    }

    /// Makes an account; the folder of its credentials.
    #[must_use]
    pub fn make_account(&self) -> PathBuf {
        let name = format!("account-{}", self.accounts.fetch_add(1, Ordering::Relaxed));
        match &self.shape {
            Shape::Clustered(cluster) => cluster.create_account(&name, &name).unwrap(),
            Shape::Embedded(embedded) => {
                let folder = embedded.data_dir().with_file_name(&name);
                let email = format!("owner@{name}.example");
                let made = self.beem(&[
                    "admin",
                    "create-account",
                    "--name",
                    &name,
                    "--owner-email",
                    &email,
                    "--client-key-out",
                    folder.to_str().unwrap(),
                ]);
                assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
                folder
            }
        }
    }

    /// Runs the binary to its end against this installation: `--data-dir` or the operator's `--config` is added.
    #[must_use]
    pub fn beem(&self, args: &[&str]) -> Output {
        let mut command = Command::new(beem_bin());
        command.args(args);
        match &self.shape {
            Shape::Embedded(embedded) => command.arg("--data-dir").arg(embedded.data_dir()),
            Shape::Clustered(cluster) => command.arg("--config").arg(cluster.folder().join("admin.toml")),
        };
        command.output().unwrap()
    }

    /// The cluster, to be broken; only an installation of one's own is mutable.
    pub fn cluster_mut(&mut self) -> &mut Cluster {
        match &mut self.shape {
            Shape::Clustered(cluster) => cluster,
            Shape::Embedded(_) => panic!("this installation is embedded"),
        }
    }

    /// The embedded process, likewise.
    pub fn embedded_mut(&mut self) -> &mut Embedded {
        match &mut self.shape {
            Shape::Embedded(embedded) => embedded,
            Shape::Clustered(_) => panic!("this installation is a cluster"),
        }
    }

    /// Where the settings, certificates and logs of a cluster are.
    #[must_use]
    pub fn cluster_folder(&self) -> PathBuf {
        match &self.shape {
            Shape::Clustered(cluster) => cluster.folder().to_owned(),
            Shape::Embedded(_) => panic!("this installation is embedded"),
        }
    }
}

impl Client {
    /// A new client of this client's account with a fresh Ed25519 key. `fields` are those of CreateClient beside name and
    /// key.
    pub async fn new_client(&self, fields: &Value) -> Creds {
        self.new_client_of(KeyKind::Ed25519, fields).await
    }

    /// The same with a key of any kind.
    pub async fn new_client_of(&self, kind: KeyKind, fields: &Value) -> Creds {
        let key = new_key(kind);
        let mut body = json!({ "name": "made by a test", "publicKey": key.public().pem() });
        for (name, value) in fields.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let made = self.post("/platform/v1/clients", &body).await.expect(201);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Creds {
            id: text("id"),
            client_id: text("clientId"),
            account_id: text("accountId"),
            algorithm: key.kind().default_algorithm(),
            key,
        }
    }
}

/// Starts a gateway of a cluster again under another public name, beside its address.
fn call(cluster: &mut Cluster, name: &str, origin: &str, address: SocketAddr) -> Result<(), String> {
    let path = cluster.folder().join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
    let mut settings: toml::Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
    let gateway = settings.get_mut("gateway").and_then(toml::Value::as_table_mut).ok_or("no gateway")?;
    gateway.insert("public_origins".into(), vec![origin.to_owned(), format!("http://{address}")].into());
    std::fs::write(&path, settings.to_string()).map_err(|e| e.to_string())?;
    cluster.stop(name)?;
    cluster.start_again(name)
}

/// Starts what a whole binary shares on a thread that never ends: a static is never dropped, so the system is told to end
/// the servers with the thread that started them. A start that failed is told to everyone who asks, once it failed.
fn shared(
    rig: &'static Shared,
    start: impl FnOnce() -> Result<Rig, String> + Send + 'static,
) -> &'static Rig {
    let started = rig.get_or_init(|| {
        let (give, take) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = give.send(start());
            loop {
                std::thread::park();
            }
        });
        take.recv().unwrap_or_else(|_| Err("the installation could not be started, see above".into()))
    });
    started.as_ref().unwrap_or_else(|e| panic!("{e}"))
}
