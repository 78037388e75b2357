//! The second factor: a time-based one-time password (RFC 6238 over RFC 4226) with SHA-1, six digits and steps of 30 s,
//! which is what every authenticator app takes. Each step is accepted once, one step early or late.

use aws_lc_rs::hmac;
use beem_clock::{Entropy, Moment};
use data_encoding::BASE32_NOPAD;
use std::fmt;

/// Seconds of a step.
const STEP_S: i64 = 30;
/// Steps a clock may be off, either way (RFC 6238, 5.2).
const SKEW_STEPS: i64 = 1;
/// Ten to the number of digits.
const MODULUS: u32 = 1_000_000;
/// How apps name where it comes from.
const ISSUER: &str = "BEEM";

/// 160 bits (RFC 4226, 4), which do not print.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpKey([u8; 20]);

impl TotpKey {
    /// A new one.
    #[must_use]
    pub fn draw(entropy: &Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// As it was stored; None when it is not one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// To be sealed and stored.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// For typing into an app: base32 without padding.
    #[must_use]
    pub fn base32(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// For a QR code (the key URI format of Google Authenticator, which all apps read).
    #[must_use]
    pub fn otpauth_url(&self, account: &str) -> String {
        let (account, key) = (percent(account), self.base32());
        format!(
            "otpauth://totp/{ISSUER}:{account}?secret={key}&issuer={ISSUER}&algorithm=SHA1&digits=6&period=30"
        )
    }

    /// The step whose code this is: the earliest of the last, this and the next one that is later than `last_used`.
    #[must_use]
    pub fn step_of(&self, code: u32, now: Moment, last_used: i64) -> Option<i64> {
        let current = now.unix_s().div_euclid(STEP_S);
        let steps = current.saturating_sub(SKEW_STEPS)..=current.saturating_add(SKEW_STEPS);
        // All are computed, whichever fits.
        steps.fold(None, |found, step| {
            let fits = self.code(step) == code && step > last_used;
            found.or(fits.then_some(step))
        })
    }

    /// RFC 4226, 5.3.
    fn code(&self, step: i64) -> u32 {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let bytes = tag.as_ref();
        let offset = usize::from(bytes.last().copied().unwrap_or_default() & 0x0F);
        let word = bytes.get(offset..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
        (u32::from_be_bytes(word) & 0x7FFF_FFFF) % MODULUS
    }
}

/// RFC 3986, 2.1: everything but unreserved characters.
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

impl fmt::Debug for TotpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc_key() -> TotpKey {
        TotpKey::from_bytes(b"12345678901234567890").unwrap()
    }

    /// RFC 6238, appendix B, SHA-1, the last six of its eight digits.
    const VECTORS: [(i64, u32); 6] = [
        (59, 287_082),
        (1_111_111_109, 81_804),
        (1_111_111_111, 50_471),
        (1_234_567_890, 5_924),
        (2_000_000_000, 279_037),
        (20_000_000_000, 353_130),
    ];

    #[test]
    fn agrees_with_the_rfc() {
        for (at, code) in VECTORS {
            assert_eq!(rfc_key().code(at / STEP_S), code, "{at}");
            assert_eq!(rfc_key().step_of(code, Moment::from_unix_s(at), 0), Some(at / STEP_S));
        }
        // RFC 4226, appendix D.
        for (step, code) in [(0, 755_224), (1, 287_082), (2, 359_152), (9, 520_489)] {
            assert_eq!(rfc_key().code(step), code);
        }
    }

    #[test]
    fn a_code_counts_one_step_early_or_late_and_no_further() {
        let (at, code) = VECTORS[2];
        let step = at / STEP_S;
        let tried = |s: i64| rfc_key().step_of(code, Moment::from_unix_s(s), 0);
        let begins = step * STEP_S;
        assert_eq!(tried(begins - 31), None, "two steps early");
        assert_eq!(tried(begins - 30), Some(step), "one step early");
        assert_eq!(tried(begins + 59), Some(step), "one step late");
        assert_eq!(tried(begins + 60), None, "two steps late");
    }

    #[test]
    fn a_step_that_was_used_and_those_before_it_are_refused() {
        let (at, code) = VECTORS[2];
        let step = at / STEP_S;
        assert_eq!(rfc_key().step_of(code, Moment::from_unix_s(at), step - 1), Some(step));
        assert_eq!(rfc_key().step_of(code, Moment::from_unix_s(at), step), None);
        assert_eq!(rfc_key().step_of(code, Moment::from_unix_s(at), step + 1), None);
    }

    #[test]
    fn apps_can_read_it_and_logs_cannot() {
        let url = rfc_key().otpauth_url("o'neill+x@example.com");
        assert_eq!(
            url,
            "otpauth://totp/BEEM:o%27neill%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=BEEM&algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(format!("{:?}", rfc_key()), "TotpKey(…)");
        assert_ne!(TotpKey::draw(&Entropy::seeded(1)), TotpKey::draw(&Entropy::seeded(2)));
        assert!(TotpKey::from_bytes(&[1; 19]).is_none());
    }
}
