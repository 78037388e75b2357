//! Whether the time of an answer tells what the answer does not: which addresses are users', and in what state they are.
//! Each question is asked in several ways that are answered alike, one after another in an order drawn anew for every
//! round, from a new source address each; a user is asked about once, so that no delay of a guesser's is met.

use crate::bulk::{self, Lot, Tables};
use crate::distribution::Distribution;
use crate::http_load::{Connection, bytes};
use crate::process::Measured;
use crate::setting;
use beem_clock::Entropy;
use beem_tests::people::{ACTIVATIONS, RESETS, SESSIONS, USERS, new_password, new_user};
use beem_tests::{Caller, Person, Rig, Visitor};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Rounds before those that count.
const WARM_UP: usize = 10;

/// What is asked, in all the ways.
struct Question {
    title: &'static str,
    target: &'static str,
    status: u16,
    cases: Vec<Case>,
}

struct Case {
    label: &'static str,
    /// Of each round.
    bodies: Vec<Value>,
    taken_us: Vec<f64>,
    cpu_us: Vec<f64>,
}

/// Lots of users who are all alike.
const ACTIVE: u16 = 1;
const INVITED: u16 = 2;
const DISABLED: u16 = 3;

/// Tries with one address before the next has to wait.
const FREE_TRIES: usize = 5;

/// Those who are asked about beside the lots.
struct Town {
    /// Active users who may not sign in from where the questions come from. Their passwords are their own, which no copy
    /// of a row could have: so they are made one by one, and each address of a sign-in is used [`FREE_TRIES`] times.
    abroad: Vec<Person>,
    /// A link that somebody has activated by.
    used_token: String,
}

pub async fn run() -> Result<(), String> {
    let samples: usize = setting("BEEM_BENCH_SAMPLES", 300)?;
    let mut rig = Rig::start_embedded(&[("BEEM__GATEWAY__TRUSTED_PROXIES", "[\"127.0.0.1/32\"]")]);
    let process = Measured { name: "beem", pid: rig.embedded_mut().process.pid() };
    println!("making users");
    let rounds = samples + WARM_UP;
    let town = Town::build(&rig, rounds).await?;
    let mut places = Places::default();
    for mut question in [sign_in(&town, rounds), reset(rounds), activate(&town, rounds)] {
        println!("asking: {}", question.title);
        question.ask(&rig, &process, &mut places, rounds).await?;
        question.report();
    }
    Ok(())
}

fn sign_in(town: &Town, rounds: usize) -> Question {
    let wrong = |kind| move |n| json!({ "email": bulk::email(kind, who(n) + 1), "password": new_password() });
    Question {
        title: "SignIn",
        target: SESSIONS,
        status: 401,
        cases: vec![
            Case::new("unknown address", rounds, wrong(91)),
            Case::new("unknown address, again", rounds, wrong(92)),
            Case::new("active, wrong password", rounds, wrong(ACTIVE)),
            Case::new("active, right password, from abroad", rounds, |n| {
                town.abroad.get(who(n)).map(Person::credentials).unwrap_or_default()
            }),
            Case::new("only invited", rounds, wrong(INVITED)),
            Case::new("disabled", rounds, wrong(DISABLED)),
        ],
    }
}

/// Whose address a sign-in of round `n` is with, from 0 on.
const fn who(n: usize) -> usize {
    (n - 1) / FREE_TRIES
}

fn reset(rounds: usize) -> Question {
    let of = |kind| move |n| json!({ "email": bulk::email(kind, n) });
    Question {
        title: "RequestPasswordReset",
        target: RESETS,
        status: 200,
        cases: vec![
            Case::new("unknown address", rounds, of(93)),
            Case::new("unknown address, again", rounds, of(94)),
            Case::new("active", rounds, of(ACTIVE)),
            Case::new("only invited", rounds, of(INVITED)),
            Case::new("disabled", rounds, of(DISABLED)),
        ],
    }
}

fn activate(town: &Town, rounds: usize) -> Question {
    let body = |token: &str| json!({ "token": token, "password": new_password() });
    Question {
        title: "Activate",
        target: ACTIVATIONS,
        status: 401,
        cases: vec![
            Case::new("unknown token", rounds, |_| body(&bulk::token())),
            Case::new("unknown token, again", rounds, |_| body(&bulk::token())),
            Case::new("used token", rounds, |_| body(&town.used_token)),
        ],
    }
}

impl Case {
    /// `body` of user `n`, from 1 on.
    fn new(label: &'static str, rounds: usize, body: impl Fn(usize) -> Value) -> Self {
        Self { label, bodies: (1..=rounds).map(body).collect(), taken_us: Vec::new(), cpu_us: Vec::new() }
    }
}

