//! Lies in Redis: whoever can write there gains nothing that outlives authz's own word, and most often nothing at all. And
//! what a slow fill, a lost Redis and an authz that is killed half way do to the truth.

use super::{CLIENTS, refused_within_a_second};
use crate::chaos::installation::Installation;
use crate::chaos::trying::within;
use beem_cache::{Put, SignedEntry, StandingCache};
use beem_clock::{Clock, Moment};
use beem_proto::authz::v1::{SignedStanding, StandingEntry};
use beem_redis::Redis;
use beem_roles::Role;
use beem_tests::{Client, Creds};
use ed25519_dalek::SigningKey;
use futures::future::join_all;
use prost::Message as _;
use redis::aio::MultiplexedConnection;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const PREFIX: &str = "beem:";
/// So that tests of an entry's end are quick.
const LIFE_S: i64 = 3;
const SHORT_LIFE: [(&str, &str); 1] = [("BEEM__AUTHZ__ENTRY_LIFE_S", "3")];
const ALL_ROLES: u32 = (1 << 15) - 1;
const PATIENCE: Duration = Duration::from_secs(10);

/// Redis, as somebody sees it who has its password.
struct Intruder {
    connection: MultiplexedConnection,
}

/// What stands under a principal's key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    version: u64,
    issued_ms: i64,
    signed: Vec<u8>,
}

impl Intruder {
    async fn at(installation: &Installation) -> Self {
        let client = redis::Client::open(installation.redis.url()).unwrap();
        Self { connection: client.get_multiplexed_async_connection().await.unwrap() }
    }

    fn key(creds: &Creds) -> Vec<u8> {
        let id: uuid::Uuid = creds.id.parse().unwrap();
        [PREFIX.as_bytes(), b"standing:", id.as_bytes()].concat()
    }

    async fn get(&mut self, creds: &Creds) -> Option<Stored> {
        let mut get = redis::cmd("HMGET");
        get.arg(Self::key(creds)).arg("v").arg("i").arg("b");
        let found: (Option<u64>, Option<i64>, Option<Vec<u8>>) =
            get.query_async(&mut self.connection).await.unwrap();
        Some(Stored { version: found.0?, issued_ms: found.1?, signed: found.2? })
    }

