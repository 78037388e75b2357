//! Sealing and opening under the keys of a process.

use crate::{KeyId, SealingKey, Unopened};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use beem_clock::Entropy;
use beem_fault::{Fault, Result};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE: usize = 12;
/// Version, key id, nonce.
const HEADER: usize = 1 + 8 + NONCE;
const TAG: usize = 16;

/// How many bytes a sealed value is longer than its plain one.
pub const OVERHEAD: usize = HEADER + TAG;

/// The keys of a process. Cheap to clone; every clone has the same keys, also after [`Sealing::replace`].
#[derive(Clone)]
pub struct Sealing {
    ring: Arc<RwLock<Arc<Ring>>>,
}

/// The first seals; the second, where there is one, only opens.
struct Ring {
    current: Keys,
    previous: Option<Keys>,
}

/// What one sealing key is used for, each under a key of its own that is derived from it.
struct Keys {
    id: KeyId,
    aead: LessSafeKey,
    digest: hmac::Key,
}

impl Sealing {
    /// One key, or two of which the first seals.
    ///
    /// # Errors
    /// `validation-failed` for none, for more than two, and for the same key twice.
    pub fn new(keys: Vec<SealingKey>) -> Result<Self> {
        Ok(Self { ring: Arc::new(RwLock::new(Arc::new(Ring::new(&keys)?))) })
    }

    /// Swaps the keys of this and every clone. What is under way ends with the keys it began with.
    ///
    /// # Errors
    /// As [`Sealing::new`], and then the keys stay as they are.
    pub fn replace(&self, keys: Vec<SealingKey>) -> Result<()> {
        let ring = Arc::new(Ring::new(&keys)?);
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(())
    }

    /// The ids of the keys held, the one that seals first.
    #[must_use]
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.ring().all().map(|keys| keys.id).collect()
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn current_id(&self) -> KeyId {
        self.ring().current.id
    }

    /// Seals `plain` for the place that `context` names.
    #[must_use]
    pub fn seal(&self, context: &str, plain: &[u8], entropy: &Entropy) -> Vec<u8> {
        self.ring().current.seal(context, plain, entropy)
    }

    /// What was sealed for the place that `context` names.
    ///
    /// # Errors
    /// `internal` because of an [`Unopened`].
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let id = key_of(sealed).ok_or(Unopened::Garbled)?;
        let ring = self.ring();
        let keys = ring.all().find(|keys| keys.id == id).ok_or(Unopened::UnknownKey(id))?;
        keys.open(context, sealed).ok_or_else(|| Unopened::Refused(id).into())
    }

    /// Whether it is sealed under the key that seals now. False for what is not sealed at all.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        key_of(sealed) == Some(self.current_id())
    }

    /// The same value under the key that seals now; none if it is already.
    ///
    /// # Errors
    /// As [`Sealing::open`].
    pub fn reseal(&self, context: &str, sealed: &[u8], entropy: &Entropy) -> Result<Option<Vec<u8>>> {
        if self.is_current(sealed) {
            return Ok(None);
        }
        let plain = self.open(context, sealed)?;
        Ok(Some(self.seal(context, &plain, entropy)))
    }

    /// HMAC-SHA256 of `bytes`, under a key derived from the one that seals: for comparing what could be guessed. `label`
    /// says what for. A new sealing key gives another digest: keep for longer than a rotation only what is sealed.
    #[must_use]
    pub fn digest(&self, label: &str, bytes: &[u8]) -> [u8; 32] {
        self.ring().current.digest(label, bytes)
    }

    /// The digests under every key held, that of the key that seals first: whether something is what was known before
    /// the keys changed.
    #[must_use]
    pub fn digests(&self, label: &str, bytes: &[u8]) -> Vec<[u8; 32]> {
        self.ring().all().map(|keys| keys.digest(label, bytes)).collect()
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sealing").field(&self.key_ids()).finish()
    }
}

/// The id of the key a value was sealed under; none for what is not a sealed value.
#[must_use]
pub fn key_of(sealed: &[u8]) -> Option<KeyId> {
    let (version, rest) = sealed.split_first()?;
    let id = rest.first_chunk::<8>()?;
    (*version == VERSION && sealed.len() >= OVERHEAD).then(|| KeyId::from_bytes(*id))
}