impl Question {
    async fn ask(
        &mut self,
        rig: &Rig,
        process: &Measured,
        places: &mut Places,
        rounds: usize,
    ) -> Result<(), String> {
        let visitor = rig.visitor();
        let mut connection = Connection::open(visitor.gateway.address).await?;
        for round in 0..rounds {
            for at in shuffled(self.cases.len()) {
                let Some(case) = self.cases.get_mut(at) else { continue };
                let body = case.bodies.get(round).cloned().unwrap_or_default();
                let request = bytes(&places.next(&visitor).wire("POST", self.target, &body, None));
                let (cpu, began) = (process.thread_cpu(), Instant::now());
                let answer = connection.exchange_for(&request, self.status).await;
                let taken = began.elapsed();
                answer.map_err(|e| format!("{}, {}: {e}", self.title, case.label))?;
                if round >= WARM_UP {
                    case.taken_us.push(taken.as_secs_f64() * 1e6);
                    let spent = process.thread_cpu().zip(cpu).map(|(after, before)| after.us_since(&before));
                    case.cpu_us.extend(spent);
                }
            }
        }
        Ok(())
    }

    fn report(&self) {
        println!(
            "\n{:<38} {:>5} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}   {:>5} {:>6}",
            format!("{}, ms", self.title),
            "n",
            "p5",
            "p25",
            "p50",
            "p75",
            "p95",
            "CPU p50",
            "D",
            "at 1 %"
        );
        let Some(first) = self.cases.first() else { return };
        let first = Distribution::of(first.taken_us.clone());
        for (n, case) in self.cases.iter().enumerate() {
            let taken = Distribution::of(case.taken_us.clone());
            let cpu = Distribution::of(case.cpu_us.clone()).median() / 1000.0;
            print!("  {:<36} {taken} {cpu:>8.3}", case.label);
            let (distance, threshold) = (first.distance(&taken), first.threshold(&taken));
            let verdict = if distance > threshold { "DISTINGUISHABLE" } else { "not distinguishable" };
            if n == 0 {
                println!();
            } else {
                println!("   {distance:>5.3} {threshold:>6.3}   {verdict}");
            }
        }
        println!(
            "  D: Kolmogorov-Smirnov distance to the first; above the threshold by chance in 1 of 100 pairs\n"
        );
    }
}

impl Town {
    async fn build(rig: &Rig, rounds: usize) -> Result<Self, String> {
        let owner = rig.client();
        let (active, used_token, _) = newcomer(rig, &Value::Null).await;
        let (disabled, ..) = newcomer(rig, &Value::Null).await;
        owner.patch(&format!("{USERS}/{disabled}"), &json!({ "enabled": false })).await.expect(200);
        let invited = text(&owner.post(USERS, &new_user(&Value::Null)).await.expect(201), "id");
        let mut tables = Tables::open(rig).await?;
        for (kind, model) in [(ACTIVE, &active), (INVITED, &invited), (DISABLED, &disabled)] {
            tables.copy_users(&Lot { kind, model, count: rounds }).await?;
        }
        let mut abroad = Vec::new();
        while abroad.len() < rounds.div_ceil(FREE_TRIES) {
            abroad.push(newcomer(rig, &json!({ "networkWhitelist": ["192.0.2.1"] })).await.2);
        }
        Ok(Self { abroad, used_token })
    }
}

/// Somebody who was invited and has activated: the id, the token of the link, and the person.
async fn newcomer(rig: &Rig, fields: &Value) -> (String, String, Person) {
    let made = rig.client().post(USERS, &new_user(fields)).await.expect(201);
    let email = text(&made, "email");
    let token = rig.mailbox.token(&email, 1).await;
    let person = Person::enroll(&rig.visitor(), &email, &token).await;
    (text(&made, "id"), token, person)
}

fn text(of: &Value, name: &str) -> String {
    of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Addresses of which none comes twice.
#[derive(Default)]
pub struct Places(u32);

impl Places {
    pub fn next(&mut self, visitor: &Visitor) -> Visitor {
        self.0 += 1;
        let [_, b, c, d] = self.0.to_be_bytes();
        visitor.from(&format!("10.{b}.{c}.{d}"))
    }
}

fn shuffled(count: usize) -> Vec<usize> {
    let mut drawn: Vec<_> = (0..count).map(|at| (Entropy::System.bytes::<8>(), at)).collect();
    drawn.sort_unstable();
    drawn.into_iter().map(|(_, at)| at).collect()
}
