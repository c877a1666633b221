//! Why an expression has no value, said of types alone: values may be long, be nobody's business, and cel shows maps in an
//! order that differs from run to run.

use cel::{ExecutionError as Error, Value};

/// The reason, in words that are the same each time.
pub(super) fn why(error: &Error) -> String {
    match error {
        Error::UnsupportedBinaryOperator(operator, left, right) => {
            format!("`{operator}` takes no {} and {}", kind(left), kind(right))
        }
        Error::ValuesNotComparable(left, right) => {
            format!("{} and {} cannot be compared", kind(left), kind(right))
        }
        Error::Overflow(operator, ..) => format!("`{operator}` overflows"),
        Error::DivisionByZero(_) | Error::RemainderByZero(_) => "division by zero".to_owned(),
        Error::NoSuchOverload(_) => "an operator is given what it does not take".to_owned(),
        _ => "it has no value".to_owned(),
    }
}

fn kind(value: &Value) -> String {
    value.type_of().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::{Expression, Scope, to_cel};
    use cel::Value;

    struct Map;

    impl Scope for Map {
        fn round(&self) -> &str {
            "open"
        }

        fn count(&self, _: &str, _: &str) -> f64 {
            0.0
        }

        fn payload(&self, _: &str, _: &str) -> Option<Value> {
            Some(to_cel(&serde_json::json!({"currency": "GBP", "amount": 1_000, "secret": "yes"})))
        }
    }

    #[test]
    fn a_reason_names_types_and_no_values() {
        let why = Expression::compile("rfp.value - 7 > 0").unwrap().holds(&Map).unwrap_err();
        assert_eq!(why, "`sub` takes no map and float");
    }
}
