//! Addresses, and a rendered mail as the bytes of RFC 5322 and MIME.

use crate::{Outgoing, Rendered};
use beem_clock::Moment;
use beem_fault::{Fault, Result};
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// RFC 5321, section 4.5.3.1.
const LONGEST_LOCAL_PART: usize = 64;
const LONGEST_ADDRESS: usize = 254;
/// What an address may hold only inside quotes, which not every server on the way takes.
const QUOTED_ONLY: &[char] = &['"', '(', ')', ',', ':', ';', '<', '>', '[', '\\', ']'];
/// Characters of a subject and of a name: further ones say nothing, and lines of a header have an end.
const LONGEST_SUBJECT: usize = 200;
const LONGEST_NAME: usize = 100;

/// Whether mail can be sent to this: an address alone, within the lengths of RFC 5321, without quotes, in ASCII (a domain
/// of another script in its `xn--` form).
#[must_use]
pub fn is_address(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(QUOTED_ONLY);
    let fits = text.len() <= LONGEST_ADDRESS
        && text.rsplit_once('@').is_some_and(|(local, _)| local.len() <= LONGEST_LOCAL_PART);
    plain && fits && text.parse::<Address>().is_ok()
}

/// A name with an address, or an address alone.
pub(crate) fn mailbox(text: &str) -> Option<Mailbox> {
    text.parse().ok().filter(|mailbox: &Mailbox| is_address(mailbox.email.as_ref()))
}

/// One line: no control character is left, so that nothing goes on in the next header.
pub(crate) fn one_line(text: &str) -> String {
    let clean = text.replace(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'), " ");
    clean.trim().to_owned()
}

/// The mail of this id: the same bytes whenever it is built.
///
/// # Errors
/// `internal` for what is not an address.
pub(crate) fn build(
    id: Uuid,
    created: Moment,
    from: &Mailbox,
    to: &str,
    mail: &Rendered,
) -> Result<Outgoing> {
    let to: Address = to.parse().map_err(|_| Fault::internal("not an address"))?;
    let domain = from.email.domain();
    let since_epoch = Duration::from_millis(u64::try_from(created.unix_ms()).unwrap_or(0));
    let shortened = |text: &str, max: usize| -> String { one_line(text).chars().take(max).collect() };
    let name = Some(shortened(&mail.to_name, LONGEST_NAME)).filter(|name| !name.is_empty());
    let envelope = Envelope::new(Some(from.email.clone()), vec![to.clone()]).map_err(Fault::internal)?;
    // The boundary cannot stand in a body of quoted-printable or base64 (RFC 2045, section 6.7).
    let bodies = MultiPart::alternative()
        .boundary(format!("=_{}", id.simple()))
        .singlepart(SinglePart::plain(mail.text.clone()))
        .singlepart(SinglePart::html(mail.html.clone()));
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(name, to.clone()))
        .subject(shortened(&mail.subject, LONGEST_SUBJECT))
        .date(SystemTime::UNIX_EPOCH + since_epoch)
        .message_id(Some(format!("<{id}@{domain}>")))
        // RFC 3834: nobody's holiday notice answers this.
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .envelope(envelope)
        .multipart(bodies)
        .map_err(Fault::internal)?;
    let bytes = message.formatted();
    if !bytes.is_ascii() {
        return Err(Fault::internal("a mail is not ASCII, which not every server takes"));
    }
    Ok(Outgoing { id, created, from: from.email.clone(), to, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(mail: &Rendered) -> String {
        let from = mailbox("BEEM <beem@pay.example>").unwrap();
        let id = Uuid::from_u128(7);
        let built = build(id, Moment::from_unix_s(1_700_000_000), &from, "ada@example.com", mail).unwrap();
        String::from_utf8(built.bytes).unwrap()
    }

    fn rendered(to_name: &str, subject: &str) -> Rendered {
        let (text, html) = ("Grüße\n".into(), "<p>Grüße</p>".into());
        Rendered { to_name: to_name.into(), subject: subject.into(), text, html }
    }

    #[test]
    fn what_is_an_address() {
        for good in ["ada@example.com", "a.b+c@xn--bcher-kva.example", "root@localhost", "o'neil@example.com"]
        {
            assert!(is_address(good), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "Ada <ada@example.com>",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada @example.com",
            "ada@exam ple.com",
            "\"ada\"@example.com",
            "ada@[127.0.0.1]",
            "ada@example.com,eve@example.com",
            "ädä@example.com",
            "ada@bücher.example",
            &long,
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn headers_say_what_they_should_and_stay_the_same() {
        let mail = rendered("Ada Lovelace", "Welcome");
        let text = built(&mail);
        for line in [
            "From: BEEM <beem@pay.example>",
            "To: \"Ada Lovelace\" <ada@example.com>",
            "Subject: Welcome",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000",
            "Message-ID: <00000000-0000-0000-0000-000000000007@pay.example>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} in {text}");
        }
        assert_eq!(built(&mail), text);
    }

    #[test]
    fn nobody_writes_a_header_through_a_name_or_a_subject() {
        let hostile = "Eve\r\nBcc: mallory@example.com\r\n\r\n<b>body</b>";
        for mail in
            [rendered(hostile, "Welcome"), rendered("Ada", hostile), rendered("\u{2028}é\nX: y", "é\rX: y")]
        {
            let text = built(&mail);
            let (headers, _) = text.split_once("\r\n\r\n").unwrap();
            let names: Vec<_> = headers
                .split("\r\n")
                .filter(|line| !line.starts_with([' ', '\t']))
                .map(|line| line.split_once(':').unwrap().0)
                .collect();
            let ours = [
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "Auto-Submitted",
                "MIME-Version",
                "Content-Type",
            ];
            assert_eq!(names, ours, "{text}");
            assert!(headers.split("\r\n").all(|line| line.len() < 100 && !line.contains(['\r', '\n'])));
        }
    }

    #[test]
    fn a_name_cannot_become_another_recipient() {
        let text = built(&rendered("x\" <mallory@example.com>, \"y", "Welcome"));
        let to = text.lines().find(|line| line.starts_with("To: ")).unwrap();
        assert!(to.ends_with(" <ada@example.com>") && !to.contains("mallory"), "{to}");
    }
}