    /// What is there once somebody asked for it.
    async fn filled(&mut self, creds: &Creds) -> Stored {
        let began = Instant::now();
        loop {
            if let Some(stored) = self.get(creds).await {
                return stored;
            }
            assert!(began.elapsed() < PATIENCE, "nobody filled the cache");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Writes past the script that compares, and lets it stay for ever.
    async fn put(&mut self, creds: &Creds, stored: &Stored) {
        let mut set = redis::cmd("HSET");
        set.arg(Self::key(creds)).arg("v").arg(stored.version).arg("i").arg(stored.issued_ms);
        set.arg("b").arg(&stored.signed);
        set.query_async::<()>(&mut self.connection).await.unwrap();
        redis::cmd("PERSIST").arg(Self::key(creds)).query_async::<()>(&mut self.connection).await.unwrap();
    }

    async fn flush(&mut self) {
        redis::cmd("FLUSHALL").query_async::<()>(&mut self.connection).await.unwrap();
    }
}

impl Stored {
    fn entry(&self) -> StandingEntry {
        StandingEntry::decode(SignedStanding::decode(self.signed.as_slice()).unwrap().entry.as_slice())
            .unwrap()
    }

    fn ended(&self) -> bool {
        Clock::System.now().unix_ms() > self.entry().not_after_ms
    }

    /// The same bytes under another signature or none: `change` makes the lie.
    fn forged(&self, change: impl FnOnce(&mut SignedStanding)) -> Self {
        let mut signed = SignedStanding::decode(self.signed.as_slice()).unwrap();
        change(&mut signed);
        Self { version: self.version + 1_000, signed: signed.encode_to_vec(), ..self.clone() }
    }
}

async fn new_client(installation: &Installation, roles: &[Role]) -> Creds {
    let roles: Vec<_> = roles.iter().map(|r| r.short()).collect();
    installation.client().new_client(&json!({ "roles": roles })).await
}

async fn set_roles(installation: &Installation, creds: &Creds, roles: &[&str]) {
    let at = format!("{CLIENTS}/{}", creds.id);
    installation.client().patch(&at, &json!({ "roles": roles })).await.expect(200);
}

async fn allowed(clients: &[Client]) {
    for client in clients {
        client.get(CLIENTS).await.expect(200);
    }
}

/// Asks at every gateway until `done`; everybody is always refused.
async fn never_allowed(clients: &[Client], done: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !done().await {
        for client in clients {
            client.get(CLIENTS).await.refused(403, "role-missing");
        }
        assert!(began.elapsed() < PATIENCE, "it did not come to an end");
    }
}

/// An entry that gives all roles, as every liar without authz's key can make it.
#[tokio::test]
async fn a_forged_entry_grants_nothing() {
    let installation = Installation::start(&[]);
    let victim = new_client(&installation, &[]).await;
    let (clients, mut intruder) = (installation.everywhere(&victim), Intruder::at(&installation).await);
    let now = || Clock::System.now();
    for client in &clients {
        client.get(CLIENTS).await.refused(403, "role-missing");
    }
    let honest = intruder.filled(&victim).await;
    let mut richer = honest.entry();
    if let Some(standing) = &mut richer.standing {
        standing.roles = ALL_ROLES;
        standing.version += 1_000;
    }
    let own_key = SigningKey::from_bytes(&[7; 32]);
    let standing = richer.standing.clone().unwrap();
    let own_signature = SignedEntry::issue(&own_key, standing, now(), 10_000).unwrap().signed;
    // The main client's true entry, under another's name.
    installation.client().get(CLIENTS).await.expect(200);
    let main = Creds {
        id: installation.client().get("/platform/v1/me").await.expect(200)["principalId"]
            .as_str()
            .unwrap()
            .to_owned(),
        ..installation.main.clone()
    };
    let others = intruder.filled(&main).await.signed;
    let lies = [
        honest.forged(|signed| signed.entry = richer.encode_to_vec()),
        honest.forged(|signed| *signed = own_signature),
        honest.forged(|signed| signed.signature.clear()),
        Stored { version: honest.version + 1_000, signed: others, ..honest.clone() },
        Stored { version: honest.version + 1_000, signed: b"no entry at all".to_vec(), ..honest.clone() },
    ];
    for lie in &lies {
        intruder.put(&victim, lie).await;
        let look = Intruder::at(&installation).await;
        let look = tokio::sync::Mutex::new(look);
        // Found out, it is thrown away: its pretended version must not keep the truth out.
        never_allowed(&clients, async || look.lock().await.get(&victim).await.as_ref() != Some(lie)).await;
    }
    set_roles(&installation, &victim, &["client:viewer"]).await;
    for client in &clients {
        within(PATIENCE, "the truth is heard", || async {
            (client.get(CLIENTS).await.status == 200).then_some(())
        })
        .await;
    }
}

/// What was true once, put back after it was taken away: no gateway that has seen better believes it, and one that
/// knows nothing goes by it no longer than authz said when it was true.
#[tokio::test]
async fn a_rolled_back_entry_grants_nothing() {
    let mut installation = Installation::start(&SHORT_LIFE);
    let victim = new_client(&installation, &[Role::ClientViewer]).await;
    let (clients, mut intruder) = (installation.everywhere(&victim), Intruder::at(&installation).await);
    allowed(&clients).await;
    let earlier = intruder.filled(&victim).await;
    set_roles(&installation, &victim, &[]).await;
    for client in &clients {
        within(PATIENCE, "refused", || async { (client.get(CLIENTS).await.status == 403).then_some(()) })
            .await;
    }
    for version in [earlier.version, earlier.version + 1_000] {
        // Again and again: each gateway that finds it throws it away.
        let end = Instant::now() + Duration::from_millis(1_200);
        while Instant::now() < end {
            intruder.put(&victim, &Stored { version, ..earlier.clone() }).await;
            never_allowed(&clients, async || true).await;
            for client in &clients {
                client.get(CLIENTS).await.refused(403, "role-missing");
            }
        }
    }
    // A gateway without a memory.
    installation.cluster.kill("gateway-2").unwrap();
    installation.cluster.start_again("gateway-2").unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        intruder.put(&victim, &Stored { version: earlier.version + 1_000, ..earlier.clone() }).await;
        let ended = earlier.ended();
        for client in &clients {
            let answer = client.get(CLIENTS).await;
            assert!(answer.status == 403 || !ended, "let in by an entry past its end: {}", answer.text());
        }
    }
}

/// An entry past its end, before gateways that remember nothing of what came after it.
#[tokio::test]
async fn an_outlived_entry_grants_nothing() {
    let mut installation = Installation::start(&SHORT_LIFE);
    let victim = new_client(&installation, &[Role::ClientViewer]).await;
    let (clients, mut intruder) = (installation.everywhere(&victim), Intruder::at(&installation).await);
    allowed(&clients).await;
    let earlier = intruder.filled(&victim).await;
    within(PATIENCE, "the entry ends", || async { earlier.ended().then_some(()) }).await;
    set_roles(&installation, &victim, &[]).await;
    for gateway in ["gateway-1", "gateway-2"] {
        installation.cluster.kill(gateway).unwrap();
        installation.cluster.start_again(gateway).unwrap();
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        let later = Moment::from_unix_ms(earlier.issued_ms).plus_ms(3_600_000).unix_ms();
        intruder
            .put(&victim, &Stored { version: earlier.version + 1_000, issued_ms: later, ..earlier.clone() })
            .await;
        never_allowed(&clients, async || true).await;
        for client in &clients {
            client.get(CLIENTS).await.refused(403, "role-missing");
        }
    }
    // Nor does it keep the truth out.
    set_roles(&installation, &victim, &["client:viewer"]).await;
    for client in &clients {
        within(PATIENCE, "let in", || async { (client.get(CLIENTS).await.status == 200).then_some(()) })
            .await;
    }
    set_roles(&installation, &victim, &[]).await;
    refused_within_a_second(&clients, CLIENTS, Instant::now(), &[(403, "role-missing")]).await;
}

/// Somebody read the old standing, was slow, and fills the cache after the new one is there.
#[tokio::test]
async fn a_slow_fill_does_not_bring_back_what_was_taken_away() {
    let installation = Installation::start(&[]);
    let victim = new_client(&installation, &[Role::ClientViewer]).await;
    let (clients, mut intruder) = (installation.everywhere(&victim), Intruder::at(&installation).await);
    allowed(&clients).await;
    let earlier = intruder.filled(&victim).await;
    let entry = earlier.entry();
    let slow = SignedEntry {
        principal: victim.id.parse().unwrap(),
        version: entry.standing.as_ref().unwrap().version,
        issued_at: Moment::from_unix_ms(entry.issued_at_ms),
        not_after: Moment::from_unix_ms(entry.not_after_ms),
        signed: SignedStanding::decode(earlier.signed.as_slice()).unwrap(),
    };
    let redis = Redis::new(&installation.redis.url(), PREFIX, Duration::from_secs(2)).unwrap();
    let cache = StandingCache::in_redis(redis);
    set_roles(&installation, &victim, &[]).await;
    let since = Instant::now();
    let written_through = intruder.get(&victim).await.unwrap();
    assert!(written_through.version > earlier.version, "the new standing is there before the answer is");
    let filled = async {
        for _ in 0..50 {
            assert_eq!(cache.put_if_newer(&slow).await.unwrap(), Put::OlderThanCached);
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::join!(filled, refused_within_a_second(&clients, CLIENTS, since, &[(403, "role-missing")]));
    assert_eq!(intruder.get(&victim).await.unwrap().version, written_through.version);
}

/// Redis forgets everything, again and again, while requests come: those who may go on, those who may not do not, and
/// what is taken away is gone in time.
#[tokio::test]
async fn flushall_under_load_grants_nothing() {
    let installation = &Installation::start(&[]);
    let (strong, weak) =
        (new_client(installation, &[Role::ClientViewer]).await, new_client(installation, &[]).await);
    let done = &AtomicBool::new(false);
    let flushing = async {
        let mut intruder = Intruder::at(installation).await;
        while !done.load(Ordering::Relaxed) {
            intruder.flush().await;
            sleep(Duration::from_millis(100)).await;
        }
    };
    let load = |creds: Creds, status: u16| async move {
        while !done.load(Ordering::Relaxed) {
            for client in installation.everywhere(&creds) {
                let answer = client.get(CLIENTS).await;
                assert_eq!(answer.status, status, "{}", answer.text());
            }
        }
    };
    let taking_away = async {
        for _ in 0..3 {
            let victim = new_client(installation, &[Role::ClientViewer]).await;
            let clients = installation.everywhere(&victim);
            allowed(&clients).await;
            set_roles(installation, &victim, &[]).await;
            refused_within_a_second(&clients, CLIENTS, Instant::now(), &[(403, "role-missing")]).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let (strong, weak) = (join_all([load(strong.clone(), 200), load(strong, 200)]), load(weak, 403));
    tokio::join!(flushing, strong, weak, taking_away);
}

/// authz is killed between commit and write-through: Redis is away when it commits, it is killed before it can publish,
/// and Redis comes back with what it had before. What authz said then holds no longer than it said; and the next authz
/// publishes what the last one could not.
#[tokio::test]
async fn authz_killed_between_commit_and_write_through() {
    let mut installation = Installation::start(&SHORT_LIFE);
    let victim = new_client(&installation, &[Role::ClientViewer]).await;
    let clients = installation.everywhere(&victim);
    for comes_back_in_time in [false, true] {
        set_roles(&installation, &victim, &["client:viewer"]).await;
        for client in &clients {
            within(PATIENCE, "let in", || async { (client.get(CLIENTS).await.status == 200).then_some(()) })
                .await;
        }
        let mut intruder = Intruder::at(&installation).await;
        let earlier = intruder.filled(&victim).await;
        installation.redis.kill();
        set_roles(&installation, &victim, &[]).await;
        installation.cluster.kill("authz").unwrap();
        installation.redis.start_again().unwrap();
        let mut intruder = Intruder::at(&installation).await;
        intruder.put(&victim, &earlier).await;
        if !comes_back_in_time {
            // The old word stands until its end, and then nobody can be asked.
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(6) {
                let ended = earlier.ended();
                let answers = join_all(clients.iter().map(|client| client.get(CLIENTS))).await;
                for answer in answers {
                    assert!(answer.status != 200 || !ended, "let in past the end: {}", answer.text());
                    assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
                }
            }
            assert!(earlier.ended(), "{LIFE_S} s have passed");
        }
        installation.cluster.start_again("authz").unwrap();
        let began = Instant::now();
        let published = loop {
            if let Some(stored) = intruder.get(&victim).await
                && stored.version > earlier.version
            {
                break Instant::now();
            }
            assert!(began.elapsed() < PATIENCE, "what was committed is not published");
            sleep(Duration::from_millis(10)).await;
        };
        refused_within_a_second(&clients, CLIENTS, published, &[(403, "role-missing")]).await;
    }
}
