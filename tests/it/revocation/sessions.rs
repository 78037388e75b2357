//! The same for people: whatever ends a session or takes from its user is in force at every gateway within a second, and at
//! once for what is judged afresh.

use super::refused_within_a_second;
use beem_tests::people::{ME, PASSWORD, SESSIONS, USERS, new_password, new_user, own_session};
use beem_tests::{Client, Person, Rig, Session, on_both_peoples_shapes};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Ways to lose what a session could do.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Role,
    Enabled,
    Network,
    Existence,
    SecondFactor,
    Session,
    SignOut,
    Password,
}

const LOSSES: [Loss; 8] = [
    Loss::Role,
    Loss::Enabled,
    Loss::Network,
    Loss::Existence,
    Loss::SecondFactor,
    Loss::Session,
    Loss::SignOut,
    Loss::Password,
];

/// An operator of users whom every gateway knows, in a session; and another session of the same person.
struct Victim {
    person: Person,
    session: Session,
    other: Session,
}

impl Victim {
    async fn new(rig: &Rig, owner: &Client) -> Self {
        let person = rig.join(owner, &json!({ "roles": ["user:operator"] })).await;
        let (session, other) = (person.sign_in().await, person.sign_in().await);
        for gateway in &rig.gateways {
            session.at(gateway).get(USERS).await.expect(200);
            session.at(gateway).get(ME).await.expect(200);
        }
        Self { person, session, other }
    }

    async fn lose(&self, owner: &Client, loss: Loss) {
        let at = self.person.path();
        let answer = match loss {
            Loss::Role => owner.patch(&at, &json!({ "roles": ["client:viewer"] })).await,
            Loss::Enabled => owner.patch(&at, &json!({ "enabled": false })).await,
            Loss::Network => owner.patch(&at, &json!({ "networkWhitelist": ["192.0.2.0/24"] })).await,
            Loss::Existence => owner.delete(&at).await,
            Loss::SecondFactor => owner.post(&format!("{at}/second-factor/reset"), &Value::Null).await,
            Loss::Session => {
                let id = own_session(&self.session).await;
                self.other.delete(&format!("{SESSIONS}/{id}")).await
            }
            Loss::SignOut => self.session.delete(&format!("{SESSIONS}/current")).await,
            Loss::Password => {
                let (current, code) = (&self.person.password, self.person.code());
                let body = json!({ "currentPassword": current, "newPassword": new_password(), "code": code });
                self.other.post(PASSWORD, &body).await
            }
        };
        answer.expect(200);
    }
}

impl Loss {
    fn refusals(self) -> &'static [(u16, &'static str)] {
        match self {
            Self::Role => &[(403, "role-missing")],
            // Disabling ends the sessions, too: whichever a gateway hears of first.
            Self::Enabled => &[(403, "principal-disabled"), (401, "session-invalid")],
            Self::Network => &[(403, "network-not-allowed")],
            Self::Existence | Self::SecondFactor | Self::Session | Self::SignOut | Self::Password => {
                &[(401, "session-invalid")]
            }
        }
    }
}

async fn what_a_person_loses_is_refused_everywhere_within_a_second(rig: &Rig) {
    // The Owner is there: nobody here is the last operator.
    let owner = &rig.household().await.client;
    for losses in LOSSES.chunks(4) {
        join_all(losses.iter().map(|loss| async move {
            let victim = Victim::new(rig, owner).await;
            let sessions: Vec<Session> = rig.gateways.iter().map(|g| victim.session.at(g)).collect();
            victim.lose(owner, *loss).await;
            refused_within_a_second(&sessions, USERS, Instant::now(), loss.refusals()).await;
        }))
        .await;
    }
}

async fn what_a_person_loses_is_refused_at_once_where_it_is_judged_afresh(rig: &Rig) {
    let owner = rig.household().await.client;
    for loss in LOSSES {
        let victim = Victim::new(rig, &owner).await;
        victim.lose(&owner, loss).await;
        let body = new_user(&json!({}));
        let answers = rig.gateways.iter().map(|g| {
            let session = victim.session.at(g);
            let body = body.clone();
            async move { session.post(USERS, &body).await }
        });
        for answer in join_all(answers).await {
            let code = answer.code();
            let told = (answer.status, code.as_str());
            assert!(loss.refusals().contains(&told), "{loss:?}: {}", answer.text());
        }
        // Whatever was not lost is still there.
        if matches!(loss, Loss::Session | Loss::SignOut | Loss::Password) {
            for gateway in &rig.gateways {
                victim.other.at(gateway).get(USERS).await.expect(200);
            }
        }
    }
}

async fn what_a_person_gains_works_as_soon_as_it_is_given(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let person = rig.join(&owner, &json!({})).await;
    let session = person.sign_in().await;
    for gateway in &rig.gateways {
        session.at(gateway).post(USERS, &new_user(&json!({}))).await.refused(403, "role-missing");
    }
    owner.patch(&person.path(), &json!({ "roles": ["user:operator"] })).await.expect(200);
    for gateway in &rig.gateways {
        session.at(gateway).post(USERS, &new_user(&json!({}))).await.expect(201);
    }
    let wider = json!({ "networkWhitelist": ["192.0.2.0/24"] });
    owner.patch(&person.path(), &wider).await.expect(200);
    for gateway in &rig.gateways {
        let body = new_user(&json!({}));
        session.at(gateway).from("192.0.2.9").post(USERS, &body).await.expect(201);
    }
}

on_both_peoples_shapes!(
    what_a_person_loses_is_refused_everywhere_within_a_second,
    what_a_person_loses_is_refused_at_once_where_it_is_judged_afresh,
    what_a_person_gains_works_as_soon_as_it_is_given,
);
