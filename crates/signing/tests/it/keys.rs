//! Public and private keys: what is accepted, what is refused and with which words.

use crate::request::{file, private, public};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_clock::Entropy;
use beem_signing::{Algorithm, KeyError, KeyKind, PrivateKey, PrivateKeyError, PublicKey};

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

fn ed25519(point: [u8; 32]) -> Vec<u8> {
    [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &point].concat()
}

#[test]
fn accepted_keys_keep_their_identity() {
    for (name, kind) in [
        ("test-key-ed25519.public.pem", KeyKind::Ed25519),
        ("test-key-rsa.public.pem", KeyKind::Rsa),
        ("test-key-rsa-pss.public.pem", KeyKind::Rsa),
        ("rsa-exponent-3.pem", KeyKind::Rsa),
        ("rsa-4096.pem", KeyKind::Rsa),
        ("test-key-ecc-p256.public.pem", KeyKind::EcdsaP256),
    ] {
        let text = file(name);
        let key = PublicKey::parse_pem(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(key.kind(), kind, "{name}");
        assert_eq!(key.pem(), text, "{name} is canonical");
        let other = PublicKey::parse_pem(&text.replace('\n', "\r\n")).unwrap();
        assert_eq!((other.fingerprint(), &other), (key.fingerprint(), &key));
        assert_eq!(key.fingerprint().len(), 64);
    }
    // sha256sum of the DER, by openssl.
    assert_eq!(
        public("test-key-ed25519").fingerprint(),
        "34571606cb7a0d71be377e671ddcccae2a169ed7733598214129231cd30c4a3c"
    );
}

#[test]
fn files_of_other_kinds_are_named() {
    for (name, want) in [
        ("test-key-ed25519.private.pem", KeyError::PrivateKey),
        ("test-key-rsa.private.pem", KeyError::PrivateKey),
        ("test-key-rsa.pkcs1.pem", KeyError::Pkcs1),
        ("refused-certificate.pem", KeyError::Certificate),
        ("refused-rsa-1024.pem", KeyError::RsaBits(1024)),
        ("refused-rsa-8192.pem", KeyError::RsaBits(8192)),
        ("refused-p384.pem", KeyError::OtherCurve("P-384")),
        ("refused-secp256k1.pem", KeyError::OtherCurve("secp256k1")),
        ("refused-p256-explicit.pem", KeyError::OtherCurve("explicit parameters")),
        ("refused-p256-compressed.pem", KeyError::CompressedPoint),
        ("refused-ed448.pem", KeyError::OtherAlgorithm("an Ed448 key")),
        ("refused-x25519.pem", KeyError::OtherAlgorithm("a key for key agreement, not for signatures")),
        (
            "refused-rsa-pss-only.pem",
            KeyError::OtherAlgorithm("an RSASSA-PSS key (use a plain RSA key: rsaEncryption)"),
        ),
    ] {
        assert_eq!(PublicKey::parse_pem(&file(name)).unwrap_err(), want, "{name}");
    }
    for label in ["EC PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        let text = format!("-----BEGIN {label}-----\nc2VjcmV0\n-----END {label}-----\n");
        let error = PublicKey::parse_pem(&text).unwrap_err();
        assert_eq!(error, KeyError::PrivateKey);
        assert!(!error.to_string().contains("c2VjcmV0"));
    }
    let both = format!("{}{}", file("test-key-ed25519.public.pem"), file("test-key-ed25519.private.pem"));
    assert_eq!(PublicKey::parse_pem(&both).unwrap_err(), KeyError::PrivateKey);
    let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    assert_eq!(
        PublicKey::parse_pem(&block("CERTIFICATE REQUEST")).unwrap_err(),
        KeyError::CertificateRequest
    );
    assert_eq!(PublicKey::parse_pem(&block("EC PARAMETERS")).unwrap_err(), KeyError::OtherBlock);
    assert_eq!(PublicKey::parse_pem(&block("PUBLIC KEY")).unwrap_err(), KeyError::NotSpki);
}

#[test]
fn weak_and_misencoded_points_are_refused() {
    let mut one = [0; 32];
    one[0] = 1;
    // The identity, the point of order two, and one of order eight (RFC 8032's cofactor; list of Cremers and Jackson).
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let order_eight: [u8; 32] =
        hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05").try_into().unwrap();
    for weak in [one, minus_one, [0; 32], order_eight] {
        assert_eq!(PublicKey::parse_spki_der(&ed25519(weak)).unwrap_err(), KeyError::WeakPoint, "{weak:?}");
    }
    // y = p and y = p + 1, which the curve library reads as 0 and 1; and a y on no point.
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    let mut above = p;
    above[0] = 0xee;
    let mut nowhere = [0; 32];
    nowhere[0] = 2;
    for bad in [p, above, nowhere] {
        assert_eq!(PublicKey::parse_spki_der(&ed25519(bad)).unwrap_err(), KeyError::BadPoint, "{bad:?}");
    }
    let mut off_curve = public("test-key-ecc-p256").spki_der().to_vec();
    *off_curve.last_mut().unwrap() ^= 1;
    assert_eq!(PublicKey::parse_spki_der(&off_curve).unwrap_err(), KeyError::BadPoint);
}

#[test]
fn a_changed_encoding_is_refused() {
    let good = public("test-key-rsa").spki_der().to_vec();
    assert_eq!(PublicKey::parse_spki_der(&[&good[..], &[0]].concat()).unwrap_err(), KeyError::TrailingData);
    assert_eq!(PublicKey::parse_pem(&pem(&good[..good.len() - 1])).unwrap_err(), KeyError::NotSpki);
    // The exponent is the last integer: 65537 as 02 03 01 00 01.
    let with_exponent = |e: [u8; 3]| [&good[..good.len() - 3], &e].concat();
    assert_eq!(PublicKey::parse_spki_der(&with_exponent([1, 0, 2])).unwrap_err(), KeyError::BadExponent);
    assert_eq!(PublicKey::parse_spki_der(&with_exponent([0, 0, 1])).unwrap_err(), KeyError::NotSpki);
    let mut even = good.clone();
    let last_of_modulus = good.len() - 6;
    even[last_of_modulus] &= 0xfe;
    assert_eq!(PublicKey::parse_spki_der(&even).unwrap_err(), KeyError::BadModulus);
}

#[test]
fn generated_keys_go_through_their_files() {
    for algorithm in Algorithm::ALL {
        let key = PrivateKey::generate(algorithm.key_kind(), &Entropy::System).unwrap();
        let read = PrivateKey::from_pkcs8_pem(&key.to_pkcs8_pem().unwrap()).unwrap();
        assert_eq!(read.public(), key.public());
        let public = PublicKey::parse_pem(&key.public().pem()).unwrap();
        let signature = read.sign(algorithm, b"base").unwrap();
        public.verify(algorithm, b"base", &signature).unwrap();
        public.verify(algorithm, b"Base", &signature).unwrap_err();
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            public.verify(other, b"base", &signature).unwrap_err();
        }
        if algorithm == Algorithm::EcdsaP256Sha256 {
            assert_eq!(signature.len(), 64, "r and s, not ASN.1");
        }
    }
    let (a, b) = (Entropy::seeded(3), Entropy::seeded(3));
    let made = |entropy| PrivateKey::generate(KeyKind::Ed25519, entropy).unwrap().public().fingerprint();
    assert_eq!(made(&a), made(&b));
    assert_ne!(made(&a), made(&Entropy::System));
}

#[test]
fn other_private_key_files_are_refused() {
    let refused = |text: &str| PrivateKey::from_pkcs8_pem(text).unwrap_err();
    assert_eq!(refused(&file("test-key-ed25519.public.pem")), PrivateKeyError::NotPkcs8);
    assert_eq!(
        refused("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
        PrivateKeyError::Unsupported
    );
    let wrong = private("test-key-ecc-p256").sign(Algorithm::Ed25519, b"x").unwrap_err();
    assert_eq!(wrong, PrivateKeyError::OtherAlgorithm(Algorithm::Ed25519));
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|c| u8::from_str_radix(std::str::from_utf8(c).unwrap(), 16).unwrap())
        .collect()
}
