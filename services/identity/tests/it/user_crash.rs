//! Invitations and changes of users that are cut off at every call of authz: done whole and once, or not at all; one mail
//! for each link, the trail complete; and no token anywhere but in the mail.

use crate::clients::{mask, strings};
use crate::crash::cut_after;
use crate::mailbox::{Mail, mails};
use crate::on_both;
use crate::person::{activate, propose, session, sign_in};
use crate::rig::{Answer, Reached, Refusal, Rig};
use crate::users::{delete, get, invite, named, person, resend, reset, update};
use beem_caller::Actor;
use beem_events::audit::unpushed;
use beem_proto::identity::v1 as wire;

on_both!(
    a_write_cut_off_at_any_call_of_authz_is_gone_on_with,
    authz_away_is_503_and_the_write_ends_later,
    a_caller_that_goes_away_leaves_nothing_half_made,
    no_token_is_kept_in_the_clear,
    the_trail_reaches_authz,
);

/// Every kind of write, as (its RPC, its calls of authz at most).
const WRITES: [(&str, usize); 5] = [
    ("CreateUser", 1),
    ("UpdateUser", 3),
    ("ResendInvitation", 1),
    ("ResetSecondFactor", 2),
    ("DeleteUser", 2),
];

struct Scene {
    owner: Actor,
    email: String,
    user: wire::User,
}

impl Scene {
    async fn set(rig: &Rig, key: &str) -> Self {
        let owner = rig.owner(key).await;
        let email = format!("{key}@example.com").to_lowercase();
        let asked = person(&email, &["ledger:viewer", "hook:viewer"]);
        let user = invite(rig, &owner, "set", &asked).await.unwrap().body;
        // Mails of one second have no order.
        rig.clock.advance_ms(1_000);
        Self { owner, email, user }
    }

    fn new_email(&self) -> String {
        format!("new.{}", self.email)
    }

    async fn write(&self, rig: &Rig, kind: &str) -> Result<Answer<wire::User>, Refusal> {
        let (owner, id) = (&self.owner, self.user.id.as_str());
        match kind {
            "CreateUser" => invite(rig, owner, "w", &person(&self.new_email(), &["hook:viewer"])).await,
            "UpdateUser" => update(rig, owner, "w", &self.patch()).await,
            "ResendInvitation" => resend(rig, owner, "w", id).await,
            "ResetSecondFactor" => reset(rig, owner, "w", id).await,
            _ => delete(rig, owner, "w", id).await,
        }
    }

    /// Something shrinks, something grows, and the network list moves.
    fn patch(&self) -> wire::UpdateUserRequest {
        wire::UpdateUserRequest {
            id: self.user.id.clone(),
            first_name: "Augusta".into(),
            network_whitelist: strings(&["10.0.0.0/8"]),
            roles: strings(&["hook:viewer", "hook:operator"]),
            enabled: true,
            present: mask(&["first_name", "network_whitelist", "roles", "enabled"]),
            ..wire::UpdateUserRequest::default()
        }
    }

    /// The write happened whole and once, and a repeat says so.
    async fn holds(&self, rig: &Rig, kind: &str) {
        let answer = self.write(rig, kind).await.unwrap();
        assert!(answer.replayed, "{kind}: the resumed saga's answer is given again");
        let user = answer.body;
        assert_eq!(get(rig, &self.owner, &user.id).await.unwrap(), user, "{kind}");
        let (to_new, to_old) = (mails(rig, &self.new_email()).await, mails(rig, &self.email).await);
        let to_old = to_old.len() - to_new.len();
        let (expected_new, expected_old) = match kind {
            "CreateUser" => (1, 1),
            "ResendInvitation" | "ResetSecondFactor" => (0, 2),
            _ => (0, 1),
        };
        assert_eq!((to_new.len(), to_old), (expected_new, expected_old), "{kind}: one mail for one link");
        match kind {
            "CreateUser" => assert_eq!(user.roles, ["layer1:role:hook:viewer"]),
            "UpdateUser" => {
                assert_eq!(user.roles, ["layer1:role:hook:viewer", "layer1:role:hook:operator"]);
                assert_eq!((user.first_name.as_str(), user.last_name.as_str()), ("Augusta", "Lovelace"));
                assert_eq!(user.network_whitelist, ["10.0.0.0/8"]);
            }
            "DeleteUser" => assert!(user.date_deleted.is_some()),
            _ => assert_eq!((user.status.as_str(), user.roles_version), ("INVITED", 2)),
        }
        let rows = unpushed(&rig.identity.db, 500).await.unwrap().into_iter();
        let ours = rows.filter(|r| r.row.action == kind && r.row.account_id == Some(self.owner.account));
        let done = ours.filter(|r| r.row.outcome == "done").count();
        assert_eq!(done, if kind == "CreateUser" { 2 } else { 1 }, "{kind}: one audit row a write");
        // Nothing holds the user up: the next change goes through.
        if kind != "DeleteUser" {
            update(rig, &self.owner, "next", &named(&user.id, "Next", "One")).await.unwrap();
            let links = mails(rig, if kind == "CreateUser" { &user.email } else { &self.email }).await;
            propose(rig, &links.iter().rfind(|mail| mail.to.contains(&user.email)).unwrap().token())
                .await
                .unwrap();
        }
    }
}

