//! Every rule of 2.2 of the contract: a table of requests that must be refused, each with its exact status and code, the
//! requests that must not be, and what takes more than one request to show.

mod accepted;
mod coverage_and_digest;
mod guarded;
mod http_rules;
mod identity_and_time;
mod key_and_target;
mod repeated;
mod structure;

use beem_roles::Role;
use beem_signing::KeyKind;
use beem_tests::{Client, Forge, Rig, Wire, on_both_shapes};
use serde_json::json;

/// One request that must be refused.
pub struct Row {
    pub name: &'static str,
    pub status: u16,
    pub code: &'static str,
    pub request: fn(&Cast) -> Wire,
}

/// Whoever the rows are about. All of the main account.
pub struct Cast {
    /// Ed25519, all roles.
    pub main: Client,
    /// Somebody else's Ed25519, RSA and P-256; no roles.
    pub ed25519: Client,
    pub rsa: Client,
    pub p256: Client,
    /// Keys of the same kinds that belong to nobody here.
    pub stranger_ed25519: Client,
    pub stranger_rsa: Client,
    pub stranger_p256: Client,
    pub disabled: Client,
    pub deleted: Client,
    /// Allowed from 203.0.113.0/24 alone.
    pub elsewhere: Client,
    /// Disabled, and allowed from elsewhere alone.
    pub disabled_elsewhere: Client,
}

pub const ME: &str = "/platform/v1/me";
pub const CLIENTS: &str = "/platform/v1/clients";

impl Cast {
    async fn gather(rig: &Rig) -> Self {
        let main = rig.client();
        let of = |creds| rig.as_client(&creds);
        let elsewhere = json!({ "networkWhitelist": ["203.0.113.0/24"] });
        let disabled_elsewhere = json!({ "networkWhitelist": ["203.0.113.0/24"], "enabled": false });
        let (ed25519, rsa, p256) = (
            rig.new_client(&[]).await,
            main.new_client_of(KeyKind::Rsa, &json!({})).await,
            main.new_client_of(KeyKind::EcdsaP256, &json!({})).await,
        );
        let stranger = |creds: &beem_tests::Creds| {
            let mut key = beem_tests::creds::new_key(creds.key.kind());
            if key.public().fingerprint() == creds.key.public().fingerprint() {
                key = beem_tests::creds::new_key(creds.key.kind());
            }
            creds.with_key(&key)
        };
        let deleted = rig.new_client(&[Role::ClientViewer]).await;
        main.delete(&format!("{CLIENTS}/{}", deleted.id)).await.expect(200);
        Self {
            stranger_ed25519: of(stranger(&ed25519)),
            stranger_rsa: of(stranger(&rsa)),
            stranger_p256: of(stranger(&p256)),
            ed25519: of(ed25519),
            rsa: of(rsa),
            p256: of(p256),
            disabled: of(main.new_client(&json!({ "enabled": false })).await),
            deleted: of(deleted),
            elsewhere: of(main.new_client(&elsewhere).await),
            disabled_elsewhere: of(main.new_client(&disabled_elsewhere).await),
            main,
        }
    }

    /// A GET of the caller's own profile, which everybody may.
    pub fn get(&self) -> Forge {
        self.ed25519.forge("GET", ME)
    }

    /// A write that would succeed.
    pub fn post(&self) -> Forge {
        let key = beem_tests::creds::new_key(KeyKind::Ed25519);
        self.main
            .forge("POST", CLIENTS)
            .json(&json!({ "name": "never made", "publicKey": key.public().pem() }))
    }
}

fn rows() -> impl Iterator<Item = &'static Row> {
    [
        structure::ROWS,
        identity_and_time::ROWS,
        key_and_target::ROWS,
        coverage_and_digest::ROWS,
        http_rules::ROWS,
    ]
    .into_iter()
    .flatten()
}

async fn every_refusal_has_its_status_and_code(rig: &Rig) {
    assert!(rows().count() >= 60, "{} rows", rows().count());
    let cast = Cast::gather(rig).await;
    let mut wrong = Vec::new();
    for row in rows() {
        let request = (row.request)(&cast);
        let answer = request.send().await;
        if (answer.status, answer.code().as_str()) != (row.status, row.code) {
            let (status, code) = (row.status, row.code);
            wrong.push(format!(
                "{}: {status} {code} expected, {} {}",
                row.name,
                answer.status,
                answer.text()
            ));
        } else if let Err(why) = answer.problem_shape() {
            wrong.push(format!("{}: {why}: {}", row.name, answer.text()));
        }
    }
    let made = cast.main.get(&format!("{CLIENTS}?max=500")).await.expect(200);
    let names = made["content"].as_array().unwrap().iter().filter(|c| c["name"] == "never made");
    if names.count() > 0 {
        wrong.push("a refused request has made a client".into());
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows().count(), wrong.join("\n"));
}

#[test]
fn rows_have_names_of_their_own() {
    let mut names: Vec<_> = rows().map(|r| r.name).collect();
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

on_both_shapes!(every_refusal_has_its_status_and_code);
