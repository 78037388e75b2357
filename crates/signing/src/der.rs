//! Just enough DER (X.690) to look into a SubjectPublicKeyInfo and name what is there. Strict: definite, shortest
//! lengths only, so that a key has exactly one accepted encoding and therefore one fingerprint.

/// Tags that occur in an SPKI.
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const NULL: u8 = 0x05;
pub const OBJECT_ID: u8 = 0x06;
pub const SEQUENCE: u8 = 0x30;

/// Reads elements one after the other.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The content of the next element if it has that tag and is well formed.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        if *found != tag {
            return None;
        }
        let (length, rest) = length(rest)?;
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    /// The magnitude of a positive INTEGER, without its sign byte; refuses negative and padded ones.
    pub fn take_positive(&mut self) -> Option<&'a [u8]> {
        match self.take(INTEGER)? {
            [0, rest @ ..] if rest.first().is_some_and(|b| *b >= 0x80) => Some(rest),
            magnitude @ [0x01..=0x7f, ..] => Some(magnitude),
            _ => None,
        }
    }

    /// The bytes of a BIT STRING that has no unused bits.
    pub fn take_bit_string(&mut self) -> Option<&'a [u8]> {
        match self.take(BIT_STRING)? {
            [0, bytes @ ..] => Some(bytes),
            _ => None,
        }
    }
}

/// A length of up to three bytes in its shortest form, and what follows.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [short @ 0..=0x7f, rest @ ..] => Some((usize::from(*short), rest)),
        [0x81, a @ 0x80..=0xff, rest @ ..] => Some((usize::from(*a), rest)),
        [0x82, a @ 1..=0xff, b, rest @ ..] => Some((usize::from(u16::from_be_bytes([*a, *b])), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shortest_length_is_read() {
        assert_eq!(Reader::new(&[5, 0]).take(NULL), Some(&[][..]));
        assert_eq!(Reader::new(&[5, 0x81, 0]).take(NULL), None);
        assert_eq!(Reader::new(&[2, 0x82, 0, 1, 9]).take(INTEGER), None);
        assert_eq!(Reader::new(&[2, 0x80, 9, 0, 0]).take(INTEGER), None);
        assert_eq!(Reader::new(&[2, 2, 9]).take(INTEGER), None);
    }

    #[test]
    fn integers_are_positive_and_unpadded() {
        assert_eq!(Reader::new(&[2, 1, 3]).take_positive(), Some(&[3][..]));
        assert_eq!(Reader::new(&[2, 2, 0, 0x80]).take_positive(), Some(&[0x80][..]));
        for bad in [&[2, 1, 0x80][..], &[2, 2, 0, 3], &[2, 1, 0], &[2, 0]] {
            assert_eq!(Reader::new(bad).take_positive(), None, "{bad:?}");
        }
    }
}
