//! A definition as a picture: Mermaid `stateDiagram-v2`, one composite state a machine.

use crate::definition::{Definition, MAIN_MACHINE, Machine, Move, TimerStart};
use std::fmt::Write as _;

pub(super) fn draw(definition: &Definition) -> String {
    let mut text = String::from("stateDiagram-v2\n");
    let main = definition.machines.get_key_value(MAIN_MACHINE);
    let others = definition.machines.iter().filter(|(name, _)| ***name != *MAIN_MACHINE);
    for (name, machine) in main.into_iter().chain(others) {
        // Writing to a String cannot fail.
        let _ = draw_machine(&mut text, name, machine);
    }
    text
}

fn draw_machine(text: &mut String, name: &str, machine: &Machine) -> std::fmt::Result {
    let title = match &machine.per {
        Some(role) => format!("{name}, one for each {role}"),
        None => name.to_owned(),
    };
    let machine_id = identifier(name);
    let id = |state: &str| format!("{machine_id}_{}", identifier(state));
    writeln!(text, "  state \"{title}\" as {machine_id} {{")?;
    for state in machine.states.keys() {
        writeln!(text, "    {} : {state}", id(state))?;
    }
    for (state, outcome) in &machine.finals {
        writeln!(text, "    {} : {state} ({})", id(state), outcome.as_str())?;
    }
    writeln!(text, "    [*] --> {}", id(&machine.initial))?;
    for (from, state) in &machine.states {
        for one in &state.moves {
            writeln!(text, "    {} --> {} : {}", id(from), id(&one.next), move_label(one))?;
        }
        if let Some(timer) = &state.timer {
            let label = match &timer.starts {
                TimerStart::At(path) => format!("at {path}"),
                TimerStart::After { text, .. } => format!("after {text}"),
            };
            writeln!(text, "    {} --> {} : {label}", id(from), id(&timer.next))?;
        }
        for rule in &state.when {
            writeln!(text, "    {} --> {} : when {}", id(from), id(&rule.next), plain(&rule.condition))?;
        }
    }
    for state in machine.finals.keys() {
        writeln!(text, "    {} --> [*]", id(state))?;
    }
    writeln!(text, "  }}")
}

fn move_label(one: &Move) -> String {
    let mut label = format!("{} {}", one.from.join("/"), one.performative);
    if let Some(schema) = &one.schema {
        let _ = write!(label, " {}", schema.versioned.short());
    }
    let rules = [
        one.turn_other.then(|| "turn other".to_owned()),
        one.max.map(|max| format!("max {max}")),
        one.signatures_all.then(|| "signed by all".to_owned()),
        one.guard.as_ref().map(|guard| format!("if {}", plain(guard))),
    ];
    let rules: Vec<String> = rules.into_iter().flatten().collect();
    if !rules.is_empty() {
        let _ = write!(label, " ({})", rules.join(", "));
    }
    label
}

/// Mermaid gives meaning to semicolons and hashes; identifiers take no hyphens.
fn plain(text: &str) -> String {
    text.replace([';', '#'], " ")
}

fn identifier(text: &str) -> String {
    text.replace('-', "_")
}
