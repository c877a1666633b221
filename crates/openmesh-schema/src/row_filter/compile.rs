//! Parses a filter, refuses what is not allowed, and replaces every path by a flat variable.

use super::{RowFilter, asked_variable, path_variable};
use crate::expression::{ALLOWED_OPERATORS, as_double, gives_truth, parse};
use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};

/// Functions on a text, called on it: each looks at every byte once.
const TEXT_FUNCTIONS: [&str; 3] = ["startsWith", "endsWith", "contains"];
const SIZE: &str = "size";
const ALLOWED: &str = "a filter compares paths of a record (kind, sender, message.attributes.performative, \
    message.payload.…, outcome.code) with texts, numbers and lists; it may use && || ! in + - * / ?:, has(path), \
    size(path), and startsWith, endsWith and contains on a path";

pub(super) fn compile(text: &str) -> Result<RowFilter, String> {
    let mut tree = parse(text)?;
    let mut rewrite = Rewrite::default();
    rewrite.expression(&mut tree)?;
    if !gives_truth(&tree) && !is_text_function(&tree.expr) {
        return Err("must give true or false: compare something, such as kind == 'message'".to_owned());
    }
    Ok(RowFilter { tree, paths: rewrite.paths, asked: rewrite.asked })
}

#[derive(Default)]
struct Rewrite {
    paths: Vec<String>,
    asked: Vec<String>,
}

impl Rewrite {
    fn expression(&mut self, node: &mut IdedExpr) -> Result<(), String> {
        if let Expr::Select(select) = &node.expr
            && select.test
        {
            let operand = pointer(&select.operand.expr).ok_or("has() takes a path: has(message.payload)")?;
            let index = place(&mut self.asked, format!("{operand}/{}", escaped(&select.field)));
            node.expr = Expr::Ident(asked_variable(index));
            return Ok(());
        }
        if let Some(pointer) = pointer(&node.expr) {
            node.expr = Expr::Ident(path_variable(place(&mut self.paths, pointer)));
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
            _ => Err(ALLOWED.to_owned()),
        }
    }

    fn call(&mut self, call: &mut CallExpr) -> Result<(), String> {
        let name = call.func_name.as_str();
        let is_allowed = match &call.target {
            None => ALLOWED_OPERATORS.contains(&name) || (name == SIZE && call.args.len() == 1),
            Some(_) => TEXT_FUNCTIONS.contains(&name) && call.args.len() == 1,
        };
        if !is_allowed {
            return Err(format!("`{name}` is not allowed: {ALLOWED}"));
        }
        if let Some(target) = &mut call.target {
            self.expression(target)?;
        }
        call.args.iter_mut().try_for_each(|argument| self.expression(argument))
    }
}

fn is_text_function(expression: &Expr) -> bool {
    matches!(expression, Expr::Call(call) if call.target.is_some() && TEXT_FUNCTIONS.contains(&call.func_name.as_str()))
}

fn place(list: &mut Vec<String>, pointer: String) -> usize {
    list.iter().position(|known| *known == pointer).unwrap_or_else(|| {
        list.push(pointer);
        list.len() - 1
    })
}

/// The JSON pointer of a path: names, then keys and numbers.
fn pointer(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Ident(name) => Some(format!("/{}", escaped(name))),
        Expr::Select(select) if !select.test => {
            Some(format!("{}/{}", pointer(&select.operand.expr)?, escaped(&select.field)))
        }
        Expr::Call(call) if call.func_name == operators::INDEX && call.target.is_none() => {
            let [operand, index] = call.args.as_slice() else { return None };
            let operand = pointer(&operand.expr)?;
            match &index.expr {
                Expr::Literal(LiteralValue::Int(index)) => {
                    Some(format!("{operand}/{}", u32::try_from(*index.inner()).ok()?))
                }
                Expr::Literal(LiteralValue::String(key)) => {
                    Some(format!("{operand}/{}", escaped(key.inner())))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// A key as JSON pointers write it (RFC 6901).
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
