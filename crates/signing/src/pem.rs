//! One PEM block (RFC 7468) and nothing beside it. Says what was found instead, so that somebody who pasted the wrong
//! file reads which file it was; never repeats a byte of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Larger than any key that is accepted; a bound before anything is parsed.
pub const MAX_BYTES: usize = 16 * 1024;

/// Why there is no single block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    #[error("it is larger than 16 KiB")]
    TooLarge,
    #[error("it is empty")]
    Empty,
    #[error("an OpenSSH public key was found (convert it: ssh-keygen -e -m PKCS8)")]
    OpenSsh,
    #[error("a JSON key (JWK) was found")]
    Json,
    #[error("line breaks are written as backslash and n; they must be real line breaks")]
    EscapedLineBreaks,
    #[error("no PEM block was found")]
    NoBlock,
    #[error("several PEM blocks were found; exactly one is expected")]
    SeveralBlocks,
    #[error("there is text before or after the PEM block")]
    TextAround,
    #[error("the PEM block is not closed by its END line")]
    NotClosed,
    #[error("the PEM block is not valid base64")]
    NotBase64,
}

/// A block: what its BEGIN line says, and its bytes.
pub struct Block<'a> {
    pub label: &'a str,
    pub der: Vec<u8>,
}

/// Reads the one block.
pub fn parse(text: &str) -> Result<Block<'_>, PemError> {
    if text.len() > MAX_BYTES {
        return Err(PemError::TooLarge);
    }
    let text = text.trim_ascii();
    let Some(begin) = text.find("-----BEGIN ") else { return Err(no_block(text)) };
    if text.matches("-----BEGIN ").count() > 1 {
        return Err(PemError::SeveralBlocks);
    }
    if begin != 0 {
        return Err(PemError::TextAround);
    }
    if text.contains("\\n") {
        return Err(PemError::EscapedLineBreaks);
    }
    let after = text.strip_prefix("-----BEGIN ").ok_or(PemError::NoBlock)?;
    let (label, after) = after.split_once("-----").ok_or(PemError::NoBlock)?;
    let (body, rest) = after.split_once("-----END ").ok_or(PemError::NotClosed)?;
    let rest = rest.strip_prefix(label).and_then(|r| r.strip_prefix("-----")).ok_or(PemError::NotClosed)?;
    if !rest.is_empty() {
        return Err(PemError::TextAround);
    }
    // RFC 7468 ends the BEGIN line with a line break; without it `-----BEGIN X-----QUJD` would be read as well.
    if !body.starts_with(['\n', '\r']) {
        return Err(PemError::NotBase64);
    }
    let digits: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(digits).map_err(|_| PemError::NotBase64)?;
    Ok(Block { label, der })
}

fn no_block(text: &str) -> PemError {
    if text.is_empty() {
        PemError::Empty
    } else if ["ssh-", "ecdsa-sha2-", "sk-ssh-", "---- BEGIN SSH2"].iter().any(|p| text.starts_with(p)) {
        PemError::OpenSsh
    } else if text.starts_with('{') {
        PemError::Json
    } else {
        PemError::NoBlock
    }
}

/// The block in its canonical form: 64 digits a line, each line ended by a line feed.
pub fn write(label: &str, der: &[u8]) -> String {
    let digits = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = digits.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        out.push_str(rest);
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for size in [0, 1, 47, 48, 49, 96, 500] {
            let der = vec![7_u8; size];
            let text = write("PUBLIC KEY", &der);
            assert!(text.lines().all(|l| l.len() <= 64));
            let block = parse(&text).unwrap_or_else(|e| panic!("{size}: {e}"));
            assert_eq!((block.label, block.der), ("PUBLIC KEY", der));
            assert!(parse(&text.replace('\n', "\r\n")).is_ok());
        }
    }

    #[test]
    fn what_else_was_found_is_said() {
        let one = write("PUBLIC KEY", b"abc");
        for (text, want) in [
            (String::new(), PemError::Empty),
            ("ssh-ed25519 AAAA me".into(), PemError::OpenSsh),
            (r#"{"kty":"OKP"}"#.into(), PemError::Json),
            ("MCowBQYDK2VwAyEA".into(), PemError::NoBlock),
            (format!("{one}{one}"), PemError::SeveralBlocks),
            (format!("my key\n{one}"), PemError::TextAround),
            (format!("{one}and more"), PemError::TextAround),
            (one.replace("END PUBLIC", "END PRIVATE"), PemError::NotClosed),
            (one.replace("-----END PUBLIC KEY-----", ""), PemError::NotClosed),
            (one.replace('\n', "\\n"), PemError::EscapedLineBreaks),
            (one.replace("YWJj", "YW*j"), PemError::NotBase64),
            (one.replace("YWJj", "YWJ"), PemError::NotBase64),
            ("-----BEGIN PUBLIC KEY-----YWJj-----END PUBLIC KEY-----".into(), PemError::NotBase64),
            ("x".repeat(MAX_BYTES + 1), PemError::TooLarge),
        ] {
            assert_eq!(parse(&text).err(), Some(want), "{text}");
        }
    }
}
