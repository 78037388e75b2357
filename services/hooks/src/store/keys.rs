//! The keys of hooks, numbered from 1. The newest signs; the one before signs beside it until it retires; whatever is older
//! has retired. What of them is secret is sealed, each value for its own row and column.

use super::ids::{among, list};
use super::{bytes, garbled, id};
use crate::keys::{NewKeys, Signer};
use beem_clock::{Entropy, Moment};
use beem_database::{OrFault as _, Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::HookId;
use beem_sealing::{Sealing, Zeroizing};
use sea_orm::QueryResult;
use std::collections::BTreeMap;
use std::fmt;

/// What [`read`] reads.
const COLUMNS: &str =
    "hook, number, rsa_public, rsa_private, ed25519_public, ed25519_private, secret, retires_ms";

/// A sealed column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    RsaPrivate,
    Ed25519Private,
    Secret,
}

impl Column {
    pub const ALL: [Self; 3] = [Self::RsaPrivate, Self::Ed25519Private, Self::Secret];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RsaPrivate => "rsa_private",
            Self::Ed25519Private => "ed25519_private",
            Self::Secret => "secret",
        }
    }

    /// Where a sealed value lives (see [`beem_sealing`]).
    #[must_use]
    pub fn context(self, hook: HookId, number: u64) -> String {
        format!("hooks.hook_keys.{}:{hook}:{number}", self.as_str())
    }
}

/// The keys of a hook as they are stored.
#[derive(Clone)]
pub struct StoredKey {
    pub hook: HookId,
    /// From 1.
    pub number: u64,
    /// SubjectPublicKeyInfo, DER.
    pub rsa_public: Vec<u8>,
    pub ed25519_public: [u8; 32],
    /// None for the newest, while its hook is there.
    pub retires: Option<Moment>,
    rsa_private: Vec<u8>,
    ed25519_private: Vec<u8>,
    secret: Vec<u8>,
}

impl StoredKey {
    /// What signs with them.
    ///
    /// # Errors
    /// `internal` when they are sealed under a key that is not held, or are no keys.
    pub fn signer(&self, sealing: &Sealing) -> Result<Signer> {
        let open =
            |column: Column, sealed: &[u8]| sealing.open(&column.context(self.hook, self.number), sealed);
        let ed25519 = exactly(&open(Column::Ed25519Private, &self.ed25519_private)?)?;
        let secret = exactly(&open(Column::Secret, &self.secret)?)?;
        Signer::new(&open(Column::RsaPrivate, &self.rsa_private)?, &ed25519, &secret)
    }
}

/// Without what is sealed.
impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("StoredKey");
        out.field("hook", &self.hook).field("number", &self.number).field("retires", &self.retires);
        out.finish_non_exhaustive()
    }
}

/// The keys that sign for a hook now: the newest, and the one that retires.
///
/// # Errors
/// `internal` when it has none; as the database says.
pub async fn current(on: &impl Sql, hook: HookId, now: Moment) -> Result<(StoredKey, Option<StoredKey>)> {
    currents(on, &[hook], now).await?.remove(&hook).ok_or_else(|| garbled("hook without keys"))
}

/// The same of several hooks.
///
/// # Errors
/// As the database says.
pub async fn currents(
    on: &impl Sql,
    hooks: &[HookId],
    now: Moment,
) -> Result<BTreeMap<HookId, (StoredKey, Option<StoredKey>)>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM hook_keys WHERE hook {} AND (retires_ms IS NULL OR retires_ms > $2) ORDER BY hook, number DESC",
        among(on, 1)
    );
    let values = vec![list(on, hooks.iter().map(|hook| hook.0)), now.unix_ms().into()];
    let mut found = BTreeMap::new();
    for row in on.rows(&sql, values).await? {
        let key = read(&row)?;
        if key.retires.is_none() {
            found.insert(key.hook, (key, None));
        } else if let Some((_, retiring)) = found.get_mut(&key.hook) {
            retiring.get_or_insert(key);
        }
    }
    Ok(found)
}

