//! Which keys sign while they rotate, as a receiver sees it that has the public keys and the secrets of the answers.

use super::{count, happen};
use crate::on_both;
use crate::receiver::{Answer, Received, Receiver};
use crate::rig::Rig;
use crate::rotation::rotate;
use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_proto::hooks::v1 as wire;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

on_both!(both_keys_sign_during_an_overlap_and_only_the_new_one_after_it);

/// Whether this header is the hook's RSA signature of the body.
fn is_rsa(hook: &wire::Hook, got: &Received, header: &str) -> bool {
    let spki = STANDARD.decode(&hook.public_key).unwrap();
    let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki).unwrap();
    key.verify_sig(&got.body, &STANDARD.decode(got.header(header)).unwrap()).is_ok()
}

/// How many of the signatures of Standard Webhooks are the hook's: (`v1`, `v1a`).
fn standard(hook: &wire::Hook, got: &Received) -> (usize, usize) {
    let begin = format!("{}.{}.", got.event_id(), got.header("webhook-timestamp"));
    let signed = [begin.as_bytes(), &got.body].concat();
    let digits = |text: &str, prefix| STANDARD.decode(text.strip_prefix(prefix).unwrap()).unwrap();
    let secret = digits(hook.signing_secret(), "whsec_");
    let public = digits(&hook.signing_public_key, "whpk_").try_into().unwrap();
    let public = VerifyingKey::from_bytes(&public).unwrap();
    let holds = |part: &&str| match part.split_once(',').unwrap() {
        ("v1", digits) => {
            let mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap().chain_update(&signed);
            mac.verify_slice(&STANDARD.decode(digits).unwrap()).is_ok()
        }
        (_, digits) => {
            let signature = Signature::from_slice(&STANDARD.decode(digits).unwrap()).unwrap();
            public.verify_strict(&signed, &signature).is_ok()
        }
    };
    let held: Vec<&str> = got.header("webhook-signature").split(' ').filter(holds).collect();
    let symmetric = held.iter().filter(|part| part.starts_with("v1,")).count();
    (symmetric, held.len() - symmetric)
}

/// The next event as it comes, and how many signatures of Standard Webhooks it has; the lane is left behind it.
async fn next(rig: &Rig, receiver: &Receiver) -> (Received, usize) {
    let n = receiver.received().len() + 1;
    happen(rig, "w").await;
    let got = receiver.wait_for(n).await.pop().unwrap();
    count(rig, 1, "lanes WHERE owner IS NULL AND due_ms IS NULL").await;
    let signatures = got.header("webhook-signature").split(' ').count();
    (got, signatures)
}

async fn both_keys_sign_during_an_overlap_and_only_the_new_one_after_it(rig: Rig) {
    let receiver = Receiver::start(Answer::ok()).await;
    let old = rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    let (got, signatures) = next(&rig, &receiver).await;
    assert!(is_rsa(&old, &got, "x-signature") && got.headers.get("x-signature-next").is_none());
    assert_eq!((standard(&old, &got), signatures), ((1, 1), 2));

    let new = rotate(&rig, &rig.owner, "r", &old.id, Some(60)).await.unwrap().body;
    // From its first moment to its last.
    for wait_ms in [0, 59_999] {
        rig.clock.advance_ms(wait_ms);
        let (got, signatures) = next(&rig, &receiver).await;
        assert!(is_rsa(&old, &got, "x-signature") && !is_rsa(&new, &got, "x-signature"));
        assert!(is_rsa(&new, &got, "x-signature-next") && !is_rsa(&old, &got, "x-signature-next"));
        assert_eq!((standard(&old, &got), standard(&new, &got), signatures), ((1, 1), (1, 1), 4));
    }

    rig.clock.advance_ms(1);
    let (got, signatures) = next(&rig, &receiver).await;
    assert!(is_rsa(&new, &got, "x-signature") && !is_rsa(&old, &got, "x-signature"));
    assert!(got.headers.get("x-signature-next").is_none());
    assert_eq!((standard(&old, &got), standard(&new, &got), signatures), ((0, 0), (1, 1), 2));
}
