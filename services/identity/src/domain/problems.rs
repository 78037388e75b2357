//! Everything that is wrong with a request at once, so that its author mends it in one go.

use beem_fault::{Code, Fault, FieldFault};

/// The fields found wrong so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<FieldFault>);

impl Problems {
    /// Notes that a field (JSON path) is wrong.
    pub fn add(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldFault { field: field.into(), code: Code::ValidationFailed, detail: detail.into() });
    }

    /// The value, or None and a note about `field`.
    pub fn take<T, E: ToString>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|wrong| self.add(field, wrong.to_string())).ok()
    }

    /// What was parsed, if nothing at all was wrong.
    ///
    /// # Errors
    /// `validation-failed` with every field noted.
    pub fn settle<T>(self, parsed: Option<T>) -> Result<T, Fault> {
        match parsed {
            Some(value) if self.0.is_empty() => Ok(value),
            None if self.0.is_empty() => Err(Fault::internal("a request was refused without a reason")),
            _ => Err(Fault::fields(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_is_named() {
        let mut problems = Problems::default();
        assert_eq!(problems.take("a", Ok::<_, String>(1)), Some(1));
        assert_eq!(problems.take("b", Err::<u8, _>("is odd")), None);
        problems.add("c[2]", "is even");
        let fault = problems.settle(Some(())).unwrap_err();
        let named: Vec<_> = fault.fields.iter().map(|f| (f.field.as_str(), f.detail.as_str())).collect();
        assert_eq!(named, [("b", "is odd"), ("c[2]", "is even")]);
    }

    #[test]
    fn nothing_wrong_lets_the_value_through() {
        assert_eq!(Problems::default().settle(Some(3)).unwrap(), 3);
        assert_eq!(Problems::default().settle(None::<u8>).unwrap_err().code, Code::Internal);
    }
}
