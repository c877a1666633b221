//! Checks of a definition's shape: roles, states, ways in and ways out. Expressions are `rules.rs`.

use crate::definition::{Binds, Definition, Label, MAIN_MACHINE, Machine};
use crate::definition_error::{DefinitionError, DefinitionErrorKind as Kind};
use openmesh_message::Performative;
use std::collections::{BTreeMap, BTreeSet};

type Checked = Result<(), DefinitionError>;

pub(super) fn check(definition: &Definition) -> Checked {
    check_roles(definition)?;
    check_machine_set(definition)?;
    for (name, machine) in &definition.machines {
        check_targets(name, machine)?;
        check_initial(name, machine)?;
        check_movers(definition, name, machine)?;
        check_signatures(name, machine)?;
        check_offers(name, machine)?;
        check_ways(name, machine)?;
        check_when_cycles(name, machine)?;
    }
    check_opening(definition)?;
    check_obligations(definition)
}

/// States that nothing but an act leads out of.
pub(super) fn warnings(definition: &Definition) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, machine) in &definition.machines {
        for (state_name, state) in &machine.states {
            let waits = state.timer.is_none() && state.when.is_empty();
            if waits && *state_name != machine.initial {
                warnings.push(format!(
                    "machines.{name}.states.{state_name}: no timer and no `when`: it may wait for ever"
                ));
            }
        }
    }
    warnings
}

fn check_roles(definition: &Definition) -> Checked {
    let initiators: Vec<_> =
        definition.roles.iter().filter(|(_, role)| role.binds == Binds::Initiator).collect();
    let [(name, role)] = initiators.as_slice() else {
        return Err(DefinitionError::new(
            "roles",
            Kind::Inconsistent,
            format!("exactly one role has `binds: initiator`, not {}", initiators.len()),
        ));
    };
    if role.count.min == 1 && role.count.is_single() {
        return Ok(());
    }
    Err(DefinitionError::new(
        format!("roles.{name}.count"),
        Kind::Inconsistent,
        "the initiator is one agent: `count: 1`",
    ))
}

fn check_machine_set(definition: &Definition) -> Checked {
    let Some(main) = definition.machines.get(MAIN_MACHINE) else {
        return Err(DefinitionError::new(
            "machines",
            Kind::MissingKey,
            format!("the machine `{MAIN_MACHINE}`, which exists once a conversation, is missing"),
        ));
    };
    if main.per.is_some() {
        return Err(DefinitionError::new(
            format!("machines.{MAIN_MACHINE}.per"),
            Kind::Inconsistent,
            format!("`{MAIN_MACHINE}` exists once a conversation and has no `per`"),
        ));
    }
    for (name, machine) in &definition.machines {
        let path = format!("machines.{name}.per");
        match &machine.per {
            None if **name != *MAIN_MACHINE => {
                let message = format!("only `{MAIN_MACHINE}` exists once; name the role it is `per`");
                return Err(DefinitionError::new(path, Kind::MissingKey, message));
            }
            Some(role) if !definition.roles.contains_key(role) => {
                return Err(unknown_role(path, role));
            }
            _ => {}
        }
    }
    Ok(())
}

fn unknown_role(path: String, role: &str) -> DefinitionError {
    DefinitionError::new(path, Kind::UnknownRole, format!("there is no role `{role}`"))
}

fn check_targets(name: &str, machine: &Machine) -> Checked {
    if let Some(both) = machine.finals.keys().find(|state| machine.states.contains_key(*state)) {
        return Err(DefinitionError::new(
            format!("machines.{name}.states.{both}"),
            Kind::Inconsistent,
            format!("`{both}` is final: nothing can happen in it"),
        ));
    }
    if machine.finals.is_empty() {
        return Err(DefinitionError::new(
            format!("machines.{name}.finals"),
            Kind::MissingKey,
            "at least one final state is needed",
        ));
    }
    let exists = |state: &str| machine.states.contains_key(state) || machine.finals.contains_key(state);
    for (state_name, state) in &machine.states {
        let path = format!("machines.{name}.states.{state_name}");
        let moves = state.moves.iter().enumerate();
        let moves = moves.map(|(index, one)| (format!("{path}.moves[{index}].next"), &one.next));
        let timer = state.timer.iter().map(|timer| (format!("{path}.timer.next"), &timer.next));
        let when = state.when.iter().enumerate();
        let when = when.map(|(index, rule)| (format!("{path}.when[{index}].next"), &rule.next));
        for (path, next) in moves.chain(timer).chain(when) {
            if !exists(next) {
                let message = format!("machine `{name}` has no state `{next}`");
                return Err(DefinitionError::new(path, Kind::UnknownState, message));
            }
        }
    }
    Ok(())
}

fn check_initial(name: &str, machine: &Machine) -> Checked {
    let path = format!("machines.{name}.initial");
    let Some(state) = machine.states.get(&machine.initial) else {
        let message = format!("`{}` is not among the states", machine.initial);
        return Err(DefinitionError::new(path, Kind::UnknownState, message));
    };
    let signed = state.moves.iter().any(|one| one.signatures_all);
    if state.timer.is_none() && state.when.is_empty() && !signed {
        return Ok(());
    }
    Err(DefinitionError::new(
        format!("machines.{name}.states.{}", machine.initial),
        Kind::Inconsistent,
        "an instance is made by its first act, so its initial state has no `timer`, `when` or `signatures`",
    ))
}

fn check_movers(definition: &Definition, name: &str, machine: &Machine) -> Checked {
    for (state, index, one) in machine.moves() {
        if let Some(role) = one.from.iter().find(|role| !definition.roles.contains_key(*role)) {
            let path = format!("machines.{name}.states.{state}.moves[{index}].from");
            return Err(unknown_role(path, role));
        }
    }
    Ok(())
}

