//! What a claim ended with, and how it is stored: one byte that tells which, then the answer or the refusal.

use beem_fault::{Code, Fault, FieldFault, Result};
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

/// # Errors
/// `internal` when what is stored is not ours; a remembered refusal is the inner error.
pub(crate) fn decode(stored: &[u8]) -> Result<Result<Vec<u8>>> {
    match stored.split_first() {
        Some((&ANSWER, answer)) => Ok(Ok(answer.to_vec())),
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

fn code(text: &str) -> Result<Code> {
    Code::parse(text).ok_or_else(|| Fault::internal(format!("a stored outcome has the unknown code {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_refusals_come_back_whole() {
        for answer in [vec![], vec![0], vec![1, 2, 3]] {
            assert_eq!(decode(&encode(&Ok(answer.clone())).unwrap()).unwrap().unwrap(), answer);
        }
        for code in Code::ALL {
            let sent = Fault::field_as(*code, "roles[2]", "no such role");
            let got = decode(&encode(&Err(sent.clone())).unwrap()).unwrap().unwrap_err();
            assert_eq!((got.code, got.detail, got.fields), (sent.code, sent.detail, sent.fields));
        }
        assert!(decode(&[]).is_err());
        assert!(decode(&[7, 7]).is_err());
    }
}
