//! `Content-Digest` (RFC 9530): made by signers, judged against the bytes received.

use crate::error::{Refusal, SignatureError};
use crate::structure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use sfv::{BareItem, Item, ListEntry};
use sha2::{Digest as _, Sha256, Sha512};

/// Digests in one header: two algorithms are known, and a few more may be sent for others.
const MAX_DIGESTS: usize = 8;

/// The header's name.
pub const CONTENT_DIGEST: &str = "content-digest";

/// Judges the header, whether a signature covers it or not: every `sha-256` and `sha-512` in it must match the body.
/// No header is no mismatch: that a body needs one is a matter of what the signature must cover.
///
/// # Errors
/// `digest-mismatch` when one does not match, when the header is malformed, and when there is a body but no algorithm
/// in it is known.
pub fn check(headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureError> {
    let mismatch = |detail: String| Refusal::DigestMismatch.because(detail);
    let Some(text) = structure::combined(headers, CONTENT_DIGEST).map_err(|e| mismatch(e.detail))? else {
        return Ok(());
    };
    let members = structure::dictionary(&text, MAX_DIGESTS)
        .map_err(|e| mismatch(format!("Content-Digest is malformed: {e}")))?;
    let mut known = false;
    for member in members {
        let wanted = match member.label.as_str() {
            "sha-256" => Sha256::digest(body).to_vec(),
            "sha-512" => Sha512::digest(body).to_vec(),
            _ => continue,
        };
        known = true;
        let ListEntry::Item(Item { bare_item: BareItem::ByteSequence(sent), .. }) = member.value else {
            return Err(mismatch(format!(
                "{} in Content-Digest is not a byte sequence (:base64:)",
                member.label
            )));
        };
        if sent != wanted {
            let detail = format!("{} does not match the {} bytes received", member.label, body.len());
            return Err(mismatch(detail));
        }
    }
    if known || body.is_empty() {
        return Ok(());
    }
    Err(mismatch("Content-Digest holds neither sha-256 nor sha-512".into()))
}

/// The header's value for a body: `sha-256=:…:`.
#[must_use]
pub fn sha256(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

/// The header's value for a body: `sha-512=:…:`.
#[must_use]
pub fn sha512(body: &[u8]) -> String {
    format!("sha-512=:{}:", STANDARD.encode(Sha512::digest(body)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn verdict(value: &str, body: &[u8]) -> Option<Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_DIGEST, HeaderValue::from_str(value).unwrap());
        check(&headers, body).err().map(|e| e.refusal)
    }

    /// RFC 9530 appendix B.1 (with its line feed) and the body of RFC 9421 appendix B.2.
    #[test]
    fn examples_of_the_rfcs() {
        assert_eq!(
            sha256(b"{\"hello\": \"world\"}\n"),
            "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
        );
        assert_eq!(
            sha512(b"{\"hello\": \"world\"}"),
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
        );
    }

    #[test]
    fn every_known_digest_must_match() {
        let (a, b) = (sha256(b"body"), sha512(b"body"));
        for good in [&a, &b, &format!("{a}, {b}"), &format!("md5=:AAAA:, {a}"), &format!("{a};x=1")] {
            assert_eq!(verdict(good, b"body"), None, "{good}");
        }
        let other = sha512(b"other");
        for bad in [
            "",
            "sha-256",
            "sha-256=abc",
            "sha-256=::",
            "sha-256=\"x\"",
            "SHA-256=:AAAA:",
            "md5=:AAAA:",
            &other,
            &format!("{a}, {other}"),
            &format!("{}, {a}", sha256(b"other")),
            &format!("{a}, {a}"),
        ] {
            assert_eq!(verdict(bad, b"body"), Some(Refusal::DigestMismatch), "{bad}");
        }
    }

    #[test]
    fn an_empty_body_is_judged_too() {
        assert_eq!(check(&HeaderMap::new(), b""), Ok(()));
        assert_eq!(check(&HeaderMap::new(), b"body"), Ok(()));
        assert_eq!(verdict(&sha256(b""), b""), None);
        assert_eq!(verdict(&sha256(b"body"), b""), Some(Refusal::DigestMismatch));
        assert_eq!(verdict("md5=:AAAA:", b""), None);
    }
}
