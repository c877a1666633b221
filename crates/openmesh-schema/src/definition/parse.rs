//! From YAML or JSON to a `Definition`: form, names and pins. Whether the whole makes sense is `protocol.rs`.

use super::duration::parse_duration_ms;
use super::reader::{Fields, Reader};
use super::{
    Binds, Count, Definition, Label, Machine, Move, ObligationRule, Outcome, Role, State, Timer, TimerStart,
    When, main_machine,
};
use crate::definition_error::{DefinitionError, DefinitionErrorKind as Kind};
use crate::limits::{
    MACHINES_MAX, MOVE_REPEATS_MAX, MOVES_MAX, OBLIGATION_RULES_MAX, PROTOCOL_BYTES_MAX, PROTOCOL_DEPTH_MAX,
    ROLES_MAX, STATES_MAX, WHENS_MAX,
};
use openmesh_message::{Authority, DefinitionName, NameRange, Performative, PinnedName, VersionedName};
use serde_json::Value;
use std::collections::BTreeMap;

/// Longest message about text that is no YAML.
const SYNTAX_ERROR_CHARS_MAX: usize = 600;

/// What a definition may refer to while it is read.
pub(crate) trait Published {
    /// The newest published schema in `range`.
    fn newest(&self, range: &NameRange) -> Option<PinnedName>;
    /// Whether exactly this schema is published.
    fn has(&self, pinned: &PinnedName) -> bool;
}

/// Reads a definition; unqualified names belong to `home`, ranges become pins.
pub(crate) fn parse(
    body: &[u8],
    home: Authority,
    published: &dyn Published,
) -> Result<Definition, DefinitionError> {
    let tree = parse_tree(body)?;
    let root = Reader::root(&tree);
    let fields = root.fields(&["protocol", "roles", "correlate", "require", "machines", "obligations"])?;
    let names = Names { home, published };
    Ok(Definition {
        name: names.versioned(&fields.need("protocol")?)?,
        roles: read_roles(&fields.need("roles")?)?,
        correlate: names.texts_by_schema(fields.get("correlate"))?,
        require: names.texts_by_schema(fields.get("require"))?,
        machines: read_machines(&fields.need("machines")?, &names)?,
        obligations: match fields.get("obligations") {
            Some(list) => {
                let rules = list.items(OBLIGATION_RULES_MAX)?;
                rules.iter().map(read_obligation).collect::<Result<_, _>>()?
            }
            None => Vec::new(),
        },
    })
}

fn parse_tree(body: &[u8]) -> Result<Value, DefinitionError> {
    if body.len() > PROTOCOL_BYTES_MAX {
        let message = format!("{} bytes are more than {PROTOCOL_BYTES_MAX}", body.len());
        return Err(DefinitionError::new("", Kind::TooLarge, message));
    }
    if body.trim_ascii_start().starts_with(b"{")
        && let Ok(value) = openmesh_message::json::parse_strict(body)
    {
        return Ok(value);
    }
    parse_yaml(body).map_err(|message| DefinitionError::new("", Kind::Malformed, message))
}

fn parse_yaml(body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body).map_err(|error| format!("not UTF-8: {error}"))?;
    let mut options = serde_saphyr::Options::default();
    options.duplicate_keys = serde_saphyr::options::DuplicateKeyPolicy::Error;
    options.merge_keys = serde_saphyr::options::MergeKeyPolicy::Error;
    let mut budget = serde_saphyr::Budget::default();
    budget.max_aliases = 0;
    budget.max_anchors = 0;
    budget.max_documents = 1;
    budget.max_depth = PROTOCOL_DEPTH_MAX;
    options.budget = Some(budget);
    // The reader quotes lines at whatever length they have.
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| error.to_string().chars().take(SYNTAX_ERROR_CHARS_MAX).collect())
}

/// How names in this definition are understood.
struct Names<'a> {
    home: Authority,
    published: &'a dyn Published,
}

