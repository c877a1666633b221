//! The expressions and payload paths of a definition, compiled and checked against schemas and states.

use super::named::Named;
use crate::catalog::Catalog;
use crate::definition::{Definition, Label, MAIN_MACHINE, Machine, Outcome, State, Timer, TimerStart};
use crate::definition_error::{DefinitionError, DefinitionErrorKind as Kind};
use crate::expression::{Expression, Input};
use crate::schema;
use openmesh_message::{DefinitionName, PinnedName};
use std::collections::{BTreeMap, BTreeSet};

type Checked = Result<(), DefinitionError>;

/// Everything of a definition that is evaluated.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    machines: Named<MachineRules>,
    require: BTreeMap<Label, Expression>,
    correlate: BTreeMap<Label, String>,
    variables: BTreeMap<PinnedName, Label>,
    remembered: BTreeMap<Label, BTreeSet<Label>>,
}

/// What is evaluated in one machine, and who moves in it.
#[derive(Debug, Default)]
struct MachineRules {
    states: Named<StateRules>,
    movers: Vec<Label>,
}

/// What is evaluated in one state, and what else of it a step asks for.
#[derive(Debug, Default)]
pub(crate) struct StateRules {
    /// How the machine ended that is in it.
    pub(crate) ends: Option<Outcome>,
    /// The moves' guards, by place.
    pub(crate) guards: Vec<Option<Expression>>,
    /// The `when` rules: conditions, and the states that they lead to.
    pub(crate) whens: Vec<(Expression, Label)>,
    /// The timer that starts in it.
    pub(crate) timer: Option<Timer>,
    /// Where the timer's time stands.
    pub(crate) timer_at: Option<PayloadPath>,
}

/// A place in the last payload of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PayloadPath {
    /// The schema's variable.
    pub(crate) variable: String,
    /// JSON pointer.
    pub(crate) pointer: String,
}

impl Rules {
    pub(super) fn compile(
        definition: &Definition,
        catalog: &Catalog,
        warnings: &mut Vec<String>,
    ) -> Result<Self, DefinitionError> {
        let mut checker = Checker { definition, catalog, warnings, rules: Self::default() };
        checker.name_variables()?;
        checker.compile_states()?;
        checker.compile_require()?;
        checker.check_correlate()?;
        Ok(checker.rules)
    }

    /// What is evaluated in a state of a machine, final ones too.
    pub(crate) fn state(&self, machine: &str, state: &str) -> Option<&StateRules> {
        self.machines.get(machine)?.states.get(state)
    }

    /// The roles that make moves in a machine, sorted.
    pub(crate) fn movers(&self, machine: &str) -> &[Label] {
        self.machines.get(machine).map_or(&[], |machine| &machine.movers)
    }

    /// The variable under which payloads of a schema are read.
    pub(crate) fn variable(&self, schema: &PinnedName) -> Option<&Label> {
        self.variables.get(schema)
    }

    /// What is required of payloads read under a variable.
    pub(crate) fn required(&self, variable: &str) -> Option<&Expression> {
        self.require.get(variable)
    }

    /// Where the value stands that correlates payloads read under a variable.
    pub(crate) fn correlated(&self, variable: &str) -> Option<&str> {
        self.correlate.get(variable).map(String::as_str)
    }

    /// The JSON pointers that are read of payloads under a variable.
    pub(crate) fn remembered(&self, variable: &str) -> Option<&BTreeSet<Label>> {
        self.remembered.get(variable)
    }
}

struct Checker<'d> {
    definition: &'d Definition,
    catalog: &'d Catalog,
    warnings: &'d mut Vec<String>,
    rules: Rules,
}

