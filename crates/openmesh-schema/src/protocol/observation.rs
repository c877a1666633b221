//! Checks that every act means one thing, and that every role which acts next can see what it acts upon.

use crate::definition::{Binds, Definition, Label, Machine, Move};
use crate::definition_error::{DefinitionError, DefinitionErrorKind as Kind};

type Checked = Result<(), DefinitionError>;

pub(super) fn check(definition: &Definition) -> Checked {
    for (name, machine) in &definition.machines {
        check_choices(name, machine)?;
        check_sight(definition, name, machine)?;
    }
    check_across_machines(definition)?;
    check_joining(definition)
}

/// Two moves of one state differ in performative, schema or role.
fn check_choices(name: &str, machine: &Machine) -> Checked {
    for (state_name, state) in &machine.states {
        for (index, one) in state.moves.iter().enumerate() {
            let earlier = state.moves.iter().take(index).position(|other| overlaps(one, other));
            if let Some(other) = earlier {
                return Err(DefinitionError::new(
                    format!("machines.{name}.states.{state_name}.moves[{index}]"),
                    Kind::Ambiguous,
                    format!(
                        "the same act would fit moves[{other}]: they differ in neither performative, schema nor role"
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn overlaps(one: &Move, other: &Move) -> bool {
    let same_schema = one.schema.is_none() || other.schema.is_none() || one.schema == other.schema;
    one.performative == other.performative
        && same_schema
        && one.from.iter().any(|role| other.from.contains(role))
}

/// A role that moves in a machine sees the others' moves in it: as the only other party, or by `sees: all`.
fn check_sight(definition: &Definition, name: &str, machine: &Machine) -> Checked {
    let movers: Vec<&str> = machine.movers().into_iter().map(|role| &**role).collect();
    let is_single = |role: &str| {
        let per = machine.per.as_deref() == Some(role);
        per || definition.roles.get(role).is_some_and(|found| found.count.is_single())
    };
    for reader in &movers {
        let sees_all = definition.roles.get(*reader).is_some_and(|role| role.sees_all);
        // The agent whose instance it is takes part in every act of it: as sender, or as addressee.
        if sees_all || machine.per.as_deref() == Some(*reader) {
            continue;
        }
        let others = movers.iter().filter(|other| *other != reader).count();
        let alone = others == 0 && is_single(reader);
        let one_of_two = others == 1 && is_single(reader) && movers.iter().all(|role| is_single(role));
        if !alone && !one_of_two {
            return Err(DefinitionError::new(
                format!("roles.{reader}"),
                Kind::Unobservable,
                format!(
                    "`{reader}` acts in machine `{name}` but need not see what others ({}) do there: give it `sees: all`",
                    movers.join(", ")
                ),
            ));
        }
    }
    Ok(())
}

/// An act belongs to one machine.
fn check_across_machines(definition: &Definition) -> Checked {
    let machines: Vec<_> = definition.machines.iter().collect();
    for (place, (name, machine)) in machines.iter().enumerate() {
        for (other_name, other) in machines.iter().take(place) {
            for (state, index, one) in machine.moves() {
                let clash = other.moves().find(|(_, _, two)| overlaps(one, two));
                if let Some((other_state, other_index, _)) = clash {
                    return Err(DefinitionError::new(
                        format!("machines.{name}.states.{state}.moves[{index}]"),
                        Kind::Ambiguous,
                        format!(
                            "the same act would fit machines.{other_name}.states.{other_state}.moves[{other_index}]"
                        ),
                    ));
                }
            }
        }
    }
    Ok(())
}

/// An agent that joins by an act joins as one role.
fn check_joining(definition: &Definition) -> Checked {
    let joins = |role: &str| definition.roles.get(role).is_some_and(|role| role.binds == Binds::FirstMove);
    let moves: Vec<(&Label, &Label, usize, &Move)> = definition
        .machines
        .iter()
        .flat_map(|(name, machine)| machine.moves().map(move |(state, index, one)| (name, state, index, one)))
        .collect();
    for (name, state, index, one) in &moves {
        for (_, _, _, other) in &moves {
            let acts = one.performative == other.performative
                && (one.schema.is_none() || other.schema.is_none() || one.schema == other.schema);
            let first = one.from.iter().find(|role| joins(role));
            let second = other.from.iter().find(|role| joins(role) && Some(*role) != first);
            if let (true, Some(first), Some(second)) = (acts, first, second) {
                return Err(DefinitionError::new(
                    format!("machines.{name}.states.{state}.moves[{index}].from"),
                    Kind::Ambiguous,
                    format!(
                        "a first `{}` could bind its sender as `{first}` or as `{second}`",
                        one.performative
                    ),
                ));
            }
        }
    }
    Ok(())
}