impl Names<'_> {
    fn versioned(&self, at: &Reader<'_>) -> Result<VersionedName, DefinitionError> {
        VersionedName::parse(at.text()?, self.home)
            .map_err(|error| at.error(Kind::BadName, error.to_string()))
    }

    fn texts_by_schema(
        &self,
        at: Option<Reader<'_>>,
    ) -> Result<BTreeMap<DefinitionName, String>, DefinitionError> {
        let mut texts = BTreeMap::new();
        for (key, value) in at.map_or_else(|| Ok(Vec::new()), |at| at.entries())? {
            let name = DefinitionName::parse(&key, self.home)
                .map_err(|error| value.error(Kind::BadName, error.to_string()))?;
            if texts.insert(name, value.text()?.to_owned()).is_some() {
                return Err(value.error(Kind::Inconsistent, "this schema stands here twice"));
            }
        }
        Ok(texts)
    }

    /// `market/rfp@^1`, `market/rfp@v1.0.0` or a pin.
    fn schema(&self, at: &Reader<'_>) -> Result<PinnedName, DefinitionError> {
        let text = at.text()?;
        if text.contains('#') {
            let pinned: PinnedName =
                text.parse().map_err(|_| at.error(Kind::BadName, format!("`{text}` is no pinned name")))?;
            if self.published.has(&pinned) {
                return Ok(pinned);
            }
            return Err(at.error(Kind::UnknownSchema, format!("schema `{text}` is not published")));
        }
        let range =
            NameRange::parse(text, self.home).map_err(|error| at.error(Kind::BadName, error.to_string()))?;
        self.published
            .newest(&range)
            .ok_or_else(|| at.error(Kind::UnknownSchema, format!("no published schema is in `{range}`")))
    }
}

fn read_roles(at: &Reader<'_>) -> Result<BTreeMap<Label, Role>, DefinitionError> {
    let mut roles = BTreeMap::new();
    for (name, role) in at.labelled("role", ROLES_MAX)? {
        let fields = role.fields(&["count", "binds", "sees"])?;
        let binds = match fields.need("binds")?.choice(&["initiator", "first-move", "invited"])? {
            "initiator" => Binds::Initiator,
            "first-move" => Binds::FirstMove,
            _ => Binds::Invited,
        };
        if let Some(sees) = fields.get("sees") {
            sees.choice(&["all"])?;
        }
        let role = Role {
            count: read_count(&fields.need("count")?)?,
            binds,
            sees_all: fields.get("sees").is_some(),
        };
        roles.insert(name.into(), role);
    }
    Ok(roles)
}

/// `1`, `"1..*"`, `"0..3"`.
fn read_count(at: &Reader<'_>) -> Result<Count, DefinitionError> {
    if at.value().is_number() {
        let exact = at.whole_number(1, u64::from(u32::MAX))?;
        let exact = u32::try_from(exact).unwrap_or(u32::MAX);
        return Ok(Count { min: exact, max: Some(exact) });
    }
    let expected = "a count such as 1, \"1..*\" or \"0..3\"";
    let (min, max) = at.text()?.split_once("..").ok_or_else(|| at.wrong(expected))?;
    let min: u32 = min.parse().map_err(|_| at.wrong(expected))?;
    let max = match max {
        "*" => None,
        number => Some(number.parse::<u32>().map_err(|_| at.wrong(expected))?),
    };
    if max.is_some_and(|max| max < min || max == 0) {
        return Err(at.error(Kind::Inconsistent, "the upper count is below the lower, or zero"));
    }
    Ok(Count { min, max })
}

fn read_machines(at: &Reader<'_>, names: &Names<'_>) -> Result<BTreeMap<Label, Machine>, DefinitionError> {
    let mut machines = BTreeMap::new();
    for (name, machine) in at.labelled("machine", MACHINES_MAX)? {
        machines.insert(name.into(), read_machine(&machine, names)?);
    }
    Ok(machines)
}

fn read_machine(at: &Reader<'_>, names: &Names<'_>) -> Result<Machine, DefinitionError> {
    let fields = at.fields(&["per", "initial", "finals", "states"])?;
    let outcomes: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
    let mut finals = BTreeMap::new();
    for (name, outcome) in fields.need("finals")?.labelled("state", STATES_MAX)? {
        let text = outcome.choice(&outcomes)?;
        let found = Outcome::ALL.iter().find(|outcome| outcome.as_str() == text);
        finals.insert(name.into(), found.copied().unwrap_or(Outcome::Failure));
    }
    let mut states = BTreeMap::new();
    for (name, state) in fields.need("states")?.labelled("state", STATES_MAX)? {
        states.insert(name.into(), read_state(&state, names)?);
    }
    Ok(Machine {
        per: fields.get("per").map(|per| per.label("role")).transpose()?,
        initial: fields.need("initial")?.label("state")?,
        finals,
        states,
    })
}

