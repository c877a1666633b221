//! The stored form of a definition: RFC 8785 JSON, every name qualified, every schema pinned, one way to write each thing.

use super::{
    Count, Definition, Label, MAIN_MACHINE, Machine, Move, ObligationRule, Role, State, Timer, TimerStart,
};
use openmesh_message::{DefinitionName, Performative};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The bytes whose digest is the protocol's identity.
pub(crate) fn to_stored(definition: &Definition) -> Result<Vec<u8>, serde_json::Error> {
    serde_json_canonicalizer::to_vec(&definition_value(definition))
}

fn definition_value(definition: &Definition) -> Value {
    let mut object = Map::new();
    object.insert("protocol".into(), definition.name.to_string().into());
    object.insert("roles".into(), map(&definition.roles, role_value));
    object.insert("machines".into(), map(&definition.machines, machine_value));
    insert_texts(&mut object, "correlate", &definition.correlate);
    insert_texts(&mut object, "require", &definition.require);
    if !definition.obligations.is_empty() {
        let rules: Vec<Value> = definition.obligations.iter().map(obligation_value).collect();
        object.insert("obligations".into(), rules.into());
    }
    Value::Object(object)
}

fn map<T>(entries: &BTreeMap<Label, T>, value: impl Fn(&T) -> Value) -> Value {
    let entries = entries.iter().map(|(key, one)| (key.to_string(), value(one)));
    Value::Object(entries.collect())
}

fn insert_texts(object: &mut Map<String, Value>, key: &str, texts: &BTreeMap<DefinitionName, String>) {
    if texts.is_empty() {
        return;
    }
    let entries = texts.iter().map(|(name, text)| (name.to_string(), Value::from(text.as_str())));
    object.insert(key.into(), Value::Object(entries.collect()));
}

fn role_value(role: &Role) -> Value {
    let mut object = Map::new();
    object.insert("count".into(), count_value(role.count));
    object.insert("binds".into(), role.binds.as_str().into());
    if role.sees_all {
        object.insert("sees".into(), "all".into());
    }
    Value::Object(object)
}

fn count_value(count: Count) -> Value {
    match count.max {
        Some(max) if max == count.min => max.into(),
        Some(max) => format!("{}..{max}", count.min).into(),
        None => format!("{}..*", count.min).into(),
    }
}

fn machine_value(machine: &Machine) -> Value {
    let mut object = Map::new();
    if let Some(per) = &machine.per {
        object.insert("per".into(), (&**per).into());
    }
    object.insert("initial".into(), (&*machine.initial).into());
    let outcome = |outcome: &super::Outcome| Value::from(outcome.as_str());
    object.insert("finals".into(), map(&machine.finals, outcome));
    object.insert("states".into(), map(&machine.states, state_value));
    Value::Object(object)
}

fn state_value(state: &State) -> Value {
    let mut object = Map::new();
    if let Some(timer) = &state.timer {
        object.insert("timer".into(), timer_value(timer));
    }
    if !state.moves.is_empty() {
        let moves: Vec<Value> = state.moves.iter().map(move_value).collect();
        object.insert("moves".into(), moves.into());
    }
    if !state.when.is_empty() {
        let rules = state.when.iter();
        let rules = rules.map(|rule| json!({"if": rule.condition, "next": rule.next}));
        object.insert("when".into(), rules.collect::<Vec<Value>>().into());
    }
    Value::Object(object)
}

fn timer_value(timer: &Timer) -> Value {
    match &timer.starts {
        TimerStart::At(path) => json!({"at": path, "next": timer.next}),
        TimerStart::After { text, .. } => json!({"after": text, "next": timer.next}),
    }
}

fn move_value(one: &Move) -> Value {
    let mut object = Map::new();
    object.insert("performative".into(), one.performative.to_string().into());
    object.insert("from".into(), one.from.iter().map(|role| Value::from(&**role)).collect::<Vec<_>>().into());
    object.insert("next".into(), (&*one.next).into());
    if let Some(schema) = &one.schema {
        object.insert("schema".into(), schema.to_string().into());
    }
    if let Some(guard) = &one.guard {
        object.insert("guard".into(), guard.as_str().into());
    }
    if one.turn_other {
        object.insert("turn".into(), "other".into());
    }
    if let Some(max) = one.max {
        object.insert("max".into(), max.into());
    }
    if one.signatures_all {
        object.insert("signatures".into(), "all".into());
    }
    if one.custodial_allowed {
        object.insert("custodial".into(), "allowed".into());
    }
    Value::Object(object)
}

fn obligation_value(rule: &ObligationRule) -> Value {
    let texts =
        |acts: &[Performative]| -> Vec<Value> { acts.iter().map(|act| act.to_string().into()).collect() };
    let mut object = Map::new();
    object.insert("after".into(), texts(&rule.after).into());
    object.insert("role".into(), (&*rule.role).into());
    object.insert("must".into(), texts(&rule.must).into());
    if *rule.machine != *MAIN_MACHINE {
        object.insert("for".into(), format!("each {}", rule.machine).into());
    }
    object.insert("within".into(), rule.within.as_str().into());
    Value::Object(object)
}
