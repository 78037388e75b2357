//! What a claim ended with, and how it is stored: one byte that tells which, then the answer, the refusal, or the answer
//! sealed. A refusal is never sealed: it goes back to the caller in words of ours.

use super::Vault;
use beem_fault::{Code, Fault, FieldFault, Result};
use beem_sealing::KeyId;
use serde::{Deserialize, Serialize};

/// What a write under a key ended with.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The answer's bytes, or why not.
    pub result: Result<Vec<u8>>,
    /// Whether it is an earlier request's, given again (`Idempotent-Replayed: true`).
    pub replayed: bool,
}

impl Outcome {
    pub(crate) const fn first(result: Result<Vec<u8>>) -> Self {
        Self { result, replayed: false }
    }

    pub(crate) const fn again(result: Result<Vec<u8>>) -> Self {
        Self { result, replayed: true }
    }
}

const ANSWER: u8 = 0;
const REFUSAL: u8 = 1;
const SEALED: u8 = 2;

#[derive(Serialize, Deserialize)]
struct Refusal {
    code: String,
    detail: String,
    fields: Vec<RefusedField>,
}

#[derive(Serialize, Deserialize)]
struct RefusedField {
    field: String,
    code: String,
    detail: String,
}

/// As stored. Callers pass answers and refusals only; another fault would be remembered as a refusal.
pub(crate) fn encode(result: &Result<Vec<u8>>) -> Result<Vec<u8>> {
    match result {
        Ok(answer) => Ok([[ANSWER].as_slice(), answer].concat()),
        Err(fault) => {
            let fields = fault.fields.iter().map(|f| RefusedField {
                field: f.field.clone(),
                code: f.code.as_str().into(),
                detail: f.detail.clone(),
            });
            let refusal = Refusal {
                code: fault.code.as_str().into(),
                detail: fault.detail.clone(),
                fields: fields.collect(),
            };
            let json = serde_json::to_vec(&refusal).map_err(Fault::internal)?;
            Ok([[REFUSAL].as_slice(), &json].concat())
        }
    }
}

/// The same with the answer sealed for the place that `context` names.
///
/// # Errors
/// `internal` without keys.
pub(crate) fn encode_sealed(result: &Result<Vec<u8>>, vault: Vault<'_>, context: &str) -> Result<Vec<u8>> {
    match result {
        Ok(answer) => Ok([[SEALED].as_slice(), &vault.seal(context, answer)?].concat()),
        Err(_) => encode(result),
    }
}

/// # Errors
/// `internal` when what is stored is not ours, or sealed and does not open here; a remembered refusal is the inner error.
pub(crate) fn decode(stored: &[u8], vault: Vault<'_>, context: &str) -> Result<Result<Vec<u8>>> {
    match stored.split_first() {
        Some((&ANSWER, answer)) => Ok(Ok(answer.to_vec())),
        Some((&SEALED, sealed)) => Ok(Ok(vault.open(context, sealed)?.to_vec())),
        Some((&REFUSAL, json)) => {
            let refusal: Refusal = serde_json::from_slice(json).map_err(Fault::internal)?;
            let mut fault = Fault::new(code(&refusal.code)?, refusal.detail);
            for f in refusal.fields {
                fault.fields.push(FieldFault { field: f.field, code: code(&f.code)?, detail: f.detail });
            }
            Ok(Err(fault))
        }
        _ => Err(Fault::internal("a stored outcome is garbled")),
    }
}

/// Under which key it is sealed; none when it is not.
pub(crate) fn key_of(stored: &[u8]) -> Option<KeyId> {
    match stored.split_first() {
        Some((&SEALED, sealed)) => beem_sealing::key_of(sealed),
        _ => None,
    }
}

/// The same outcome under the key that seals now; none when there is nothing to do.
///
/// # Errors
/// `internal` when it does not open here.
pub(crate) fn reseal(stored: &[u8], vault: Vault<'_>, context: &str) -> Result<Option<Vec<u8>>> {
    match stored.split_first() {
        Some((&SEALED, sealed)) => {
            let again = vault.reseal(context, sealed)?;
            Ok(again.map(|sealed| [[SEALED].as_slice(), &sealed].concat()))
        }
        _ => Ok(None),
    }
}

fn code(text: &str) -> Result<Code> {
    Code::parse(text).ok_or_else(|| Fault::internal(format!("a stored outcome has the unknown code {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::Entropy;
    use beem_sealing::SealingKey;

    const NONE: Vault<'static> = Vault { sealing: None, entropy: &Entropy::System };

    #[test]
    fn answers_and_refusals_come_back_whole() {
        let keys = beem_sealing::Sealing::new(vec![SealingKey::draw(&Entropy::System)]).unwrap();
        let vault = Vault { sealing: Some(&keys), entropy: &Entropy::System };
        for answer in [vec![], vec![0], vec![1, 2, 3]] {
            let answered = Ok(answer.clone());
            assert_eq!(decode(&encode(&answered).unwrap(), NONE, "x").unwrap().unwrap(), answer);
            let sealed = encode_sealed(&answered, vault, "x").unwrap();
            assert_eq!(decode(&sealed, vault, "x").unwrap().unwrap(), answer);
            assert!(decode(&sealed, vault, "y").is_err() && decode(&sealed, NONE, "x").is_err());
        }
        for code in Code::ALL {
            let sent = Fault::field_as(*code, "roles[2]", "no such role");
            let got = decode(&encode(&Err(sent.clone())).unwrap(), NONE, "x").unwrap().unwrap_err();
            assert_eq!((got.code, got.detail, got.fields), (sent.code, sent.detail, sent.fields));
        }
        assert!(decode(&[], vault, "x").is_err());
        assert!(decode(&[7, 7], vault, "x").is_err());
    }
}