impl Checker<'_> {
    fn name_variables(&mut self) -> Checked {
        let mut owners: BTreeMap<String, &DefinitionName> = BTreeMap::new();
        for pin in self.definition.schemas() {
            let name = &pin.versioned.name;
            let variable = name.name.replace('-', "_");
            let earlier = owners.insert(variable.clone(), name);
            if variable == "round" || variable == "count" || earlier.is_some_and(|other| other != name) {
                return Err(DefinitionError::new(
                    "machines",
                    Kind::Inconsistent,
                    format!(
                        "schema `{}` would be read as `{variable}`, which means something else here",
                        pin.versioned
                    ),
                ));
            }
            self.rules.variables.insert(pin.clone(), variable.into());
        }
        Ok(())
    }

    fn compile_states(&mut self) -> Checked {
        let definition = self.definition;
        let mut machines = Vec::with_capacity(definition.machines.len());
        for (name, machine) in &definition.machines {
            machines.push((Label::clone(name), self.machine_rules(name, machine)?));
        }
        self.rules.machines = machines.into_iter().collect();
        Ok(())
    }

    fn machine_rules(&mut self, name: &Label, machine: &Machine) -> Result<MachineRules, DefinitionError> {
        let mut states = Vec::with_capacity(machine.states.len() + machine.finals.len());
        for (state_name, state) in &machine.states {
            let path = format!("machines.{name}.states.{state_name}");
            states.push((Label::clone(state_name), self.state_rules(&path, name, state)?));
        }
        let ended = |outcome: &Outcome| StateRules { ends: Some(*outcome), ..StateRules::default() };
        states.extend(machine.finals.iter().map(|(name, outcome)| (Label::clone(name), ended(outcome))));
        let movers = machine.movers().into_iter().cloned().collect();
        Ok(MachineRules { states: states.into_iter().collect(), movers })
    }

    fn state_rules(
        &mut self,
        path: &str,
        machine: &str,
        state: &State,
    ) -> Result<StateRules, DefinitionError> {
        let mut rules = StateRules { timer: state.timer.clone(), ..StateRules::default() };
        for (index, one) in state.moves.iter().enumerate() {
            let path = format!("{path}.moves[{index}].guard");
            let guard = one.guard.as_deref();
            let guard = guard.map(|text| self.expression(&path, text, &[machine]));
            rules.guards.push(guard.transpose()?);
        }
        for (index, rule) in state.when.iter().enumerate() {
            let path = format!("{path}.when[{index}].if");
            let condition = self.expression(&path, &rule.condition, &[machine])?;
            rules.whens.push((condition, Label::clone(&rule.next)));
        }
        if let Some(TimerStart::At(text)) = state.timer.as_ref().map(|timer| &timer.starts) {
            rules.timer_at = Some(self.timer_path(&format!("{path}.timer.at"), text, machine)?);
        }
        Ok(rules)
    }

    fn compile_require(&mut self) -> Checked {
        for (name, text) in &self.definition.require {
            let path = format!("require.{name}");
            let variable = self.variable_of(&path, name)?;
            let machines = self.machines_with(&variable);
            let machines: Vec<&str> = machines.iter().map(|name| &**name).collect();
            let expression = self.expression(&path, text, &machines)?;
            self.rules.require.insert(variable, expression);
        }
        Ok(())
    }

    fn check_correlate(&mut self) -> Checked {
        for (name, pointer) in &self.definition.correlate {
            let path = format!("correlate.{name}");
            if !pointer.starts_with('/') {
                let message = format!("`{pointer}` is no JSON pointer such as /id");
                return Err(DefinitionError::new(path, Kind::BadName, message));
            }
            let variable = self.variable_of(&path, name)?;
            let found = self.known(&path, &variable, pointer)?;
            if !found.always_there {
                let message = format!("`{pointer}` is not required by the schema, so it could be missing");
                return Err(DefinitionError::new(path, Kind::UnknownPath, message));
            }
            self.rules.correlate.insert(variable, pointer.clone());
        }
        Ok(())
    }

    fn variable_of(&self, path: &str, name: &DefinitionName) -> Result<Label, DefinitionError> {
        let mut pins = self.rules.variables.iter();
        match pins.find(|(pin, _)| pin.versioned.name == *name) {
            Some((_, variable)) => Ok(Label::clone(variable)),
            None => Err(DefinitionError::new(
                path,
                Kind::UnknownSchema,
                format!("no move carries schema `{name}`"),
            )),
        }
    }

    /// The machines in which a payload read under `variable` is sent.
    fn machines_with(&self, variable: &str) -> Vec<Label> {
        let machines = self.definition.machines.keys();
        machines.filter(|name| self.sent_in(name, variable)).cloned().collect()
    }

    fn sent_in(&self, machine: &str, variable: &str) -> bool {
        let Some(machine) = self.definition.machines.get(machine) else {
            return false;
        };
        let mut schemas = machine.moves().filter_map(|(_, _, one)| one.schema.as_ref());
        schemas.any(|pin| self.rules.variable(pin).is_some_and(|named| **named == *variable))
    }

    /// Compiles an expression that is evaluated in each of `machines`.
    fn expression(
        &mut self,
        path: &str,
        text: &str,
        machines: &[&str],
    ) -> Result<Expression, DefinitionError> {
        let expression = Expression::compile(text)
            .map_err(|message| DefinitionError::new(path, Kind::BadExpression, message))?;
        for input in expression.inputs() {
            match input {
                Input::RoundState => {}
                Input::Count { machine, state } => self.check_count(path, machine, state)?,
                Input::Path { variable, pointer } => {
                    self.check_path(path, variable, pointer, machines)?;
                }
            }
        }
        for state in expression.round_states() {
            self.check_state(path, MAIN_MACHINE, state)?;
        }
        Ok(expression)
    }

    fn check_count(&self, path: &str, machine: &str, state: &str) -> Checked {
        let found = self.definition.machines.get(machine);
        if found.is_none_or(|machine| machine.per.is_none()) {
            let message = format!("count() is of machines with `per`, and `{machine}` is none");
            return Err(DefinitionError::new(path, Kind::UnknownState, message));
        }
        self.check_state(path, machine, state)
    }

    fn check_state(&self, path: &str, machine: &str, state: &str) -> Checked {
        let found = self.definition.machines.get(machine);
        let exists = found
            .is_some_and(|machine| machine.states.contains_key(state) || machine.finals.contains_key(state));
        if exists {
            return Ok(());
        }
        let message = format!("machine `{machine}` has no state `{state}`");
        Err(DefinitionError::new(path, Kind::UnknownState, message))
    }

    fn check_path(&mut self, path: &str, variable: &str, pointer: &str, machines: &[&str]) -> Checked {
        for machine in machines {
            if !self.sent_in(machine, variable) && !self.sent_in(MAIN_MACHINE, variable) {
                return Err(DefinitionError::new(
                    path,
                    Kind::UnknownPath,
                    format!("no payload `{variable}` is sent in machine `{machine}` or in `{MAIN_MACHINE}`"),
                ));
            }
        }
        let known = self.known(path, variable, pointer)?;
        if !known.always_there {
            let dotted = pointer.replace('/', ".");
            self.warnings.push(format!(
                "{path}: `{variable}{dotted}` is not required by its schema; where it is missing, the expression does not hold"
            ));
        }
        self.remember(variable, pointer);
        Ok(())
    }

    fn timer_path(&mut self, path: &str, text: &str, machine: &str) -> Result<PayloadPath, DefinitionError> {
        let Some((variable, rest)) = text.split_once('.') else {
            let message = format!("`{text}` is no path such as rfp.tenderPeriod.endDate");
            return Err(DefinitionError::new(path, Kind::BadTimer, message));
        };
        let pointer = format!("/{}", rest.replace('.', "/"));
        self.check_path(path, variable, &pointer, &[machine])?;
        if !self.known(path, variable, &pointer)?.may_be_text {
            let message = format!("`{text}` is no text, so no RFC 3339 time");
            return Err(DefinitionError::new(path, Kind::BadTimer, message));
        }
        Ok(PayloadPath { variable: variable.to_owned(), pointer })
    }

    /// What every schema read under `variable` says about the path; all must declare it.
    fn known(&self, path: &str, variable: &str, pointer: &str) -> Result<schema::Known, DefinitionError> {
        let dotted = pointer.replace('/', ".");
        let mut all = schema::Known { may_be_text: true, always_there: true };
        let mut pins = 0;
        for (pin, _) in self.rules.variables.iter().filter(|(_, name)| ***name == *variable) {
            let schema = self.catalog.schema(&pin.digest);
            let Some(known) = schema.and_then(|schema| schema::find(schema.document(), pointer)) else {
                return Err(DefinitionError::new(
                    path,
                    Kind::UnknownPath,
                    format!("schema `{}` declares no `{variable}{dotted}`", pin.versioned.short()),
                ));
            };
            all.may_be_text &= known.may_be_text;
            all.always_there &= known.always_there;
            pins += 1;
        }
        if pins > 0 {
            return Ok(all);
        }
        let message = format!("no schema of this protocol is called `{variable}`");
        Err(DefinitionError::new(path, Kind::UnknownPath, message))
    }

    fn remember(&mut self, variable: &str, pointer: &str) {
        let pointers = self.rules.remembered.entry(variable.into()).or_default();
        pointers.insert(pointer.into());
    }
}
