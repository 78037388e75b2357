//! Codes of a second factor, computed here from RFC 6238 and RFC 4226 alone and not with the code under test, so that one
//! misreading on both sides cannot pass for agreement.

use crate::forge::now_s;
use aws_lc_rs::hmac;

/// Seconds for which a code is the present one.
pub const STEP_S: i64 = 30;

/// RFC 4648 base32 without padding, as authenticator apps take keys.
#[must_use]
pub fn base32(text: &str) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.chars() {
        let value = match letter {
            'A'..='Z' => u32::from(letter) - u32::from('A'),
            '2'..='7' => u32::from(letter) - u32::from('2') + 26,
            other => panic!("{other} is no letter of base32"),
        };
        (bits, count) = (bits << 5 | value, count + 5);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

/// The step that is now.
#[must_use]
pub fn step_now() -> i64 {
    now_s() / STEP_S
}

/// The six digits of a step: RFC 4226 section 5.3 over the step's number.
#[must_use]
pub fn code(key: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let mac = hmac::sign(&key, &step.to_be_bytes());
    let mac = mac.as_ref();
    let at = usize::from(mac[mac.len() - 1] & 0x0f);
    let four: [u8; 4] = mac[at..at + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, SHA-1, its last six digits.
    #[test]
    fn the_vectors_of_the_rfc() {
        let key = b"12345678901234567890";
        for (at_s, wanted) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(code(key, at_s / STEP_S), wanted);
        }
        assert_eq!(base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), key);
    }
}