/// Keys of a hook from now on: those before them go on signing beside them for so many seconds, and those before these no
/// more. The hook is new or locked. Their number.
///
/// # Errors
/// As the database says.
pub async fn add(
    tx: &Tx<'_>,
    sealing: &Sealing,
    hook: HookId,
    keys: &NewKeys,
    retire_old_after_s: u32,
) -> Result<u64> {
    let now = tx.now();
    let at_once = "UPDATE hook_keys SET retires_ms = $2 WHERE hook = $1 AND retires_ms > $2";
    tx.run(at_once, vec![hook.0.into(), now.unix_ms().into()]).await?;
    let later = now.plus_ms(i64::from(retire_old_after_s).saturating_mul(1000));
    let retire = "UPDATE hook_keys SET retires_ms = $2 WHERE hook = $1 AND retires_ms IS NULL";
    tx.run(retire, vec![hook.0.into(), later.unix_ms().into()]).await?;
    let last = "SELECT max(number) AS last FROM hook_keys WHERE hook = $1";
    let last = tx.row(last, vec![hook.0.into()]).await?.ok_or_else(|| garbled("hook's keys"))?;
    let last: Option<i64> = last.try_get("", "last").or_fault()?;
    let number = last.unwrap_or(0).saturating_add(1);
    insert(tx, sealing, hook, u64::try_from(number).map_err(Fault::internal)?, keys).await
}

/// None of the keys of a locked hook signs from now on.
///
/// # Errors
/// As the database says.
pub async fn retire_all(tx: &Tx<'_>, hook: HookId) -> Result<()> {
    let sql =
        "UPDATE hook_keys SET retires_ms = $2 WHERE hook = $1 AND (retires_ms IS NULL OR retires_ms > $2)";
    tx.run(sql, vec![hook.0.into(), tx.now().unix_ms().into()]).await.map(drop)
}

async fn insert(tx: &Tx<'_>, sealing: &Sealing, hook: HookId, number: u64, keys: &NewKeys) -> Result<u64> {
    let entropy: &Entropy = tx.entropy();
    let seal = |column: Column, plain: &[u8]| sealing.seal(&column.context(hook, number), plain, entropy);
    let sql = "INSERT INTO hook_keys (hook, number, rsa_public, rsa_private, ed25519_public, ed25519_private, secret,
            created_ms, retires_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL)";
    let values = vec![
        hook.0.into(),
        i64::try_from(number).map_err(Fault::internal)?.into(),
        keys.rsa_public.clone().into(),
        seal(Column::RsaPrivate, &keys.rsa_private).into(),
        keys.ed25519_public.to_vec().into(),
        seal(Column::Ed25519Private, keys.ed25519_private.as_slice()).into(),
        seal(Column::Secret, keys.secret.as_slice()).into(),
        tx.now().unix_ms().into(),
    ];
    tx.run(sql, values).await?;
    Ok(number)
}

fn exactly(opened: &Zeroizing<Vec<u8>>) -> Result<Zeroizing<[u8; 32]>> {
    opened.as_slice().try_into().map(Zeroizing::new).map_err(|_| garbled("hook's key"))
}

fn read(row: &QueryResult) -> Result<StoredKey> {
    let number: i64 = row.try_get("", "number").or_fault()?;
    let retires: Option<i64> = row.try_get("", "retires_ms").or_fault()?;
    Ok(StoredKey {
        hook: HookId(id(row, "hook")?),
        number: u64::try_from(number).map_err(|_| garbled("number of keys"))?,
        rsa_public: bytes(row, "rsa_public")?,
        ed25519_public: bytes(row, "ed25519_public")?.try_into().map_err(|_| garbled("hook's key"))?,
        retires: retires.map(Moment::from_unix_ms),
        rsa_private: bytes(row, "rsa_private")?,
        ed25519_private: bytes(row, "ed25519_private")?,
        secret: bytes(row, "secret")?,
    })
}