impl Ring {
    fn new(keys: &[SealingKey]) -> Result<Self> {
        match keys {
            [only] => Ok(Self { current: Keys::new(only)?, previous: None }),
            [first, second] if first.id() != second.id() => {
                Ok(Self { current: Keys::new(first)?, previous: Some(Keys::new(second)?) })
            }
            [_, _] => Err(Fault::field("sealingKeys", "the same key twice")),
            _ => Err(Fault::field("sealingKeys", "one key, or two of which the first seals")),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Keys> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl Keys {
    fn new(key: &SealingKey) -> Result<Self> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, key.bytes());
        let derived = |label: &[u8]| hmac::sign(&root, label);
        let sealing = derived(b"beem sealing 1");
        let unbound = UnboundKey::new(&AES_256_GCM_SIV, sealing.as_ref()).map_err(Fault::internal)?;
        let digest = hmac::Key::new(hmac::HMAC_SHA256, derived(b"beem digest 1").as_ref());
        Ok(Self { id: key.id(), aead: LessSafeKey::new(unbound), digest })
    }

    fn seal(&self, context: &str, plain: &[u8], entropy: &Entropy) -> Vec<u8> {
        let nonce = entropy.bytes::<NONCE>();
        let header = [&[VERSION], self.id.as_bytes().as_slice(), &nonce].concat();
        let aad = Aad::from([&header, context.as_bytes()].concat());
        let mut out = Vec::with_capacity(plain.len() + OVERHEAD);
        out.extend_from_slice(&header);
        out.extend_from_slice(plain);
        let body = out.split_at_mut(HEADER).1;
        let tag = self.aead.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, body);
        #[expect(
            clippy::expect_used,
            reason = "only a value of 64 GiB cannot be sealed; nothing may go on unsealed"
        )]
        let tag = tag.expect("a value below 64 GiB is sealed");
        out.extend_from_slice(tag.as_ref());
        out
    }

    fn open(&self, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (header, body) = sealed.split_at_checked(HEADER)?;
        let nonce = header.last_chunk::<NONCE>()?;
        let aad = Aad::from([header, context.as_bytes()].concat());
        let mut plain = Zeroizing::new(body.to_vec());
        let opened: Result<usize, Unspecified> = self
            .aead
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut plain)
            .map(|plain| plain.len());
        plain.truncate(opened.ok()?);
        Some(plain)
    }

    fn digest(&self, label: &str, bytes: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.digest);
        // The length first, so that no label and bytes read like another label and other bytes.
        context.update(&u64::try_from(label.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(label.as_bytes());
        context.update(bytes);
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::error::Error as _;

    const PLACE: &str = "identity.users.totp:1";

    fn key(seed: u8) -> SealingKey {
        SealingKey::from_bytes([seed; 32])
    }

    fn sealing(seeds: &[u8]) -> Sealing {
        Sealing::new(seeds.iter().map(|seed| key(*seed)).collect()).unwrap()
    }

    fn why(fault: &Fault) -> Unopened {
        assert_eq!(fault.code, beem_fault::Code::Internal);
        *fault.source().unwrap().downcast_ref().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_in_its_place_only(plain: Vec<u8>, place: String, other: String) {
            let sealing = sealing(&[1]);
            let sealed = sealing.seal(&place, &plain, &Entropy::System);
            prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            prop_assert_eq!(&*sealing.open(&place, &sealed).unwrap(), &plain);
            if other != place {
                prop_assert_eq!(why(&sealing.open(&other, &sealed).unwrap_err()), Unopened::Refused(key(1).id()));
            }
        }

        #[test]
        fn garbage_does_not_open(bytes: Vec<u8>) {
            prop_assert!(sealing(&[1]).open(PLACE, &bytes).is_err());
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let sealing = sealing(&[1, 2]);
        let sealed = sealing.seal(PLACE, b"hunter2", &Entropy::System);
        for (place, bit) in (0..sealed.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
            let mut flipped = sealed.clone();
            flipped[place] ^= 1 << bit;
            assert!(sealing.open(PLACE, &flipped).is_err(), "bit {bit} of byte {place}");
        }
        for length in 0..sealed.len() {
            assert!(sealing.open(PLACE, &sealed[..length]).is_err(), "cut to {length}");
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert!(sealing.open(PLACE, &longer).is_err());
    }

    #[test]
    fn says_why_it_does_not_open_and_never_what() {
        let sealing = sealing(&[1]);
        let sealed = sealing.seal(PLACE, b"hunter2", &Entropy::System);
        let unknown = super::tests::sealing(&[3]).open(PLACE, &sealed).unwrap_err();
        assert_eq!(why(&unknown), Unopened::UnknownKey(key(1).id()));
        assert!(format!("{unknown:?}").contains(&key(1).id().to_string()));
        assert_eq!(why(&sealing.open(PLACE, b"").unwrap_err()), Unopened::Garbled);
        assert_eq!(
            why(&sealing.open(PLACE, b"hunter2 in the clear, of a certain length").unwrap_err()),
            Unopened::Garbled
        );
        let moved = sealing.open("identity.users.totp:2", &sealed).unwrap_err();
        assert!(!format!("{moved:?} {moved}").contains("hunter2"));
    }

    #[test]
    fn one_value_is_sealed_differently_every_time() {
        let (sealing, entropy) = (sealing(&[1]), Entropy::seeded(5));
        let two = [0; 2].map(|_| sealing.seal(PLACE, b"hunter2", &entropy));
        assert_ne!(two[0], two[1]);
        assert!(two.iter().all(|sealed| !sealed.windows(7).any(|seen| seen == b"hunter2")));
    }

    #[test]
    fn a_rotation_ends_without_the_old_key() {
        let sealing = sealing(&[1]);
        let (everyone, entropy) = (sealing.clone(), Entropy::System);
        let old = sealing.seal(PLACE, b"hunter2", &entropy);
        assert!(sealing.is_current(&old));
        assert_eq!(sealing.reseal(PLACE, &old, &entropy).unwrap(), None);

        sealing.replace(vec![key(2), key(1)]).unwrap();
        assert_eq!(everyone.key_ids(), [key(2).id(), key(1).id()]);
        assert!(!everyone.is_current(&old));
        assert_eq!(&**everyone.open(PLACE, &old).unwrap(), b"hunter2");
        assert!(everyone.reseal("elsewhere", &old, &entropy).is_err());
        let new = everyone.reseal(PLACE, &old, &entropy).unwrap().unwrap();
        assert_eq!(key_of(&new), Some(key(2).id()));

        everyone.replace(vec![key(2)]).unwrap();
        assert_eq!(&**sealing.open(PLACE, &new).unwrap(), b"hunter2");
        assert_eq!(why(&sealing.open(PLACE, &old).unwrap_err()), Unopened::UnknownKey(key(1).id()));
    }

    #[test]
    fn a_key_set_that_cannot_be_is_refused_and_changes_nothing() {
        let sealing = sealing(&[1]);
        for keys in [vec![], vec![key(2), key(2)], vec![key(2), key(3), key(4)]] {
            assert!(Sealing::new(keys.clone()).is_err());
            assert!(sealing.replace(keys).is_err());
        }
        assert_eq!(sealing.key_ids(), [key(1).id()]);
    }

    #[test]
    fn a_value_that_claims_another_key_of_ours_is_refused() {
        let sealing = sealing(&[1, 2]);
        let mut sealed = sealing.seal(PLACE, b"hunter2", &Entropy::System);
        sealed[1..9].copy_from_slice(key(2).id().as_bytes());
        assert_eq!(why(&sealing.open(PLACE, &sealed).unwrap_err()), Unopened::Refused(key(2).id()));
    }

    #[test]
    fn a_digest_depends_on_key_label_and_bytes() {
        let sealing = sealing(&[1]);
        let digest = sealing.digest("requests", b"hunter2");
        assert_eq!(digest, sealing.digest("requests", b"hunter2"));
        assert_ne!(digest, sealing.digest("request", b"shunter2"), "where the label ends is told");
        assert_ne!(digest, sealing.digest("other", b"hunter2"));
        assert_ne!(digest, sealing.digest("requests", b"hunter3"));
        assert_ne!(digest, super::tests::sealing(&[2]).digest("requests", b"hunter2"));
        sealing.replace(vec![key(2), key(1)]).unwrap();
        assert_ne!(digest, sealing.digest("requests", b"hunter2"));
        assert_eq!(sealing.digests("requests", b"hunter2")[1], digest);
    }

    /// What is in tables must open in every later release.
    #[test]
    fn the_format_stands() {
        let sealing = sealing(&[7]);
        let sealed = sealing.seal("a:b", b"plain", &Entropy::seeded(1));
        let hex = "01d7e049b8375f3555e5050b101d169256c15c028916a606aab2ee4ab4b768daa827aaab91cf1c6a16fb";
        assert_eq!(hex::encode(&sealed), hex);
        assert_eq!(&**sealing.open("a:b", &hex::decode(hex).unwrap()).unwrap(), b"plain");
        assert_eq!(
            hex::encode(sealing.digest("a", b"b")),
            "0ea95e8e1a21d108db83d5adbe7b69c8e4cc92f46a2c32cb85ecf45f8fadc550"
        );
    }

    #[test]
    fn is_printed_as_key_ids() {
        assert_eq!(format!("{:?}", sealing(&[1])), format!("Sealing([{}])", key(1).id()));
    }
}