fn check_signatures(name: &str, machine: &Machine) -> Checked {
    for (state_name, state) in &machine.states {
        if state.moves.iter().filter(|one| one.signatures_all).count() > 1 {
            return Err(DefinitionError::new(
                format!("machines.{name}.states.{state_name}.moves"),
                Kind::Ambiguous,
                "one move a state may have `signatures: all`",
            ));
        }
    }
    Ok(())
}

/// Accept and reject name an offer: the machine must have a way to make one.
fn check_offers(name: &str, machine: &Machine) -> Checked {
    let is_offer = |act: &Performative| matches!(act, Performative::Propose | Performative::CounterPropose);
    if machine.moves().any(|(_, _, one)| is_offer(&one.performative)) {
        return Ok(());
    }
    for (state, index, one) in machine.moves() {
        let answers = [Performative::AcceptProposal, Performative::RejectProposal];
        if answers.contains(&one.performative) {
            return Err(DefinitionError::new(
                format!("machines.{name}.states.{state}.moves[{index}]"),
                Kind::Inconsistent,
                format!("`{}` names an offer, and nothing in `{name}` makes one", one.performative),
            ));
        }
    }
    Ok(())
}

fn check_ways(name: &str, machine: &Machine) -> Checked {
    let mut reached = BTreeSet::new();
    let mut open = vec![&*machine.initial];
    while let Some(state) = open.pop() {
        if reached.insert(state) {
            open.extend(machine.successors(state));
        }
    }
    for state in machine.states.keys().chain(machine.finals.keys()) {
        if !reached.contains(&**state) {
            let message = format!("nothing leads from `{}` to `{state}`", machine.initial);
            return Err(DefinitionError::new(state_path(name, machine, state), Kind::Unreachable, message));
        }
    }
    let mut ending: BTreeSet<&str> = machine.finals.keys().map(|state| &**state).collect();
    loop {
        let before = ending.len();
        let ends = |state: &&Label| machine.successors(state).iter().any(|next| ending.contains(next));
        let more: Vec<&str> = machine.states.keys().filter(ends).map(|state| &**state).collect();
        ending.extend(more);
        if ending.len() == before {
            break;
        }
    }
    match machine.states.keys().find(|state| !ending.contains(&***state)) {
        None => Ok(()),
        Some(state) => Err(DefinitionError::new(
            state_path(name, machine, state),
            Kind::DeadEnd,
            format!("no final state can be reached from `{state}`"),
        )),
    }
}

fn state_path(name: &str, machine: &Machine, state: &str) -> String {
    let part = if machine.finals.contains_key(state) { "finals" } else { "states" };
    format!("machines.{name}.{part}.{state}")
}

fn check_when_cycles(name: &str, machine: &Machine) -> Checked {
    let edges: BTreeMap<&str, Vec<&str>> = machine
        .states
        .iter()
        .map(|(from, state)| (&**from, state.when.iter().map(|rule| &*rule.next).collect()))
        .collect();
    for start in edges.keys() {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = edges.get(start).cloned().unwrap_or_default();
        while let Some(state) = open.pop() {
            if state == *start {
                return Err(DefinitionError::new(
                    format!("machines.{name}.states.{start}.when"),
                    Kind::Cycle,
                    format!("`when` rules lead from `{start}` back to it and could run for ever"),
                ));
            }
            if seen.insert(state) {
                open.extend(edges.get(state).into_iter().flatten());
            }
        }
    }
    Ok(())
}

fn check_opening(definition: &Definition) -> Checked {
    let Some((initiator, main)) = definition.initiator().zip(definition.machines.get(MAIN_MACHINE)) else {
        return Ok(());
    };
    let path = format!("machines.{MAIN_MACHINE}.states.{}.moves", main.initial);
    let moves = main.states.get(&main.initial).map(|state| state.moves.as_slice());
    let moves = moves.unwrap_or_default();
    if moves.is_empty() || moves.iter().any(|one| !matches!(one.from.as_slice(), [only] if only == initiator))
    {
        return Err(DefinitionError::new(
            path,
            Kind::Inconsistent,
            format!(
                "a conversation is opened by `{initiator}`: its first state has moves, all from it alone"
            ),
        ));
    }
    Ok(())
}

fn check_obligations(definition: &Definition) -> Checked {
    for (index, rule) in definition.obligations.iter().enumerate() {
        let path = format!("obligations[{index}]");
        if !definition.roles.contains_key(&rule.role) {
            return Err(unknown_role(format!("{path}.role"), &rule.role));
        }
        let (Some(machine), Some(main)) =
            (definition.machines.get(&rule.machine), definition.machines.get(MAIN_MACHINE))
        else {
            let message = format!("there is no machine `{}`", rule.machine);
            return Err(DefinitionError::new(format!("{path}.for"), Kind::UnknownState, message));
        };
        let arises = |act: &Performative| machine.moves().any(|(_, _, one)| one.performative == *act);
        if let Some(act) = rule.after.iter().find(|act| !arises(act)) {
            let message = format!("`{act}` is no move of machine `{}`", rule.machine);
            return Err(DefinitionError::new(format!("{path}.after"), Kind::Inconsistent, message));
        }
        let ends = |act: &Performative| {
            let moves = machine.moves().chain(main.moves());
            moves.map(|(_, _, one)| one).any(|one| one.performative == *act && one.from.contains(&rule.role))
        };
        if let Some(act) = rule.must.iter().find(|act| !ends(act)) {
            let message = format!("`{act}` is no move of role `{}` there", rule.role);
            return Err(DefinitionError::new(format!("{path}.must"), Kind::Inconsistent, message));
        }
    }
    Ok(())
}
