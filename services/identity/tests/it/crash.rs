//! A process that dies, a caller that goes away, authz that is away: at every point of every write, what was begun is
//! gone on with and ends whole, once.

use crate::clients::{create, credential, delete, get, mask, named, strings, update};
use crate::keys::rotate;
use crate::on_both;
use crate::rig::{Answer, Reached, Refusal, Rig};
use beem_caller::Actor;
use beem_events::audit::unpushed;
use beem_proto::identity::v1 as wire;
use std::task::Poll;

on_both!(
    a_write_cut_off_at_any_call_of_authz_is_gone_on_with,
    a_caller_that_goes_away_leaves_nothing_half_made,
    authz_away_is_503_and_the_write_ends_later,
    a_new_account_cut_off_is_made_once,
);

/// Every kind of write of an actor, as (its short name, its calls of authz at most).
const WRITES: [(&str, usize); 5] =
    [("create", 1), ("update", 3), ("rotate", 2), ("delete", 2), ("account", 1)];

/// What one write works with, the same at every repeat.
struct Scene {
    owner: Actor,
    client: wire::Client,
    pem: String,
}

impl Scene {
    async fn set(rig: &Rig, key: &str) -> Self {
        let owner = rig.owner(key).await;
        let made = named(rig, "till", &["ledger:viewer", "hook:viewer"]);
        let client = create(rig, &owner, "set", &made).await.unwrap().body;
        Self { owner, client, pem: rig.new_pem() }
    }

    /// Carries the write out under one key; Ok tells whether it was an earlier answer.
    async fn write(&self, rig: &Rig, kind: &str) -> Result<Answer<wire::Client>, Refusal> {
        let (owner, id) = (&self.owner, self.client.id.as_str());
        match kind {
            "create" => {
                let asked = named(rig, "new", &["hook:viewer"]);
                create(rig, owner, "w", &wire::CreateClientRequest { public_key: self.pem.clone(), ..asked })
                    .await
            }
            "update" => update(rig, owner, "w", &self.patch()).await,
            "rotate" => rotate(rig, owner, "w", id, &self.pem, Some(600)).await,
            "delete" => delete(rig, owner, "w", id).await,
            _ => {
                let asked = wire::UpdateAccountRequest {
                    name: "renamed".into(),
                    role_grant_policy: "any".into(),
                    present: mask(&["name", "role_grant_policy"]),
                    ..wire::UpdateAccountRequest::default()
                };
                let path = "/beem.identity.v1.Accounts/UpdateAccount";
                let account: Answer<wire::Account> = rig.call(owner, "w", path, asked).await?;
                assert_eq!(
                    (account.body.name.as_str(), account.body.role_grant_policy.as_str()),
                    ("renamed", "any")
                );
                Ok(Answer { body: wire::Client::default(), replayed: account.replayed })
            }
        }
    }

    /// Something shrinks, something grows, and the network list moves.
    fn patch(&self) -> wire::UpdateClientRequest {
        wire::UpdateClientRequest {
            id: self.client.id.clone(),
            name: "desk".into(),
            network_whitelist: strings(&["10.0.0.0/8"]),
            roles: strings(&["hook:viewer", "hook:operator"]),
            enabled: true,
            present: mask(&["name", "network_whitelist", "roles", "enabled"]),
        }
    }

    /// The write happened whole and once, and a repeat says so.
    async fn holds(&self, rig: &Rig, kind: &str) {
        let answer = self.write(rig, kind).await.unwrap();
        assert!(answer.replayed, "{kind}: the resumed saga's answer is given again");
        let client = answer.body;
        if kind != "account" {
            assert_eq!(get(rig, &self.owner, &client.id).await.unwrap(), client, "{kind}");
        }
        match kind {
            "create" => assert_eq!(client.roles, ["layer1:role:hook:viewer"]),
            "update" => {
                assert_eq!(client.roles, ["layer1:role:hook:viewer", "layer1:role:hook:operator"]);
                assert_eq!(
                    (client.name.as_str(), client.network_whitelist[0].as_str()),
                    ("desk", "10.0.0.0/8")
                );
                let keeps = credential(rig, &client.client_id).await.unwrap();
                assert!(keeps.version > 1 && keeps.version <= client.roles_version);
            }
            "rotate" => {
                assert_eq!((&client.public_key, client.retiring_key.is_some()), (&self.pem, true));
                assert_eq!(client.roles_version, 2, "one new version, however often it was tried");
            }
            "delete" => assert!(client.date_deleted.is_some()),
            _ => {}
        }
        let done = unpushed(&rig.identity.db, 500).await.unwrap().into_iter();
        let action = match kind {
            "create" => "CreateClient",
            "update" => "UpdateClient",
            "rotate" => "RotateClientKey",
            "delete" => "DeleteClient",
            _ => "UpdateAccount",
        };
        let ours = done.filter(|r| r.row.action == action && r.row.account_id == Some(self.owner.account));
        let expected = if kind == "create" { 2 } else { 1 };
        assert_eq!(ours.count(), expected, "{kind}: one audit row a write");
        // Nothing holds the client up: the next change goes through.
        if kind == "update" || kind == "rotate" {
            update(rig, &self.owner, "next", &self.patch()).await.unwrap();
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

async fn a_caller_that_goes_away_leaves_nothing_half_made(rig: Rig) {
    rig.run_tasks();
    for (kind, _) in WRITES {
        // Dropped after so many polls: at another await each time.
        for polls in [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20] {
            let scene = Scene::set(&rig, &format!("{kind}-{polls}")).await;
            let ended = cut_after(polls, scene.write(&rig, kind)).await.is_some();
            rig.sagas_ended().await;
            // It may not have come as far as its claim: then this is its first time.
            if !ended {
                scene.write(&rig, kind).await.unwrap();
            }
            scene.holds(&rig, kind).await;
        }
    }
}

/// What `work` came to, unless it needed more polls: then it is dropped where it is.
pub async fn cut_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match work.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            // Out of polls: no wake-up is waited for.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn authz_away_is_503_and_the_write_ends_later(rig: Rig) {
    rig.run_tasks();
    for (kind, _) in WRITES {
        let scene = Scene::set(&rig, kind).await;
        rig.gate.close();
        assert_eq!(scene.write(&rig, kind).await.unwrap_err().code(), "unavailable", "{kind}");
        rig.gate.open();
        rig.sagas_ended().await;
        scene.holds(&rig, kind).await;
    }
}

async fn a_new_account_cut_off_is_made_once(mut rig: Rig) {
    for call in 0..3 {
        for reached in [Reached::No, Reached::Yes] {
            let asked = rig.new_account(&format!("{call}-{reached:?}"));
            rig.gate.hang_at(call, reached);
            tokio::select! {
                ended = rig.create_account(&asked) => panic!("there is no call {call}: {ended:?}"),
                () = rig.gate.hanging() => {}
            }
            rig.restart().await;
            rig.run_tasks();
            rig.sagas_ended().await;
            let made = rig.create_account(&asked).await.unwrap();
            assert!(made.replayed);
            let owner =
                rig.actor(&made.body.account_id, &made.body.client_principal_id, beem_roles::RoleSet::ALL);
            assert_eq!(get(&rig, &owner, &made.body.client_principal_id).await.unwrap().role_count, 15);
        }
    }
    let listed: Answer<wire::ListAccountsResponse> = rig
        .internal("/beem.identity.v1.Directory/ListAccounts", wire::ListAccountsRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.body.accounts.len(), 6);
}
