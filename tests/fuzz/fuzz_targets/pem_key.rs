//! PEM texts and DER: nothing may panic, and an accepted key is the same key when its canonical PEM is read again.

#![no_main]

use beem_signing::{Algorithm, PrivateKey, PublicKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = PublicKey::parse_spki_der(data) {
        let again = PublicKey::parse_pem(&key.pem()).expect("its own text is accepted");
        assert_eq!(again.fingerprint(), key.fingerprint());
        assert_eq!(again.spki_der(), data, "one key has one encoding");
        for algorithm in Algorithm::ALL {
            assert!(key.verify(algorithm, b"base", data).is_err());
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = PublicKey::parse_pem(text) {
        assert_eq!(PublicKey::parse_pem(&key.pem()).as_ref(), Ok(&key));
    }
    if let Ok(key) = PrivateKey::from_pkcs8_pem(text) {
        let written = key.to_pkcs8_pem().expect("it can be written");
        let again = PrivateKey::from_pkcs8_pem(&written).expect("its own text is accepted");
        assert_eq!(again.public(), key.public());
    }
});
