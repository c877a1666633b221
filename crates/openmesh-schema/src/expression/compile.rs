//! Parses an expression, refuses what is not allowed, and replaces everything it reads by a flat variable.

use super::plain::Plain;
use super::{Expression, Input, variable_name};
use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX};
use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use cel::parser::Parser;

const COMPARISONS: [&str; 7] = [
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::IN,
];
const CONNECTIVES: [&str; 3] = [operators::LOGICAL_AND, operators::LOGICAL_OR, operators::LOGICAL_NOT];
const ARITHMETIC: [&str; 6] = [
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::NEGATE,
    operators::CONDITIONAL,
];
/// All of them, as the parser names them.
pub(crate) const ALLOWED_OPERATORS: [&str; 16] = [
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::IN,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::NEGATE,
    operators::CONDITIONAL,
];
const ROUND: &str = "round";
const COUNT: &str = "count";

pub(super) fn compile(text: &str) -> Result<Expression, String> {
    if let Some(bad) = text.chars().find(|c| !(' '..='~').contains(c)) {
        return Err(format!("{bad:?} is not printable ASCII"));
    }
    let mut tree = parse(text)?;
    let mut rewrite = Rewrite::default();
    rewrite.expression(&mut tree)?;
    if !gives_truth(&tree) {
        return Err("must give true or false: compare something".to_owned());
    }
    let Rewrite { inputs, round_states } = rewrite;
    Ok(Expression { plain: Plain::of(&tree, &inputs), tree, inputs, round_states })
}

/// Parses within the limits on length and depth.
pub(crate) fn parse(text: &str) -> Result<IdedExpr, String> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(format!("longer than {EXPRESSION_BYTES_MAX} bytes"));
    }
    let parser = Parser::new().max_recursion_depth(EXPRESSION_DEPTH_MAX).error_recovery_limit(1);
    parser.parse(text).map_err(|errors| {
        let first = errors.errors.first().map(|error| error.msg.clone());
        format!("does not parse: {}", first.unwrap_or_default())
    })
}

/// Whether an expression gives true or false, as far as its outermost part says.
pub(crate) fn gives_truth(tree: &IdedExpr) -> bool {
    match &tree.expr {
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            COMPARISONS.contains(&name)
                || CONNECTIVES.contains(&name)
                || (name == operators::CONDITIONAL && call.args.iter().skip(1).all(gives_truth))
        }
        Expr::Literal(LiteralValue::Boolean(_)) | Expr::Ident(_) => true,
        _ => false,
    }
}

#[derive(Default)]
struct Rewrite {
    inputs: Vec<Input>,
    round_states: Vec<String>,
}

impl Rewrite {
    fn expression(&mut self, node: &mut IdedExpr) -> Result<(), String> {
        if let Some(input) = as_input(&node.expr)? {
            node.expr = Expr::Ident(self.variable(input));
            return Ok(());
        }
        match &mut node.expr {
            Expr::Literal(literal) => {
                if let Some(number) = as_double(literal)? {
                    *literal = LiteralValue::Double(number.into());
                }
                Ok(())
            }
            Expr::List(list) => list.elements.iter_mut().try_for_each(|element| self.expression(element)),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(_) => {
                Err("macros (all, exists, exists_one, map, filter) are not allowed".to_owned())
            }
            Expr::Select(select) if select.test => Err("the macro has() is not allowed".to_owned()),
            Expr::Map(_) | Expr::Struct(_) => Err("maps and messages are not allowed".to_owned()),
            _ => Err("only literals, lists, operators, round.state, count() and payload paths are allowed"
                .to_owned()),
        }
    }

    fn call(&mut self, call: &mut CallExpr) -> Result<(), String> {
        let name = call.func_name.as_str();
        let known = COMPARISONS.contains(&name) || CONNECTIVES.contains(&name) || ARITHMETIC.contains(&name);
        if !known || call.target.is_some() {
            return Err(format!("`{name}` is not allowed; the only function is count('machine', 'state')"));
        }
        if COMPARISONS.contains(&name) {
            self.note_round_states(&call.args);
        }
        call.args.iter_mut().try_for_each(|argument| self.expression(argument))
    }

