//! What kind of key a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) holds, judged strictly, before any cryptography
//! library sees it: the accepted encodings are few, so two PEM texts of one key have one fingerprint.

use crate::der::{NULL, OBJECT_ID, Reader, SEQUENCE};
use crate::key::KeyError;

/// RFC 8410.
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const X25519: &[u8] = &[0x2b, 0x65, 0x6e];
const X448: &[u8] = &[0x2b, 0x65, 0x6f];
const ED448: &[u8] = &[0x2b, 0x65, 0x71];
/// RFC 3279: rsaEncryption; RFC 4055: id-RSASSA-PSS.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
/// RFC 5480: id-ecPublicKey and its curves.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OTHER_CURVES: [(&[u8], &str); 4] = [
    (&[0x2b, 0x81, 0x04, 0x00, 0x21], "P-224"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], "P-384"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "P-521"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "secp256k1"),
];
/// DSA and Diffie-Hellman, met in old key files.
const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
const DH: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x03, 0x01];

/// RSA modulus, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
/// The longest RSA exponent: real ones are 3 or 65537, and a long one makes each verification slow.
const RSA_EXPONENT_BYTES: usize = 4;

/// The parts of an accepted key.
#[derive(Debug)]
pub enum Spki {
    Ed25519([u8; 32]),
    /// Modulus and exponent were judged.
    Rsa,
    /// The uncompressed point is on no curve yet; the library says so.
    EcdsaP256,
}

/// Reads and judges it.
pub fn parse(der: &[u8]) -> Result<Spki, KeyError> {
    let mut outer = Reader::new(der);
    let content = outer.take(SEQUENCE).ok_or(KeyError::NotSpki)?;
    if !outer.is_empty() {
        return Err(KeyError::TrailingData);
    }
    let mut spki = Reader::new(content);
    let mut algorithm = Reader::new(spki.take(SEQUENCE).ok_or(KeyError::NotSpki)?);
    let id = algorithm.take(OBJECT_ID).ok_or(KeyError::NotSpki)?;
    let key = spki.take_bit_string().ok_or(KeyError::NotSpki)?;
    if !spki.is_empty() {
        return Err(KeyError::TrailingData);
    }
    match id {
        ED25519 => ed25519(&algorithm, key),
        RSA => rsa(&mut algorithm, key),
        EC => ec(&mut algorithm, key),
        other => Err(KeyError::OtherAlgorithm(name(other))),
    }
}

fn ed25519(parameters: &Reader<'_>, key: &[u8]) -> Result<Spki, KeyError> {
    if !parameters.is_empty() {
        return Err(KeyError::NotSpki);
    }
    let point: [u8; 32] = key.try_into().map_err(|_| KeyError::BadPoint)?;
    if !is_canonical_y(&point) {
        return Err(KeyError::BadPoint);
    }
    Ok(Spki::Ed25519(point))
}

/// Whether the y coordinate (little endian, the sign of x in the top bit) is below 2^255 - 19. RFC 8032 section 5.1.3
/// wants others refused; the library reads them modulo the prime.
fn is_canonical_y(point: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = point;
    !(high & 0x7f == 0x7f && middle.iter().all(|b| *b == 0xff) && *low >= 0xed)
}

fn rsa(parameters: &mut Reader<'_>, key: &[u8]) -> Result<Spki, KeyError> {
    if parameters.take(NULL) != Some(&[]) || !parameters.is_empty() {
        return Err(KeyError::NotSpki);
    }
    let mut outer = Reader::new(key);
    let mut numbers = Reader::new(outer.take(SEQUENCE).ok_or(KeyError::NotSpki)?);
    let modulus = numbers.take_positive().ok_or(KeyError::NotSpki)?;
    let exponent = numbers.take_positive().ok_or(KeyError::NotSpki)?;
    if !numbers.is_empty() || !outer.is_empty() {
        return Err(KeyError::TrailingData);
    }
    let leading_zeros: usize = modulus.first().map_or(0, |b| usize::try_from(b.leading_zeros()).unwrap_or(0));
    let bits = modulus.len().saturating_mul(8).saturating_sub(leading_zeros);
    if !RSA_BITS.contains(&bits) {
        return Err(KeyError::RsaBits(bits));
    }
    if modulus.last().is_none_or(|b| b % 2 == 0) {
        return Err(KeyError::BadModulus);
    }
    let even = exponent.last().is_none_or(|b| b % 2 == 0);
    if even || exponent == [1] || exponent.len() > RSA_EXPONENT_BYTES {
        return Err(KeyError::BadExponent);
    }
    Ok(Spki::Rsa)
}

fn ec(parameters: &mut Reader<'_>, key: &[u8]) -> Result<Spki, KeyError> {
    let curve = parameters.take(OBJECT_ID).ok_or(KeyError::OtherCurve("explicit parameters"))?;
    if curve != P256 {
        let name = OTHER_CURVES.iter().find(|(id, _)| *id == curve).map_or("another curve", |(_, n)| n);
        return Err(KeyError::OtherCurve(name));
    }
    match (key, parameters.is_empty()) {
        ([4, point @ ..], true) if point.len() == 64 => Ok(Spki::EcdsaP256),
        ([2 | 3, x @ ..], true) if x.len() == 32 => Err(KeyError::CompressedPoint),
        _ => Err(KeyError::BadPoint),
    }
}

fn name(id: &[u8]) -> &'static str {
    match id {
        RSA_PSS => "an RSASSA-PSS key (use a plain RSA key: rsaEncryption)",
        ED448 => "an Ed448 key",
        X25519 | X448 => "a key for key agreement, not for signatures",
        DSA => "a DSA key",
        DH => "a Diffie-Hellman key",
        _ => "a key of an unknown algorithm",
    }
}
