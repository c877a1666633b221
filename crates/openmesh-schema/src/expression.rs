//! Expressions of a definition: CEL without macros and functions, over `round.state`, `count()` and payload paths.
//!
//! An expression is compiled once: each thing it reads becomes one flat variable, and every number a double.

mod compile;
mod failure;
mod plain;

pub(crate) use compile::{ALLOWED_OPERATORS, as_double, gives_truth, parse};

use cel::{Context, Env, IdedExpr, Value};
use plain::Plain;
use std::sync::{Arc, LazyLock};

pub(crate) static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled expression that gives true or false.
#[derive(Debug)]
pub(crate) struct Expression {
    tree: IdedExpr,
    plain: Option<Plain>,
    inputs: Vec<Input>,
    /// States that `round.state` is compared with.
    round_states: Vec<String>,
}

/// One thing an expression reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Input {
    /// `round.state`
    RoundState,
    /// `count('machine', 'state')`
    Count {
        /// The machine.
        machine: String,
        /// The state.
        state: String,
    },
    /// `proposal.value.amount`
    Path {
        /// The variable: the schema's name.
        variable: String,
        /// JSON pointer into its last payload.
        pointer: String,
    },
}

/// Answers what an expression reads.
pub(crate) trait Scope {
    /// The round's state.
    fn round(&self) -> &str;
    /// How many instances of a machine are in a state.
    fn count(&self, machine: &str, state: &str) -> f64;
    /// What stands at a path of the last payload of a schema; `None` if it is not there.
    fn payload(&self, variable: &str, pointer: &str) -> Option<Value>;
}

impl Expression {
    /// Compiles `text`; the message says what is not allowed.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        compile::compile(text)
    }

    /// What it reads.
    pub(crate) fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The states that `round.state` is compared with.
    pub(crate) fn round_states(&self) -> &[String] {
        &self.round_states
    }

    /// Whether it reads the payload called `variable`.
    pub(crate) fn reads_payload(&self, variable: &str) -> bool {
        self.inputs
            .iter()
            .any(|input| matches!(input, Input::Path { variable: found, .. } if found == variable))
    }

    /// Evaluates it; `Err` says why it gives neither true nor false.
    pub(crate) fn holds(&self, scope: &dyn Scope) -> Result<bool, String> {
        match &self.plain {
            Some(plain) => Ok(plain.holds(scope)),
            None => self.evaluate(scope),
        }
    }

    fn evaluate(&self, scope: &dyn Scope) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        let mut missing: Option<&Input> = None;
        for (index, input) in self.inputs.iter().enumerate() {
            match input.read(scope) {
                Some(value) => context.add_variable_from_value(variable_name(index), value),
                None => missing = missing.or(Some(input)),
            }
        }
        match (Value::resolve(&self.tree, &context), missing) {
            (Ok(Value::Bool(holds)), _) => Ok(holds),
            (Ok(_), _) => Err("it gives neither true nor false".to_owned()),
            (Err(_), Some(input)) => Err(format!("{} is not there", input.text())),
            (Err(error), None) => Err(failure::why(&error)),
        }
    }
}

impl Input {
    fn read(&self, scope: &dyn Scope) -> Option<Value> {
        match self {
            Self::RoundState => Some(scope.round().into()),
            Self::Count { machine, state } => Some(Value::Float(scope.count(machine, state))),
            Self::Path { variable, pointer } => scope.payload(variable, pointer),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::RoundState => "`round.state`".to_owned(),
            Self::Count { machine, state } => format!("`count('{machine}', '{state}')`"),
            Self::Path { variable, pointer } => {
                format!("`{variable}{}`", pointer.replace('/', "."))
            }
        }
    }
}

fn variable_name(index: usize) -> String {
    format!("@{index}")
}

/// A JSON value as CEL sees it: every number is a double.
pub(crate) fn to_cel(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::String(Arc::new(text.clone())),
        serde_json::Value::Array(items) => Value::List(Arc::new(items.iter().map(to_cel).collect())),
        serde_json::Value::Object(object) => object_to_cel(object),
    }
}

#[expect(
    clippy::disallowed_types,
    reason = "the type that cel builds its maps from; nothing here iterates over it"
)]
fn object_to_cel(object: &serde_json::Map<String, serde_json::Value>) -> Value {
    let entries = object.iter().map(|(key, value)| (key.clone(), to_cel(value)));
    Value::from(entries.collect::<std::collections::HashMap<String, Value>>())
}
