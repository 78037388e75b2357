//! Hosts who invite people, change their roles, and let them activate while things break, and know at any time what they
//! were promised. Half of the writes whose end is not heard of are given up until the end.

use super::installation::House;
use super::trying::{Write, attempt, is_certain, within};
use super::writers::{Choices, Course, settled};
use beem_tests::people::{
    ACTIVATIONS, CONFIRM, Factor, SECOND_FACTOR, SESSIONS, USERS, new_password, new_user,
};
use beem_tests::{Answer, Caller as _, Client, Creds, Mailbox, Visitor, trail};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const ROLES: [&str; 4] = ["client:viewer", "hook:viewer", "ledger:operator", "user:viewer"];
/// Mails and rows are pushed again within a lapsed lease and its pauses.
const ARRIVES: Duration = Duration::from_secs(90);

/// A person as its host was promised it.
#[derive(Debug)]
struct Guest {
    id: String,
    email: String,
    roles: Vec<&'static str>,
    /// Certain changes of its roles.
    changes: usize,
    activation: Activation,
}

/// How far it came.
#[derive(Debug)]
enum Activation {
    Invited,
    /// The confirmation was not answered: either.
    Tried(String, Factor),
    Active(String, Factor),
}

/// See the module.
#[derive(Debug)]
pub struct Host {
    choices: Choices,
    name: String,
    gateways: Vec<Client>,
    /// May invite, and holds nothing to hand out.
    poor: Vec<Client>,
    mailbox: Mailbox,
    guests: Vec<Guest>,
    given_up: Vec<Write>,
    /// Addresses whose invitation was refused.
    refused: Vec<String>,
    count: u32,
}

impl Host {
    pub fn new(house: &House, poor: &Creds, name: &str, seed: u64) -> Self {
        Self {
            choices: Choices::new(seed),
            name: name.to_owned(),
            gateways: house.everywhere(house.main()),
            poor: house.everywhere(poor),
            mailbox: house.mailbox().clone(),
            guests: Vec::new(),
            given_up: Vec::new(),
            refused: Vec::new(),
            count: 0,
        }
    }

    /// Until the end is called.
    pub async fn work(mut self, course: Course) -> Self {
        while !course.end.load(Ordering::Relaxed) {
            match self.choices.below(10) {
                0 => self.invite_beyond_its_roles().await,
                1..=4 => self.invite().await,
                5..=7 => self.change_roles().await,
                _ => self.let_one_activate().await,
            }
            course.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        self
    }

    fn write(&mut self, method: &'static str, target: String, body: Value) -> Write {
        self.count += 1;
        Write { method, target, body, key: format!("{}:{}", self.name, self.count) }
    }

    fn draw_roles(&self) -> Vec<&'static str> {
        ROLES.into_iter().filter(|_| self.choices.below(2) == 0).collect()
    }

    /// The answer, unless it was not heard and is given up.
    async fn send(&mut self, write: &Write) -> Option<Answer> {
        let first = self.choices.index(self.gateways.len());
        match write.attempt(&self.gateways[first]).await {
            Ok(answer) if is_certain(&answer) => Some(answer),
            _ if self.choices.below(2) == 0 => None,
            _ => Some(write.persist(&self.gateways).await),
        }
    }

    async fn invite(&mut self) {
        let roles = self.draw_roles();
        let write = self.write("POST", USERS.into(), new_user(&json!({ "roles": roles })));
        match self.send(&write).await {
            Some(answer) => self.invited(&answer, roles),
            None => self.given_up.push(write),
        }
    }

    fn invited(&mut self, answer: &Answer, roles: Vec<&'static str>) {
        let made = answer.expect(201);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let activation = Activation::Invited;
        self.guests.push(Guest { id: text("id"), email: text("email"), roles, changes: 0, activation });
    }

    async fn invite_beyond_its_roles(&mut self) {
        let body = new_user(&json!({ "roles": ["ledger:operator"] }));
        let write = self.write("POST", USERS.into(), body);
        write.persist(&self.poor).await.refused(403, "role-not-held");
        self.refused.push(write.body["email"].as_str().unwrap().to_owned());
    }

    async fn change_roles(&mut self) {
        if self.guests.is_empty() {
            return;
        }
        let i = self.choices.index(self.guests.len());
        let roles = self.draw_roles();
        let target = format!("{USERS}/{}", self.guests[i].id);
        let write = self.write("PATCH", target, json!({ "roles": roles }));
        // Always to its end: whose roles were changed last is to be known.
        let answer = match self.send(&write).await {
            Some(answer) => answer,
            None => write.persist(&self.gateways).await,
        };
        answer.expect(200);
        self.guests[i].roles = roles;
        self.guests[i].changes += 1;
    }

    async fn let_one_activate(&mut self) {
        let waiting = self.guests.iter().position(|g| matches!(g.activation, Activation::Invited));
        let Some(i) = waiting else { return };
        let email = self.guests[i].email.clone();
        let Some(letter) = self.mailbox.to(&email).pop() else { return };
        let visitor = Visitor::new(&self.gateways[0].gateway);
        let (token, password) = (letter.token(), new_password());
        let begun =
            self.persist(&visitor, ACTIVATIONS, &json!({ "token": token, "password": password })).await;
        let mut factor = Factor::of(&begun.expect(200));
        let body = json!({ "token": token, "code": factor.next_code() });
        let answer = attempt(&visitor.wire("POST", CONFIRM, &body, None)).await;
        self.guests[i].activation = match answer {
            Ok(answer) if is_certain(&answer) => {
                answer.expect(200);
                Activation::Active(password, factor)
            }
            _ => Activation::Tried(password, factor),
        };
    }