    /// Remembers the states that `round.state` is compared with, so that a misspelt one is found.
    fn note_round_states(&mut self, arguments: &[IdedExpr]) {
        let is_round = |node: &IdedExpr| matches!(as_input(&node.expr), Ok(Some(Input::RoundState)));
        if !arguments.iter().any(is_round) {
            return;
        }
        for argument in arguments {
            match &argument.expr {
                Expr::List(list) => self.round_states.extend(list.elements.iter().filter_map(as_text)),
                _ => self.round_states.extend(as_text(argument)),
            }
        }
    }

    fn variable(&mut self, input: Input) -> String {
        let found = self.inputs.iter().position(|known| *known == input);
        let index = found.unwrap_or_else(|| {
            self.inputs.push(input);
            self.inputs.len() - 1
        });
        variable_name(index)
    }
}

/// `round.state`, `count('m', 's')` or a payload path; `Err` for an attempt at one that is wrong.
fn as_input(expression: &Expr) -> Result<Option<Input>, String> {
    match expression {
        Expr::Call(call) if call.func_name == COUNT => as_count(call).map(Some),
        Expr::Ident(name) => Err(format!("`{name}` alone is nothing: name a path, such as {name}.value")),
        Expr::Select(select) if !select.test => {
            let Some((variable, pointer)) = as_path(expression) else {
                return Err("a path is a payload's name, then keys and numbers".to_owned());
            };
            match (variable == ROUND, pointer.as_str()) {
                (true, "/state") => Ok(Some(Input::RoundState)),
                (true, _) => Err(format!("`{ROUND}` has only `state`")),
                (false, _) => Ok(Some(Input::Path { variable, pointer })),
            }
        }
        Expr::Call(call) if call.func_name == operators::INDEX => match as_path(expression) {
            Some((variable, pointer)) => Ok(Some(Input::Path { variable, pointer })),
            None => Err("only payload paths take an index, and only a whole number".to_owned()),
        },
        _ => Ok(None),
    }
}

fn as_count(call: &CallExpr) -> Result<Input, String> {
    match (call.target.is_none(), call.args.as_slice()) {
        (true, [machine, state]) => match (as_text(machine), as_text(state)) {
            (Some(machine), Some(state)) => Ok(Input::Count { machine, state }),
            _ => Err("count() takes two texts: count('machine', 'state')".to_owned()),
        },
        _ => Err("count() takes two texts: count('machine', 'state')".to_owned()),
    }
}

fn as_path(expression: &Expr) -> Option<(String, String)> {
    match expression {
        Expr::Ident(name) => Some((name.clone(), String::new())),
        Expr::Select(select) if !select.test => {
            let (variable, pointer) = as_path(&select.operand.expr)?;
            Some((variable, format!("{pointer}/{}", select.field)))
        }
        Expr::Call(call) if call.func_name == operators::INDEX && call.target.is_none() => {
            let [operand, index] = call.args.as_slice() else {
                return None;
            };
            let Expr::Literal(LiteralValue::Int(index)) = &index.expr else {
                return None;
            };
            let index = u32::try_from(*index.inner()).ok()?;
            let (variable, pointer) = as_path(&operand.expr)?;
            Some((variable, format!("{pointer}/{index}")))
        }
        _ => None,
    }
}

fn as_text(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    }
}

/// A whole number as a double; `Err` where it would not be exact.
pub(crate) fn as_double(literal: &LiteralValue) -> Result<Option<f64>, String> {
    const EXACT: i64 = 1 << 53;
    let whole = match literal {
        LiteralValue::Int(number) => *number.inner(),
        LiteralValue::UInt(number) => i64::try_from(*number.inner()).unwrap_or(i64::MAX),
        LiteralValue::Bytes(_) => return Err("bytes are not allowed".to_owned()),
        _ => return Ok(None),
    };
    if !(-EXACT..=EXACT).contains(&whole) {
        return Err(format!("{whole} is beyond 2^53"));
    }
    #[expect(clippy::cast_precision_loss, reason = "the range was checked above")]
    let number = whole as f64;
    Ok(Some(number))
}