async fn a_write_cut_off_at_any_call_of_authz_is_gone_on_with(mut rig: Rig) {
    for (kind, calls) in WRITES {
        for call in 0..calls {
            for reached in [Reached::No, Reached::Yes] {
                let scene = Scene::set(&rig, &format!("{kind}-{call}-{reached:?}")).await;
                rig.gate.hang_at(call, reached);
                tokio::select! {
                    ended = scene.write(&rig, kind) => panic!("{kind} has no call {call}: {ended:?}"),
                    () = rig.gate.hanging() => {}
                }
                rig.restart().await;
                rig.run_tasks();
                rig.sagas_ended().await;
                scene.holds(&rig, kind).await;
            }
        }
    }
}

async fn authz_away_is_503_and_the_write_ends_later(rig: Rig) {
    rig.run_tasks();
    for (kind, _) in WRITES {
        let scene = Scene::set(&rig, kind).await;
        rig.gate.close();
        assert_eq!(scene.write(&rig, kind).await.unwrap_err().code(), "unavailable", "{kind}");
        let twin = invite(&rig, &scene.owner, "twin", &person(&scene.new_email(), &[])).await;
        if kind == "CreateUser" {
            assert_eq!(twin.unwrap_err().code(), "email-taken", "what is reserved is taken");
        } else {
            assert_eq!(twin.unwrap_err().code(), "unavailable");
        }
        rig.gate.open();
        rig.sagas_ended().await;
        if kind == "CreateUser" {
            scene.holds(&rig, kind).await;
        } else {
            assert!(scene.write(&rig, kind).await.unwrap().replayed);
        }
    }
}

async fn a_caller_that_goes_away_leaves_nothing_half_made(rig: Rig) {
    rig.run_tasks();
    for (kind, _) in WRITES {
        // Dropped after so many polls: at another await each time.
        for polls in [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20] {
            let scene = Scene::set(&rig, &format!("{kind}-{polls}")).await;
            let ended = cut_after(polls, scene.write(&rig, kind)).await.is_some();
            rig.sagas_ended().await;
            // It may not have come as far as its claim, or may have been forgotten before it began: then this is its first
            // time.
            if !ended {
                scene.write(&rig, kind).await.unwrap();
            }
            scene.holds(&rig, kind).await;
        }
    }
}

async fn no_token_is_kept_in_the_clear(rig: Rig) {
    let scene = Scene::set(&rig, "a").await;
    rig.clock.advance_ms(1_000);
    resend(&rig, &scene.owner, "i", &scene.user.id).await.unwrap();
    // While it waits a mail's token is sealed; then it is gone.
    let waiting = tables(&rig).await;
    let tokens: Vec<String> = mails(&rig, &scene.email).await.iter().map(Mail::token).collect();
    let ada = activate(&rig, &scene.email, &tokens[1]).await;
    let session_token = sign_in(&rig, &ada).await.unwrap();
    session(&rig, &session_token).await.unwrap();
    reset(&rig, &scene.owner, "r", &scene.user.id).await.unwrap();
    let secrets = tokens.iter().chain(std::iter::once(&session_token));
    let rows = tables(&rig).await;
    let files = rig.stored();
    for secret in secrets {
        assert!(!waiting.contains(secret.as_str()) && !rows.contains(secret.as_str()));
        assert!(!files.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
        // Nor its hash, but for the row that finds it.
        use sha2::Digest as _;
        let hash: String =
            sha2::Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!rows.contains(&hash), "the hash of a token is in a row");
    }
}

/// What is told to others or kept of requests, as text; bytes as hex.
async fn tables(rig: &Rig) -> String {
    let mut all = String::new();
    for (table, columns) in [
        ("claims", &["payload", "outcome"][..]),
        ("saga_steps", &["outcome"]),
        ("audit_rows", &["actor", "before", "after", "target_id"]),
        ("outbox", &["data"]),
        ("mails", &["payload", "last_error"]),
    ] {
        let sql = format!("SELECT * FROM {table}");
        for row in beem_database::Sql::rows(rig.identity.db.read(), &sql, vec![]).await.unwrap() {
            for column in columns {
                if let Ok(Some(text)) = row.try_get::<Option<String>>("", column) {
                    all.push_str(&text);
                } else if let Ok(Some(bytes)) = row.try_get::<Option<Vec<u8>>>("", column) {
                    all.push_str(&String::from_utf8_lossy(&bytes));
                    all.extend(bytes.iter().map(|byte| format!("{byte:02x}")));
                }
                all.push('\n');
            }
        }
    }
    all
}

async fn the_trail_reaches_authz(rig: Rig) {
    let scene = Scene::set(&rig, "a").await;
    update(&rig, &scene.owner, "u", &scene.patch()).await.unwrap();
    delete(&rig, &scene.owner, "d", &scene.user.id).await.unwrap();
    let rows = rig.count("audit_rows").await;
    assert_eq!(rows, 4);
    rig.run_audit();
    for _ in 0..600 {
        if rig.count("audit_rows WHERE pushed").await == rows {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the trail was not handed on");
}
