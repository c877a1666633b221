//! What is said of the round's state and of counts alone, as most guards and rules are. It has a truth in every
//! conversation, so it is told without making values; whatever else an expression says is left to cel.

use super::{Input, Scope};
use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

/// An expression that can be told without values.
#[derive(Debug)]
pub(super) enum Plain {
    /// The round is in one of these states.
    Round(Vec<String>),
    /// A count compared with a number.
    Count {
        machine: String,
        state: String,
        compare: fn(&f64, &f64) -> bool,
        with: f64,
    },
    All(Vec<Plain>),
    Any(Vec<Plain>),
    Not(Box<Plain>),
}

impl Plain {
    /// That of a compiled tree, whose variables stand for `inputs`; `None` if it says anything else.
    pub(super) fn of(tree: &IdedExpr, inputs: &[Input]) -> Option<Self> {
        let Expr::Call(call) = &tree.expr else {
            return None;
        };
        let every =
            || call.args.iter().map(|argument| Self::of(argument, inputs)).collect::<Option<Vec<_>>>();
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, _) => every().map(Self::All),
            (operators::LOGICAL_OR, _) => every().map(Self::Any),
            (operators::LOGICAL_NOT, [one]) => Some(Self::Not(Box::new(Self::of(one, inputs)?))),
            (_, [left, right]) => Self::comparison(call, input(left, inputs)?, right),
            _ => None,
        }
    }

    fn comparison(call: &CallExpr, left: &Input, right: &IdedExpr) -> Option<Self> {
        match (left, call.func_name.as_str()) {
            (Input::RoundState, operators::EQUALS) => Some(Self::Round(vec![text(right)?])),
            (Input::RoundState, operators::NOT_EQUALS) => {
                Some(Self::Not(Box::new(Self::Round(vec![text(right)?]))))
            }
            (Input::RoundState, operators::IN) => {
                let Expr::List(list) = &right.expr else {
                    return None;
                };
                list.elements.iter().map(text).collect::<Option<_>>().map(Self::Round)
            }
            (Input::Count { machine, state }, operator) => {
                let compare = match operator {
                    operators::EQUALS => f64::eq,
                    operators::NOT_EQUALS => f64::ne,
                    operators::LESS => f64::lt,
                    operators::LESS_EQUALS => f64::le,
                    operators::GREATER => f64::gt,
                    operators::GREATER_EQUALS => f64::ge,
                    _ => return None,
                };
                let Expr::Literal(LiteralValue::Double(with)) = &right.expr else {
                    return None;
                };
                Some(Self::Count {
                    machine: machine.clone(),
                    state: state.clone(),
                    compare,
                    with: *with.inner(),
                })
            }
            _ => None,
        }
    }

    /// Whether it holds.
    pub(super) fn holds(&self, scope: &dyn Scope) -> bool {
        match self {
            Self::Round(states) => states.iter().any(|state| state == scope.round()),
            Self::Count { machine, state, compare, with } => compare(&scope.count(machine, state), with),
            Self::All(parts) => parts.iter().all(|part| part.holds(scope)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(scope)),
            Self::Not(part) => !part.holds(scope),
        }
    }
}

fn input<'i>(node: &IdedExpr, inputs: &'i [Input]) -> Option<&'i Input> {
    let Expr::Ident(name) = &node.expr else {
        return None;
    };
    (0..).zip(inputs).find(|(index, _)| super::variable_name(*index) == *name).map(|(_, input)| input)
}

fn text(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Expression, Input, Scope};
    use cel::Value;

    /// A round's state, and what every count is.
    struct At(&'static str, f64);

    impl Scope for At {
        fn round(&self) -> &str {
            self.0
        }

        fn count(&self, machine: &str, _: &str) -> f64 {
            if machine == "bid" { self.1 } else { 2.0 }
        }

        fn payload(&self, _: &str, _: &str) -> Option<Value> {
            Some(Value::Float(5.0))
        }
    }

    const PLAIN: [&str; 16] = [
        "round.state == 'open'",
        "round.state != 'open'",
        "round.state in ['open', 'closed']",
        "round.state in []",
        "!(round.state in ['closed'])",
        "count('bid', 'x') == 0",
        "count('bid', 'x') != 1",
        "count('bid', 'x') < 1",
        "count('bid', 'x') <= 1",
        "count('bid', 'x') > 1.5",
        "count('bid', 'x') >= 2",
        "count('bid', 'x') == 0 && count('other', 'x') == 2 && round.state == 'open'",
        "count('bid', 'x') == 0 || count('other', 'x') == 1 || round.state == 'open'",
        "!(count('bid', 'x') > 0 && round.state == 'open') || count('bid', 'y') == 2",
        "count('bid', 'x') > 0 && (round.state == 'open' || round.state == 'closed')",
        "count('bid', 'x') == -1",
    ];
    const OTHER: [&str; 6] = [
        "rfp.value == 5",
        "round.state == 'open' && rfp.value > 4",
        "count('bid', 'x') + 1 == 2",
        "'open' == round.state",
        "count('bid', 'x') == count('other', 'x')",
        "round.state == 'open' ? true : false",
    ];

    #[test]
    fn what_is_plain_is_told_as_cel_tells_it() {
        for text in PLAIN {
            let expression = Expression::compile(text).unwrap();
            let plain = expression.plain.as_ref().unwrap_or_else(|| panic!("{text} is plain"));
            for state in ["open", "closed", "else"] {
                for count in [0.0, 1.0, 2.0] {
                    let at = At(state, count);
                    assert_eq!(Ok(plain.holds(&at)), expression.evaluate(&at), "{text} at {state}, {count}");
                }
            }
        }
        for text in OTHER {
            assert!(Expression::compile(text).unwrap().plain.is_none(), "{text}");
        }
    }

    #[test]
    fn what_an_expression_reads_is_what_it_names() {
        let expression = Expression::compile("round.state == 'open'").unwrap();
        assert_eq!(expression.inputs(), [Input::RoundState]);
    }
}
