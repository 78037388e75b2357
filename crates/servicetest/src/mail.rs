//! What people find in their mailboxes: a folder that mails are written to, read back.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::path::Path;

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
    #[must_use]
    pub fn token(&self) -> String {
        let (_, rest) = self.text.split_once("?token=").unwrap();
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
    }
}

/// Every mail in the folder, in the order in which they were queued.
#[must_use]
pub fn mailbox(folder: &Path) -> Vec<Mail> {
    let Ok(files) = std::fs::read_dir(folder) else { return vec![] };
    let mut found: Vec<Mail> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "eml"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            read(name, &std::fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort_by(|a, b| a.file.cmp(&b.file));
    found
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
        rest = after;
        match after.split_at_checked(2) {
            Some((hex, after)) if *first == b'=' => {
                bytes.push(u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap());
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).unwrap()
}
