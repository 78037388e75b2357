//! A rotation of sealing keys: everything that is sealed comes under the new key, and the old one is not needed any more.

use crate::mailbox::{mails, newest_token};
use crate::on_both;
use crate::person::{activate, code, propose, sign_in};
use crate::rig::{Refusal, Rig};
use crate::users::{invite, person};
use beem_proto::identity::v1 as wire;
use beem_sealing::SealingKey;

on_both!(after_a_rotation_the_old_key_is_not_needed, what_is_under_no_key_held_is_left);

async fn reseal(rig: &Rig, key_id: &str) -> Result<wire::ResealSecretsResponse, Refusal> {
    let asked = wire::ResealSecretsRequest { key_id: key_id.into() };
    rig.internal("/beem.identity.v1.Directory/ResealSecrets", asked).await.map(|a| a.body)
}

async fn after_a_rotation_the_old_key_is_not_needed(rig: Rig) {
    let owner = rig.owner("a").await;
    // A second factor, one that is proposed beside its link, and a mail that waits.
    invite(&rig, &owner, "a", &person("ada@example.com", &[])).await.unwrap();
    invite(&rig, &owner, "b", &person("bob@example.com", &[])).await.unwrap();
    let ada = activate(&rig, "ada@example.com", &newest_token(&rig, "ada@").await).await;
    let bobs = newest_token(&rig, "bob@").await;
    let proposed = propose(&rig, &bobs).await.unwrap();
    let rig = rig.without_mailer().await;
    invite(&rig, &owner, "c", &person("carol@example.com", &[])).await.unwrap();
    let old = rig.sealing_key.clone();
    let new = SealingKey::draw(&rig.entropy);
    let id = new.id().to_string();
    assert_eq!(reseal(&rig, &id).await.unwrap_err().code(), "changed-concurrently", "not taken up yet");
    rig.sealing.replace(vec![new.clone(), old]).unwrap();
    let done = reseal(&rig, &id).await.unwrap();
    assert_eq!((done.resealed, done.left, done.key_id), (3, 0, id));
    assert_eq!(reseal(&rig, "").await.unwrap().resealed, 0, "nothing is left to do");
    rig.sealing.replace(vec![new]).unwrap();
    sign_in(&rig, &ada).await.unwrap();
    let secret = data_encoding::BASE32_NOPAD.decode(proposed.secret.as_bytes()).unwrap();
    let bob = crate::person::Person { email: "bob@example.com".into(), secret };
    let confirmed = wire::ConfirmActivationRequest { token: bobs, code: code(&rig, &bob) };
    let path = "/beem.identity.v1.SignIns/ConfirmActivation";
    rig.visit::<_, wire::ConfirmActivationResponse>("203.0.113.9", path, confirmed).await.unwrap();
    assert_eq!(mails(&rig, "carol@").await.len(), 1);
}

async fn what_is_under_no_key_held_is_left(rig: Rig) {
    let owner = rig.owner("a").await;
    invite(&rig, &owner, "a", &person("ada@example.com", &[])).await.unwrap();
    activate(&rig, "ada@example.com", &newest_token(&rig, "ada@").await).await;
    let [new, other] = [SealingKey::draw(&rig.entropy), SealingKey::draw(&rig.entropy)];
    rig.sealing.replace(vec![new, other]).unwrap();
    let done = reseal(&rig, "").await.unwrap();
    assert_eq!((done.resealed, done.left), (0, 1), "it says so, and the key may come back");
}
