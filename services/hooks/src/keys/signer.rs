//! What is signed and how: `x-signature` over the raw body, and the signatures of Standard Webhooks over the event's
//! id, the time and the body
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_clock::Moment;
use beem_fault::{Fault, Result};
use beem_ids::EventId;
use ed25519_dalek::{Signer as _, SigningKey};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

/// A hook's private keys, ready to sign: parsed once, not for every delivery.
pub struct Signer {
    rsa: RsaKeyPair,
    ed25519: SigningKey,
    secret: hmac::Key,
}

impl Signer {
    /// Of an RSA key (PKCS#8, DER), an Ed25519 seed and a secret.
    ///
    /// # Errors
    /// `internal` when the RSA key is none.
    pub fn new(rsa_private: &[u8], ed25519_private: &[u8; 32], secret: &[u8; 32]) -> Result<Self> {
        Ok(Self {
            rsa: RsaKeyPair::from_pkcs8(rsa_private).map_err(Fault::internal)?,
            ed25519: SigningKey::from_bytes(ed25519_private),
            secret: hmac::Key::new(hmac::HMAC_SHA256, secret),
        })
    }

    /// Base64 of RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2).
    fn rsa_signature(&self, body: &[u8]) -> Result<String> {
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        self.rsa
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), body, &mut signature)
            .map_err(Fault::internal)?;
        Ok(STANDARD.encode(signature))
    }

    /// One of each kind, so that every receiver finds the one it knows.
    fn standard_signatures(&self, signed: &[u8]) -> String {
        let symmetric = STANDARD.encode(hmac::sign(&self.secret, signed));
        let asymmetric = STANDARD.encode(self.ed25519.sign(signed).to_bytes());
        format!("v1,{symmetric} v1a,{asymmetric}")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

/// The headers that prove a delivery. While a `retiring` key still signs, `x-signature` is made with it, for
/// receivers that do not know the new one yet, and `x-signature-next` with the active one; `webhook-signature` has
/// those of the active key and then those of the retiring one.
///
/// # Errors
/// `internal` when the cryptography library fails.
pub fn headers(
    event_id: EventId,
    now: Moment,
    body: &[u8],
    active: &Signer,
    retiring: Option<&Signer>,
) -> Result<HeaderMap> {
    let (id, timestamp) = (event_id.to_string(), now.unix_s().to_string());
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let mut signatures = active.standard_signatures(&signed);
    let mut headers = HeaderMap::new();
    if let Some(retiring) = retiring {
        signatures = [signatures, retiring.standard_signatures(&signed)].join(" ");
        put(&mut headers, "x-signature", &retiring.rsa_signature(body)?)?;
        put(&mut headers, "x-signature-next", &active.rsa_signature(body)?)?;
    } else {
        put(&mut headers, "x-signature", &active.rsa_signature(body)?)?;
    }
    put(&mut headers, "webhook-id", &id)?;
    put(&mut headers, "webhook-timestamp", &timestamp)?;
    put(&mut headers, "webhook-signature", &signatures)?;
    Ok(headers)
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<()> {
    let value = HeaderValue::from_str(value).map_err(Fault::internal)?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeyMaker, NewKeys};
    use ::hmac::{Hmac, KeyInit as _, Mac as _};
    use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
    use beem_clock::Entropy;
    use beem_ids::AccountId;
    use beem_telemetry::Telemetry;
    use ed25519_dalek::{Signature, VerifyingKey};
    use sha2::Sha256;
    use uuid::Uuid;

    const NOW: Moment = Moment::from_unix_ms(1_800_000_000_987);
    const BODY: &[u8] = r#"{"event":"layer1:hook:test","data":"ü"}"#.as_bytes();

    async fn draw(entropy: Entropy) -> NewKeys {
        let maker = KeyMaker::new(entropy, Telemetry::off());
        let turn = maker.turn(AccountId(Uuid::nil())).await;
        maker.draw(turn).await.unwrap()
    }

    async fn drawn() -> (NewKeys, Signer) {
        let keys = draw(Entropy::System).await;
        let signer = Signer::new(&keys.rsa_private, &keys.ed25519_private, &keys.secret).unwrap();
        (keys, signer)
    }

    fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
        headers.get(name).unwrap().to_str().unwrap()
    }

    /// As a receiver checks it that has only the public key.
    fn rsa_holds(keys: &NewKeys, signature: &str, body: &[u8]) -> bool {
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &keys.rsa_public).unwrap();
        public.verify_sig(body, &STANDARD.decode(signature).unwrap()).is_ok()
    }

    /// What a receiver of Standard Webhooks puts together from the headers and the body.
    fn signed(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
        let begin = format!("{}.{}.", header(headers, "webhook-id"), header(headers, "webhook-timestamp"));
        [begin.as_bytes(), body].concat()
    }

    fn hmac_holds(keys: &NewKeys, signature: &str, signed: &[u8]) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(keys.secret.as_slice()).unwrap();
        mac.update(signed);
        mac.verify_slice(&STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap()).is_ok()
    }

    fn ed25519_holds(keys: &NewKeys, signature: &str, signed: &[u8]) -> bool {
        let bytes = STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
        let public = VerifyingKey::from_bytes(&keys.ed25519_public).unwrap();
        public.verify_strict(signed, &Signature::from_slice(&bytes).unwrap()).is_ok()
    }

    #[tokio::test]
    async fn all_three_signatures_hold_by_the_public_halves_alone() {
        let (keys, signer) = drawn().await;
        let event = EventId::draw(NOW, &Entropy::System);
        let headers = headers(event, NOW, BODY, &signer, None).unwrap();
        assert_eq!(headers.len(), 4);
        assert_eq!(header(&headers, "webhook-id"), event.to_string());
        assert_eq!(header(&headers, "webhook-timestamp"), "1800000000");
        assert!(rsa_holds(&keys, header(&headers, "x-signature"), BODY));
        assert!(!rsa_holds(&keys, header(&headers, "x-signature"), b"{}"));
        let signed = signed(&headers, BODY);
        let signatures: Vec<&str> = header(&headers, "webhook-signature").split(' ').collect();
        assert_eq!(signatures.len(), 2);
        assert!(hmac_holds(&keys, signatures[0], &signed) && ed25519_holds(&keys, signatures[1], &signed));
        assert!(!hmac_holds(&keys, signatures[0], BODY) && !ed25519_holds(&keys, signatures[1], BODY));
    }

    #[tokio::test]
    async fn while_a_key_retires_both_sign_and_x_signature_stays_with_the_old_one() {
        let ((old_keys, old), (new_keys, new)) = tokio::join!(drawn(), drawn());
        assert_ne!(old_keys.rsa_public, new_keys.rsa_public);
        let event = EventId::draw(NOW, &Entropy::System);
        let headers = headers(event, NOW, BODY, &new, Some(&old)).unwrap();
        assert_eq!(headers.len(), 5);
        assert!(rsa_holds(&old_keys, header(&headers, "x-signature"), BODY));
        assert!(rsa_holds(&new_keys, header(&headers, "x-signature-next"), BODY));
        let signed = signed(&headers, BODY);
        let signatures: Vec<&str> = header(&headers, "webhook-signature").split(' ').collect();
        assert_eq!(signatures.len(), 4);
        assert!(
            hmac_holds(&new_keys, signatures[0], &signed) && ed25519_holds(&new_keys, signatures[1], &signed)
        );
        assert!(
            hmac_holds(&old_keys, signatures[2], &signed) && ed25519_holds(&old_keys, signatures[3], &signed)
        );
    }

    #[tokio::test]
    async fn the_same_event_is_signed_the_same_and_nothing_secret_is_printed() {
        let (keys, signer) = drawn().await;
        let event = EventId::draw(NOW, &Entropy::System);
        let sign = |signer: &Signer| headers(event, NOW, BODY, signer, None).unwrap();
        let again = Signer::new(&keys.rsa_private, &keys.ed25519_private, &keys.secret).unwrap();
        assert_eq!(sign(&signer), sign(&again));
        assert_eq!(format!("{keys:?} {signer:?}"), "NewKeys(..) Signer(..)");
        assert!(Signer::new(b"no key", &keys.ed25519_private, &keys.secret).is_err());
    }

    #[tokio::test]
    async fn seed_and_secret_come_from_the_entropy_and_differ() {
        let (one, other) = (draw(Entropy::seeded(7)).await, draw(Entropy::seeded(7)).await);
        assert_eq!((&one.secret, one.ed25519_public), (&other.secret, other.ed25519_public));
        assert_ne!(one.secret.as_slice(), one.ed25519_private.as_slice());
        assert_ne!(one.rsa_public, other.rsa_public);
    }
}
