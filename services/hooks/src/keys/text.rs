//! Keys as their owners read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_sealing::Zeroizing;

/// Digits of a line of PEM (RFC 7468 section 2).
const LINE: usize = 64;

/// Of an RSA key's SubjectPublicKeyInfo in DER: its base64, as `publicKey` has it.
#[must_use]
pub fn public_key_base64(spki: &[u8]) -> String {
    STANDARD.encode(spki)
}

/// The same as a PEM block (RFC 7468 section 13).
#[must_use]
pub fn public_key_pem(spki: &[u8]) -> String {
    let digits = public_key_base64(spki);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

/// Of an Ed25519 key, as Standard Webhooks writes it: `whpk_` and base64.
#[must_use]
pub fn signing_public_key(ed25519_public: &[u8; 32]) -> String {
    format!("whpk_{}", STANDARD.encode(ed25519_public))
}

/// Of a secret, as Standard Webhooks writes it: `whsec_` and base64.
#[must_use]
pub fn signing_secret(secret: &[u8; 32]) -> Zeroizing<String> {
    let digits = Zeroizing::new(STANDARD.encode(secret));
    Zeroizing::new(["whsec_", &digits].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_prefixes_and_lines() {
        assert_eq!(signing_public_key(&[0; 32]), "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        assert_eq!(*signing_secret(&[255; 32]), "whsec_//////////////////////////////////////////8=");
        for size in [0, 1, 47, 48, 49, 294] {
            let spki = vec![7; size];
            let pem = public_key_pem(&spki);
            let lines: Vec<&str> = pem.lines().collect();
            assert_eq!(lines.first(), Some(&"-----BEGIN PUBLIC KEY-----"));
            assert_eq!(lines.last(), Some(&"-----END PUBLIC KEY-----"));
            let digits = &lines[1..lines.len() - 1];
            assert!(digits.iter().rev().skip(1).all(|line| line.len() == LINE), "{size}");
            assert!(digits.iter().all(|line| !line.is_empty() && line.len() <= LINE), "{size}");
            assert_eq!(digits.concat(), public_key_base64(&spki));
            assert!(pem.ends_with("-----\n"));
        }
    }
}
