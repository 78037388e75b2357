//! The rules about time (2.2 of the public contract): `created` within a window, a covered `date` beside it, `expires`
//! ahead. Unit of every rule: seconds.

use crate::error::{Refusal, SignatureError};
use beem_clock::Moment;
use http::HeaderMap;
use http::header::DATE;
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// IMF-fixdate (RFC 9110 section 5.6.7), the only form a sender may generate.
const IMF_FIXDATE: &[FormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// How far `created` may lie from now, and `date` from `created`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRules {
    /// How old a signature may be, in seconds.
    pub past_s: i64,
    /// How far ahead of our clock the signer's may run, in seconds.
    pub future_s: i64,
    /// How far a covered `date` may differ from `created`, in seconds.
    pub date_s: i64,
}

impl Default for TimeRules {
    fn default() -> Self {
        Self { past_s: 300, future_s: 60, date_s: 1 }
    }
}

/// The times of one signature.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Unix seconds.
    pub created_s: Option<i64>,
    /// Unix seconds.
    pub expires_s: Option<i64>,
    pub covers_date: bool,
}

impl TimeRules {
    /// Judges the times of a signature.
    pub fn check(&self, times: Times, now: Moment, headers: &HeaderMap) -> Result<(), SignatureError> {
        let Some(created_s) = times.created_s else {
            return Err(Refusal::Expired.because("the created parameter is missing"));
        };
        let created = Moment::from_unix_s(created_s);
        let age_ms = now.ms_since(created);
        if age_ms > self.past_s.saturating_mul(1000) {
            let detail =
                format!("created is more than {} s in the past; now is {}", self.past_s, now.unix_s());
            return Err(Refusal::Expired.because(detail));
        }
        if age_ms < self.future_s.saturating_mul(-1000) {
            let detail =
                format!("created is more than {} s in the future; now is {}", self.future_s, now.unix_s());
            return Err(Refusal::Expired.because(detail));
        }
        if let Some(expires_s) = times.expires_s {
            if expires_s < created_s {
                return Err(Refusal::Expired.because("expires lies before created"));
            }
            if now.ms_since(Moment::from_unix_s(expires_s)) > 0 {
                return Err(Refusal::Expired.because(format!("expires is past; now is {}", now.unix_s())));
            }
        }
        if times.covers_date { self.check_date(created_s, headers) } else { Ok(()) }
    }

    fn check_date(&self, created_s: i64, headers: &HeaderMap) -> Result<(), SignatureError> {
        let mut lines = headers.get_all(DATE).iter();
        let (Some(date), None) = (lines.next(), lines.next()) else {
            return Err(Refusal::Invalid
                .because("date is covered, so the request must carry exactly one Date header"));
        };
        let Some(date) = date.to_str().ok().and_then(parse_http_date) else {
            let detail = "the covered Date is not of the form Sun, 06 Nov 1994 08:49:37 GMT";
            return Err(Refusal::Expired.because(detail));
        };
        if date.unix_s().abs_diff(created_s) > self.date_s.unsigned_abs() {
            let detail = format!("the covered Date and created differ by more than {} s", self.date_s);
            return Err(Refusal::Expired.because(detail));
        }
        Ok(())
    }
}

/// Reads an IMF-fixdate.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<Moment> {
    let at = PrimitiveDateTime::parse(text, IMF_FIXDATE).ok()?;
    let at = Moment::from_unix_s(at.assume_utc().unix_timestamp());
    // The parser takes any weekday and any case; there is one right text for a moment.
    (http_date(at) == text).then_some(at)
}

/// Writes an IMF-fixdate; empty for a moment outside the years 0 to 9999, which no clock gives.
#[must_use]
pub fn http_date(at: Moment) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at.unix_s()).ok();
    at.and_then(|at| at.format(IMF_FIXDATE).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const NOW_S: i64 = 1_618_884_473;

    fn check(created: i64, expires: Option<i64>, date: Option<&str>) -> Option<Refusal> {
        let mut headers = HeaderMap::new();
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        let times = Times { created_s: Some(created), expires_s: expires, covers_date: date.is_some() };
        TimeRules::default().check(times, Moment::from_unix_s(NOW_S), &headers).err().map(|e| e.refusal)
    }

    #[test]
    fn the_window_is_closed_at_both_ends() {
        assert_eq!(check(NOW_S, None, None), None);
        assert_eq!(check(NOW_S - 300, None, None), None);
        assert_eq!(check(NOW_S - 301, None, None), Some(Refusal::Expired));
        assert_eq!(check(NOW_S + 60, None, None), None);
        assert_eq!(check(NOW_S + 61, None, None), Some(Refusal::Expired));
        assert_eq!(check(i64::MIN, None, None), Some(Refusal::Expired));
        assert_eq!(check(i64::MAX, None, None), Some(Refusal::Expired));
    }

    #[test]
    fn created_is_required() {
        let times = Times { created_s: None, expires_s: None, covers_date: false };
        let verdict = TimeRules::default().check(times, Moment::from_unix_s(NOW_S), &HeaderMap::new());
        assert_eq!(verdict.unwrap_err().refusal, Refusal::Expired);
    }

    #[test]
    fn expires_holds_and_is_not_before_created() {
        assert_eq!(check(NOW_S - 10, Some(NOW_S), None), None);
        assert_eq!(check(NOW_S - 10, Some(NOW_S - 1), None), Some(Refusal::Expired));
        assert_eq!(check(NOW_S + 10, Some(NOW_S + 9), None), Some(Refusal::Expired));
    }

    #[test]
    fn a_covered_date_agrees_with_created() {
        let at = |s| http_date(Moment::from_unix_s(s));
        assert_eq!(at(NOW_S), "Tue, 20 Apr 2021 02:07:53 GMT");
        assert_eq!(check(NOW_S, None, Some(&at(NOW_S + 1))), None);
        assert_eq!(check(NOW_S, None, Some(&at(NOW_S - 1))), None);
        assert_eq!(check(NOW_S, None, Some(&at(NOW_S + 2))), Some(Refusal::Expired));
        for bad in
            ["", "yesterday", "Mon, 20 Apr 2021 02:07:53 GMT", "Tue, 20 Apr 2021 02:07:53 CET", "1618884473"]
        {
            assert_eq!(check(NOW_S, None, Some(bad)), Some(Refusal::Expired), "{bad}");
        }
        let times = Times { created_s: Some(NOW_S), expires_s: None, covers_date: true };
        let none = TimeRules::default().check(times, Moment::from_unix_s(NOW_S), &HeaderMap::new());
        assert_eq!(none.unwrap_err().refusal, Refusal::Invalid);
    }
}
