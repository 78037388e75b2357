//! What people find in their mailboxes: the folder identity's mails are written to, read back.

use crate::rig::Rig;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// One mail as it was sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Names of files sort by the second of their making.
    pub file: String,
    pub to: String,
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// Everything, decoded.
    pub whole: String,
}

impl Mail {
    /// The token of its link.
    pub fn token(&self) -> String {
        let (_, rest) = self.text.split_once("?token=").unwrap();
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
    }
}

/// Every mail that was sent to the address, in the order in which they were queued.
pub async fn mails(rig: &Rig, to: &str) -> Vec<Mail> {
    let folder = rig.mails_sent().await.to_owned();
    let Ok(files) = std::fs::read_dir(folder) else { return vec![] };
    let mut found: Vec<Mail> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "eml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            read(name, &std::fs::read_to_string(path).unwrap())
        })
        .filter(|mail| mail.to.contains(to))
        .collect();
    found.sort_by(|a, b| a.file.cmp(&b.file));
    found
}

/// The token of the newest mail to the address.
pub async fn newest_token(rig: &Rig, to: &str) -> String {
    mails(rig, to).await.last().unwrap().token()
}

fn read(file: String, raw: &str) -> Mail {
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ");
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_default().to_owned()
    };
    let boundary = head.split("boundary=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let parts: Vec<String> = body
        .split(&format!("--{boundary}"))
        .filter_map(|part| part.split_once("\r\n\r\n"))
        .map(|(head, body)| decoded(head, body))
        .collect();
    let text = parts.first().cloned().unwrap_or_default();
    Mail { file, to: header("To"), subject: header("Subject"), text, whole: parts.concat() }
}

fn decoded(head: &str, body: &str) -> String {
    let head = head.to_lowercase();
    if head.contains("base64") {
        let bytes = BASE64_STANDARD.decode(body.split_whitespace().collect::<String>()).unwrap();
        return String::from_utf8(bytes).unwrap();
    }
    if !head.contains("quoted-printable") {
        return body.to_owned();
    }
    let body = body.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = body.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' && after.len() >= 2 {
            let hex = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}
