//! Mails as they arrive in a folder, read by a reader of our own: what of RFC 5322, RFC 2045 and RFC 2047 they use.

use crate::eventually;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};

/// A folder of `.eml` files.
#[derive(Clone, Debug)]
pub struct Mailbox {
    pub folder: PathBuf,
}

/// One mail.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The file's name.
    pub name: String,
    /// Unfolded, in order; names in lower case.
    pub headers: Vec<(String, String)>,
    pub text: String,
    pub html: String,
}

impl Mailbox {
    /// Every mail there is, in the order of their names; none while there is no folder.
    #[must_use]
    pub fn all(&self) -> Vec<Letter> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == "eml"));
        files.sort();
        files.iter().map(|file| Letter::read(file)).collect()
    }

    /// Those to that address in any case, oldest first.
    #[must_use]
    pub fn to(&self, address: &str) -> Vec<Letter> {
        let mut all = self.all();
        let address = address.to_lowercase();
        all.retain(|letter| letter.header("to").to_lowercase().contains(&address));
        all
    }

    /// Waits until there are `count` to that address; the last of them.
    pub async fn wait(&self, address: &str, count: usize) -> Letter {
        let what = format!("mail {count} to {address}");
        let found = eventually(&what, || async {
            let mut letters = self.to(address);
            (letters.len() >= count).then(|| letters.swap_remove(count - 1))
        });
        found.await
    }

    /// Waits for the token of the `count`th mail to that address.
    pub async fn token(&self, address: &str, count: usize) -> String {
        self.wait(address, count).await.token()
    }
}

impl Letter {
    fn read(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        Self::parse(&name, &String::from_utf8(bytes).unwrap())
    }

    /// A multipart/alternative of text and HTML, as the installation writes them.
    #[must_use]
    pub fn parse(name: &str, mail: &str) -> Self {
        let mail = mail.replace("\r\n", "\n");
        let (headers, body) = part(&mail);
        let kind = header(&headers, "content-type");
        let boundary = kind.split("boundary=").nth(1).unwrap_or_else(|| panic!("{name}: {kind}"));
        let boundary = format!("--{}", boundary.trim_start_matches('"').split(['"', ';']).next().unwrap());
        let mut letter = Self { name: name.to_owned(), headers, text: String::new(), html: String::new() };
        for one in body.split(&boundary).skip(1).take_while(|one| !one.starts_with("--")) {
            let (headers, content) = part(one.trim_start_matches('\n'));
            let content = decoded(&header(&headers, "content-transfer-encoding"), content);
            let kind = header(&headers, "content-type");
            if kind.starts_with("text/plain") {
                letter.text = content;
            } else if kind.starts_with("text/html") {
                letter.html = content;
            }
        }
        letter
    }

    /// Empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        header(&self.headers, name)
    }

    /// The link in the text, up to its token.
    #[must_use]
    pub fn link(&self) -> String {
        let (before, after) = self.text.split_once("token=").unwrap_or_else(|| panic!("no token: {self:?}"));
        let start = before.rfind("http").unwrap_or_else(|| panic!("no link: {self:?}"));
        let token: String =
            after.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
        format!("{}token={token}", &before[start..])
    }

    /// The token of the link.
    #[must_use]
    pub fn token(&self) -> String {
        token_of(&self.link())
    }
}

/// The query parameter `token` of a link.
#[must_use]
pub fn token_of(link: &str) -> String {
    let token = link.split("token=").nth(1).unwrap_or_else(|| panic!("no token in {link}"));
    token.split('&').next().unwrap().to_owned()
}

fn part(text: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let head = head.replace("\n ", " ").replace("\n\t", " ");
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    (lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect(), body)
}

fn header(headers: &[(String, String)], name: &str) -> String {
    headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default()
}

fn decoded(encoding: &str, content: &str) -> String {
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "base64" => STANDARD.decode(content.split_whitespace().collect::<String>()).unwrap(),
        "quoted-printable" => quoted_printable(content),
        "" | "7bit" | "8bit" => content.as_bytes().to_vec(),
        other => panic!("content-transfer-encoding {other}"),
    };
    String::from_utf8(bytes).unwrap()
}

/// RFC 2045 section 6.7.
fn quoted_printable(content: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let joined = content.replace("=\n", "");
    let mut rest = joined.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let pair = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_read() {
        let mail = "To: a@b.example\r\nContent-Type: multipart/alternative;\r\n boundary=\"x\"\r\n\r\n--x\r\n\
            Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            go to http://h/activate?token=3Dab=\r\nc-_1 now, M=C3=BCller\r\n--x\r\n\
            Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n--x--\r\n";
        let letter = Letter::parse("one", mail);
        assert_eq!(letter.header("to"), "a@b.example");
        assert_eq!(
            (letter.link().as_str(), letter.token().as_str()),
            ("http://h/activate?token=abc-_1", "abc-_1")
        );
        assert!(letter.text.contains("Müller") && letter.html.trim() == "<b>", "{letter:?}");
    }
}