    /// What may be repeated, at one gateway after the other.
    async fn persist(&self, visitor: &Visitor, target: &str, body: &Value) -> Answer {
        let began = Instant::now();
        for client in self.gateways.iter().cycle() {
            let wire = visitor.at(&client.gateway).wire("POST", target, body, None);
            match attempt(&wire).await {
                Ok(answer) if is_certain(&answer) => return answer,
                _ => assert!(began.elapsed() < ARRIVES, "{target}: no certain outcome"),
            }
            sleep(Duration::from_millis(100)).await;
        }
        unreachable!("there is a gateway")
    }

    /// Writes that were given up are whole or absent: another invitation of the address tells, and their key afterwards.
    async fn look_after_what_was_given_up(&mut self) {
        let main = self.gateways[0].clone();
        for write in std::mem::take(&mut self.given_up) {
            let email = write.body["email"].as_str().unwrap().to_owned();
            let listed = listed(&main).await.into_iter().filter(|u| u["email"] == email.as_str()).count();
            assert!(listed <= 1, "{email} was made more than once");
            if listed == 1 {
                main.post(USERS, &new_user(&json!({ "email": email }))).await.refused(409, "email-taken");
            } else {
                assert!(self.mailbox.to(&email).is_empty(), "{email} was mailed to and not made");
            }
            let roles =
                ROLES.into_iter().filter(|r| write.body["roles"].as_array().unwrap().contains(&json!(r)));
            self.invited(&write.persist(&self.gateways).await, roles.collect());
        }
    }
}

/// Every user of the account.
async fn listed(client: &Client) -> Vec<Value> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{USERS}?max=500&pageToken={token}")).await.expect(200);
        all.extend(page["content"].as_array().unwrap().clone());
        page["nextPageToken"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            return all;
        }
    }
}

impl Guest {
    async fn is_as_promised(&self, client: &Client, mailbox: &Mailbox) {
        let now = client.get(&format!("{USERS}/{}", self.id)).await.expect(200);
        let mut seen: Vec<&str> =
            now["roles"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
        let mut wanted: Vec<String> = self.roles.iter().map(|r| format!("layer1:role:{r}")).collect();
        seen.sort_unstable();
        wanted.sort();
        assert_eq!(seen, wanted, "{self:?}");
        let letters = within(ARRIVES, &format!("a mail to {}", self.email), || async {
            Some(mailbox.to(&self.email)).filter(|letters| !letters.is_empty())
        })
        .await;
        assert!(
            letters.iter().all(|l| l.token() == letters[0].token()),
            "one invitation, sent once or again"
        );
        let visitor = Visitor::new(&client.gateway);
        let active = now["status"] == "ACTIVE";
        match &self.activation {
            Activation::Active(..) => assert!(active, "{self:?} {now}"),
            Activation::Invited => assert!(!active, "{self:?} {now}"),
            Activation::Tried(..) => {}
        }
        match &self.activation {
            Activation::Active(password, factor) | Activation::Tried(password, factor) if active => {
                self.signs_in(&visitor, password, factor.clone()).await;
            }
            _ => {
                let body = json!({ "token": letters[0].token(), "password": new_password() });
                visitor.post(ACTIVATIONS, &body).await.expect(200);
            }
        }
    }

    async fn signs_in(&self, visitor: &Visitor, password: &str, mut factor: Factor) {
        let body = json!({ "email": self.email, "password": password });
        let answer = visitor.post(SESSIONS, &body).await.expect(200);
        let body = json!({ "challenge": answer["challenge"], "code": factor.next_code() });
        visitor.post(SECOND_FACTOR, &body).await.expect(200);
    }
}

/// Waits until everything under way has ended, and compares what is there with what was promised.
pub async fn verify(house: &House, mut hosts: Vec<Host>) {
    settled(house).await;
    let client = &house.everywhere(house.main())[0];
    for host in &mut hosts {
        host.look_after_what_was_given_up().await;
    }
    settled(house).await;
    let guests: Vec<&Guest> = hosts.iter().flat_map(|h| &h.guests).collect();
    println!("{} guests", guests.len());
    let users = listed(client).await;
    // The Owner is one more.
    assert_eq!(users.len(), guests.len() + 1);
    for guest in &guests {
        guest.is_as_promised(client, house.mailbox()).await;
    }
    for email in hosts.iter().flat_map(|h| &h.refused) {
        assert!(house.mailbox().to(email).is_empty(), "{email} was refused and mailed to");
        assert!(users.iter().all(|u| u["email"] != email.as_str()), "{email} was refused and made");
    }
    let refused: usize = hosts.iter().map(|h| h.refused.len()).sum();
    within(ARRIVES, "the trail is complete", || async {
        let rows = trail(client, "").await;
        let of = |action: &str, id: &str| {
            let done = rows.iter().filter(|r| r["action"] == action && r["outcome"] == "done");
            done.filter(|r| r["target"]["id"] == id).count()
        };
        let whole = guests.iter().all(|g| {
            let active = matches!(g.activation, Activation::Active(..));
            of("CreateUser", &g.id) == 1
                && of("UpdateUser", &g.id) == g.changes
                && (!active || of("ConfirmActivation", &g.id) == 1)
        });
        (whole && rows.iter().filter(|r| r["outcome"] == "role-not-held").count() == refused).then_some(())
    })
    .await;
}
