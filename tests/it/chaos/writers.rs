//! Writers who create, edit, rotate and delete clients of their own while things break, and know at any time what they
//! were promised. Half of those that do not hear how a write ended give up on it, as real clients do; the others try again
//! with its key. In the end the installation has to be just what the writers say.

use super::installation::House;
use super::trying::{Write, is_certain, within};
use beem_clock::Entropy;
use beem_signing::KeyKind;
use beem_tests::creds::new_key;
use beem_tests::{Answer, Client, Creds, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const CLIENTS: &str = "/platform/v1/clients";
const ROLES: [&str; 5] =
    ["client:viewer", "hook:viewer", "ledger:operator", "payment:approver", "user:viewer"];
/// Saga leases of a killed process lapse after 15 s.
const SETTLES: Duration = Duration::from_secs(60);

/// A sequence of choices; the same for the same seed.
#[derive(Clone, Debug)]
pub struct Choices(Entropy);

impl Choices {
    pub fn new(seed: u64) -> Self {
        Self(Entropy::seeded(seed))
    }

    /// 0 to `n` - 1.
    pub fn below(&self, n: u64) -> u64 {
        u64::from_le_bytes(self.0.bytes::<8>()) % n
    }

    pub fn index(&self, n: usize) -> usize {
        usize::try_from(self.below(u64::try_from(n).unwrap())).unwrap()
    }
}

/// What writers and their tormentor share.
#[derive(Clone, Debug, Default)]
pub struct Course {
    pub acknowledged: Arc<AtomicU64>,
    pub end: Arc<AtomicBool>,
}

/// A client as the writer was promised it.
#[derive(Clone, Debug)]
struct Promised {
    creds: Creds,
    retired: Vec<Creds>,
    name: String,
    roles: Vec<&'static str>,
    enabled: bool,
    deleted: bool,
    /// A write was given up on: nobody touches it until that one has been looked after.
    open: bool,
}

/// What a write does when it is done.
#[derive(Clone, Debug)]
enum Effect {
    Create(Promised),
    Name(usize, String),
    Roles(usize, Vec<&'static str>),
    Both(usize, String, Vec<&'static str>),
    Enabled(usize, bool),
    Rotate(usize, Creds),
    Delete(usize),
}

/// See the module.
#[derive(Debug)]
pub struct Writer {
    name: String,
    choices: Choices,
    gateways: Vec<Client>,
    promised: Vec<Promised>,
    given_up: Vec<(Write, Effect)>,
    count: u32,
}

impl Writer {
    pub fn new(house: &House, name: &str, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            choices: Choices::new(seed),
            gateways: house.everywhere(house.main()),
            promised: Vec::new(),
            given_up: Vec::new(),
            count: 0,
        }
    }

    /// Writes until the end is called.
    pub async fn write(mut self, course: Course) -> Self {
        while !course.end.load(Ordering::Relaxed) {
            let (write, effect) = self.choose();
            let first = self.choices.index(self.gateways.len());
            let outcome = write.attempt(&self.gateways[first]).await;
            let answer = match outcome {
                Ok(answer) if is_certain(&answer) => answer,
                _ if self.choices.below(2) == 0 => {
                    self.give_up(write, effect);
                    continue;
                }
                _ => write.persist(&self.gateways).await,
            };
            self.apply(&write, effect, &answer);
            course.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        self
    }

    fn choose(&mut self) -> (Write, Effect) {
        self.count += 1;
        let (name, key) = (format!("{}-{}", self.name, self.count), format!("{}:{}", self.name, self.count));
        let free: Vec<usize> = (0..self.promised.len())
            .filter(|i| !self.promised[*i].open && !self.promised[*i].deleted)
            .collect();
        let write = |method, target: String, body| Write { method, target, body, key };
        if free.len() < 3 {
            let promised = self.draw(&name);
            let pem = promised.creds.key.public().pem();
            let body = json!({ "name": name, "publicKey": pem, "roles": promised.roles });
            return (write("POST", CLIENTS.into(), body), Effect::Create(promised));
        }
        let i = free[self.choices.index(free.len())];
        let at = format!("{CLIENTS}/{}", self.promised[i].creds.id);
        let roles = self.draw_roles();
        match self.choices.below(10) {
            0 | 1 => (write("PATCH", at, json!({ "name": name })), Effect::Name(i, name)),
            2 | 3 => (write("PATCH", at, json!({ "roles": roles })), Effect::Roles(i, roles)),
            4 => (write("PATCH", at, json!({ "roles": roles, "name": name })), Effect::Both(i, name, roles)),
            5 | 6 => {
                let enabled = !self.promised[i].enabled;
                (write("PATCH", at, json!({ "enabled": enabled })), Effect::Enabled(i, enabled))
            }
            7 | 8 => {
                let creds = self.promised[i].creds.with_key(&new_key(KeyKind::Ed25519));
                let body = json!({ "publicKey": creds.key.public().pem() });
                (write("POST", format!("{at}/rotate"), body), Effect::Rotate(i, creds))
            }
            _ => (write("DELETE", at, Value::Null), Effect::Delete(i)),
        }
    }

    fn draw(&self, name: &str) -> Promised {
        let creds = self.gateways[0].creds.with_key(&new_key(KeyKind::Ed25519));
        let roles = self.draw_roles();
        let name = name.to_owned();
        Promised { creds, retired: Vec::new(), name, roles, enabled: true, deleted: false, open: false }
    }

    fn draw_roles(&self) -> Vec<&'static str> {
        ROLES.into_iter().filter(|_| self.choices.below(2) == 0).collect()
    }

    fn give_up(&mut self, write: Write, effect: Effect) {
        if let Some(i) = effect.target() {
            self.promised[i].open = true;
        }
        self.given_up.push((write, effect));
    }

    fn apply(&mut self, write: &Write, effect: Effect, answer: &Answer) {
        assert!(matches!(answer.status, 200 | 201), "{write:?}: {} {}", answer.status, answer.text());
        let body = answer.json();
        if let Some(i) = effect.target() {
            self.promised[i].open = false;
        }
        match effect {
            Effect::Create(mut promised) => {
                let text = |name: &str| body[name].as_str().unwrap().to_owned();
                (promised.creds.id, promised.creds.client_id) = (text("id"), text("clientId"));
                self.promised.push(promised);
            }
            Effect::Name(i, name) => self.promised[i].name = name,
            Effect::Roles(i, roles) => self.promised[i].roles = roles,
            Effect::Both(i, name, roles) => (self.promised[i].name, self.promised[i].roles) = (name, roles),
            Effect::Enabled(i, enabled) => self.promised[i].enabled = enabled,
            Effect::Rotate(i, creds) => {
                let old = std::mem::replace(&mut self.promised[i].creds, creds);
                self.promised[i].retired.push(old);
            }
            Effect::Delete(i) => self.promised[i].deleted = true,
        }
    }

    /// Writes that were given up on are whole or absent, and certain once their key is used again.
    async fn look_after_what_was_given_up(&mut self, listed: &BTreeMap<String, Value>) {
        for (write, effect) in std::mem::take(&mut self.given_up) {
            if let Effect::Create(promised) = &effect {
                let found: Vec<&Value> =
                    listed.values().filter(|c| c["name"] == promised.name.as_str()).collect();
                assert!(found.len() <= 1, "made more than once: {found:?}");
                found.iter().for_each(|client| promised.is(client));
            }
            let answer = write.persist(&self.gateways).await;
            self.apply(&write, effect, &answer);
        }
    }
}

impl Effect {
    fn target(&self) -> Option<usize> {
        match self {
            Self::Create(_) => None,
            Self::Name(i, _)
            | Self::Roles(i, _)
            | Self::Both(i, _, _)
            | Self::Enabled(i, _)
            | Self::Rotate(i, _)
            | Self::Delete(i) => Some(*i),
        }
    }
}

impl Promised {
    fn full_roles(&self) -> Vec<String> {
        let mut roles: Vec<String> = self.roles.iter().map(|r| format!("layer1:role:{r}")).collect();
        roles.sort();
        roles
    }

    /// That this is what GET answers.
    fn is(&self, client: &Value) {
        let seen = (&client["name"], &client["enabled"], sorted(&client["roles"]));
        // Deleting disables, too.
        let enabled = self.enabled && !self.deleted;
        assert_eq!(seen, (&json!(self.name), &json!(enabled), self.full_roles()), "{client}");
        let (ours, theirs) = (self.creds.key.public().pem(), client["publicKey"].as_str().unwrap());
        assert_eq!(theirs.trim(), ours.trim(), "the key of {client}");
        assert_eq!(client.get("dateDeleted").is_some_and(|d| !d.is_null()), self.deleted, "{client}");
    }

    /// That it may do what was promised, and no key of before may.
    async fn acts_as_promised(&self, house: &House) {
        for client in house.everywhere(&self.creds) {
            // A gateway may go by what was true half a second ago.
            eventually(&format!("{} acts as promised: {self:?}", self.name), || async {
                let answer = client.get("/platform/v1/me").await;
                let fits = match (self.deleted, self.enabled) {
                    (true, _) => answer.code() == "client-unknown",
                    (false, false) => answer.code() == "principal-disabled",
                    (false, true) => {
                        answer.status == 200 && sorted(&answer.json()["roles"]) == self.full_roles()
                    }
                };
                fits.then_some(())
            })
            .await;
        }
        for retired in &self.retired {
            let [client, ..] = &house.everywhere(retired)[..] else { unreachable!("there is a gateway") };
            let code = if self.deleted { "client-unknown" } else { "signature-invalid" };
            client.get("/platform/v1/me").await.refused(401, code);
        }
    }
}

fn sorted(roles: &Value) -> Vec<String> {
    let mut all: Vec<String> =
        roles.as_array().unwrap().iter().map(|r| r.as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

/// Every client of the account that is not deleted, by id.
async fn listed(client: &Client) -> BTreeMap<String, Value> {
    let (mut all, mut token) = (BTreeMap::new(), String::new());
    loop {
        let page = client.get(&format!("{CLIENTS}?max=500&pageToken={token}")).await.expect(200);
        for one in page["content"].as_array().unwrap() {
            all.insert(one["id"].as_str().unwrap().to_owned(), one.clone());
        }
        page["nextPageToken"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            return all;
        }
    }
}

/// The ids of the clients there are before anybody writes.
pub async fn there_before(house: &House) -> Vec<String> {
    listed(&house.everywhere(house.main())[0]).await.into_keys().collect()
}

/// Waits until everything under way has ended, and compares what is there with what was promised.
pub async fn verify(house: &House, mut writers: Vec<Writer>, before: &[String]) {
    settled(house).await;
    let client = &house.everywhere(house.main())[0];
    let then = listed(client).await;
    let count = |of: fn(&Writer) -> usize| writers.iter().map(of).sum::<usize>();
    println!(
        "{} clients promised, {} writes given up",
        count(|w| w.promised.len()),
        count(|w| w.given_up.len())
    );
    for writer in &mut writers {
        writer.look_after_what_was_given_up(&then).await;
    }
    settled(house).await;
    let now = listed(client).await;
    let promised: Vec<&Promised> = writers.iter().flat_map(|w| &w.promised).collect();
    let mut wanted: Vec<&String> = promised.iter().filter(|p| !p.deleted).map(|p| &p.creds.id).collect();
    wanted.extend(before);
    wanted.sort();
    assert_eq!(now.keys().collect::<Vec<_>>(), wanted, "each client that was promised, once, and no other");
    for one in &promised {
        one.is(&client.get(&format!("{CLIENTS}/{}", one.creds.id)).await.expect(200));
        one.acts_as_promised(house).await;
    }
    both_sides_agree(house).await;
}

/// No saga is left half way.
pub async fn settled(house: &House) {
    within(SETTLES, "every saga ends", || async {
        let running =
            house.column("identity", "SELECT count(*) AS one FROM claims WHERE state = 'RUNNING'").await;
        (running == ["0"]).then_some(())
    })
    .await;
    for (service, what) in [
        ("identity", "saga_steps"),
        ("identity", "clients WHERE changing IS NOT NULL"),
        ("identity", "users WHERE changing IS NOT NULL OR NOT made"),
        ("authz", "prepared_changes WHERE committed_ms IS NULL AND (add_roles > 0 OR enable)"),
    ] {
        let left = house.column(service, &format!("SELECT count(*) AS one FROM {what}")).await;
        assert_eq!(left, ["0"], "left over: {what}");
    }
}

/// Identity and authz know the same clients, at the same versions of their keys, the same ones deleted.
async fn both_sides_agree(house: &House) {
    let clients = "SELECT {id:id} || ' ' || credential_version || ' ' ||
        CASE WHEN deleted_ms IS NULL THEN 'alive' ELSE 'deleted' END AS one FROM clients ORDER BY 1";
    let standings = "SELECT {id:principal_id} || ' ' || credential_version || ' ' ||
        CASE WHEN deleted THEN 'deleted' ELSE 'alive' END AS one FROM standings WHERE kind = 'CLIENT' ORDER BY 1";
    assert_eq!(house.column("identity", clients).await, house.column("authz", standings).await);
}