fn read_state(at: &Reader<'_>, names: &Names<'_>) -> Result<State, DefinitionError> {
    let fields = at.fields(&["timer", "moves", "when"])?;
    let moves = match fields.get("moves") {
        Some(moves) => moves.items(MOVES_MAX)?,
        None => Vec::new(),
    };
    let when = match fields.get("when") {
        Some(when) => when.items(WHENS_MAX)?,
        None => Vec::new(),
    };
    Ok(State {
        timer: fields.get("timer").map(|timer| read_timer(&timer)).transpose()?,
        moves: moves.iter().map(|one| read_move(one, names)).collect::<Result<_, _>>()?,
        when: when.iter().map(read_when).collect::<Result<_, _>>()?,
    })
}

fn read_timer(at: &Reader<'_>) -> Result<Timer, DefinitionError> {
    let fields = at.fields(&["at", "after", "next"])?;
    let starts = match (fields.get("at"), fields.get("after")) {
        (Some(path), None) => TimerStart::At(path.text()?.to_owned()),
        (None, Some(after)) => {
            let (text, duration_ms) = read_duration(&after)?;
            TimerStart::After { text, duration_ms }
        }
        _ => return Err(at.error(Kind::BadTimer, "a timer has either `at` or `after`")),
    };
    Ok(Timer { starts, next: fields.need("next")?.label("state")? })
}

fn read_duration(at: &Reader<'_>) -> Result<(String, i64), DefinitionError> {
    let text = at.text()?;
    let ms = parse_duration_ms(text).map_err(|message| at.error(Kind::BadTimer, message))?;
    Ok((text.to_owned(), ms))
}

fn read_move(at: &Reader<'_>, names: &Names<'_>) -> Result<Move, DefinitionError> {
    let fields = at.fields(&[
        "performative",
        "schema",
        "from",
        "next",
        "guard",
        "turn",
        "max",
        "signatures",
        "custodial",
    ])?;
    let from = fields.need("from")?.texts(ROLES_MAX)?;
    let mut from: Vec<Label> = from.into_iter().map(|(role, _)| role.into()).collect();
    from.sort_unstable();
    let flag = |key: &str, value: &str| match fields.get(key) {
        Some(reader) => reader.choice(&[value]).map(|_| true),
        None => Ok(false),
    };
    let max = fields.get("max").map(|max| max.whole_number(1, MOVE_REPEATS_MAX)).transpose()?;
    let made = Move {
        performative: read_performative(&fields.need("performative")?)?,
        schema: fields.get("schema").map(|schema| names.schema(&schema)).transpose()?,
        from,
        next: fields.need("next")?.label("state")?,
        guard: read_optional_text(&fields, "guard")?,
        turn_other: flag("turn", "other")?,
        max: max.map(|max| u32::try_from(max).unwrap_or(u32::MAX)),
        signatures_all: flag("signatures", "all")?,
        custodial_allowed: flag("custodial", "allowed")?,
    };
    if made.custodial_allowed && !made.signatures_all {
        return Err(at.error(Kind::Inconsistent, "`custodial` says nothing without `signatures: all`"));
    }
    Ok(made)
}

fn read_optional_text(fields: &Fields<'_>, key: &str) -> Result<Option<String>, DefinitionError> {
    fields.get(key).map(|at| at.text().map(str::to_owned)).transpose()
}

fn read_performative(at: &Reader<'_>) -> Result<Performative, DefinitionError> {
    at.text()?.parse().map_err(|_| {
        at.error(Kind::BadName, format!("`{}` is no performative", at.text().unwrap_or_default()))
    })
}

fn read_when(at: &Reader<'_>) -> Result<When, DefinitionError> {
    let fields = at.fields(&["if", "next"])?;
    Ok(When { condition: fields.need("if")?.text()?.to_owned(), next: fields.need("next")?.label("state")? })
}

fn read_obligation(at: &Reader<'_>) -> Result<ObligationRule, DefinitionError> {
    let fields = at.fields(&["after", "role", "must", "for", "within"])?;
    let acts = |key: &str| -> Result<Vec<Performative>, DefinitionError> {
        let texts = fields.need(key)?.texts(MOVES_MAX)?;
        let mut acts =
            texts.iter().map(|(_, reader)| read_performative(reader)).collect::<Result<Vec<_>, _>>()?;
        acts.sort();
        Ok(acts)
    };
    let machine = match fields.get("for") {
        Some(each) => match each.text()?.strip_prefix("each ") {
            Some(machine) => machine.into(),
            None => return Err(each.error(Kind::WrongType, "expected `each <machine>`")),
        },
        None => main_machine(),
    };
    let (within, within_ms) = read_duration(&fields.need("within")?)?;
    Ok(ObligationRule {
        after: acts("after")?,
        role: fields.need("role")?.label("role")?,
        must: acts("must")?.into(),
        machine,
        within,
        within_ms,
    })
}
