//! `@query-param` (RFC 9421 section 2.2.8): one parameter of the query, read as a form is (URL Standard,
//! `application/x-www-form-urlencoded`) and percent-encoded again.

/// The encoded values of all parameters with that encoded name, in their order.
pub fn values(query: &str, name: &str) -> Vec<String> {
    let pairs = query.split('&').filter(|p| !p.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(|(key, _)| recoded(key) == name).map(|(_, value)| recoded(value)).collect()
}

/// Decoded and encoded again, so that every way of writing one text gives the same bytes.
fn recoded(text: &str) -> String {
    encode(&String::from_utf8_lossy(&decode(text)))
}

fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, beyond @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = beyond;
                }
                _ => out.push(b'%'),
            },
            (byte, _) => out.push(*byte),
        }
    }
    out
}

const fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    }
}

/// The percent-encode set of `application/x-www-form-urlencoded`, a space as `%20`.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 9421 section 2.2.8.
    #[test]
    fn examples_of_the_rfc() {
        let query = "param=value&foo=bar&baz=batman&qux=";
        assert_eq!(values(query, "baz"), ["batman"]);
        assert_eq!(values(query, "qux"), [""]);
        assert_eq!(values(query, "param"), ["value"]);
        let query = "var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something";
        assert_eq!(values(query, "var"), ["this%20is%20a%20big%0Amultiline%20value"]);
        assert_eq!(values(query, "bar"), ["with%20plus%20whitespace"]);
        assert_eq!(values(query, "fa%C3%A7ade%22%3A%20"), ["something"]);
    }

    #[test]
    fn broken_escapes_stand_for_themselves() {
        assert_eq!(values("a=%zz%4", "a"), ["%25zz%254"]);
        assert_eq!(values("a=1&a=2&b", "a"), ["1", "2"]);
        assert_eq!(values("a=%e4", "a"), ["%EF%BF%BD"]);
    }
}
