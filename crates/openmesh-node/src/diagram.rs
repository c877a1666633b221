//! A conversation as a sequence diagram: one column an agent, one row a record, oldest first.

mod mermaid;
mod svg;
mod text;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a diagram shows.
pub(crate) struct Diagram {
    /// The names over the columns.
    titles: Vec<String>,
    rows: Vec<Row>,
}

/// What one record shows; agents by the number of their column.
struct Row {
    /// Who acted; `None` for the node.
    from: Option<usize>,
    to: Towards,
    act: String,
    /// The topic, what is offered, what changed, or why it was refused.
    note: String,
    at: String,
}

/// Where an arrow points.
enum Towards {
    Agents(BTreeSet<usize>),
    /// Everyone who takes part.
    Everyone,
    /// Nobody: the node refused it.
    Refused,
}

/// A line of text, and whether it tells of a refusal.
pub(crate) struct Line {
    /// The text.
    pub(crate) text: String,
    /// Whether the node refused what it shows.
    pub(crate) is_refusal: bool,
}

impl Diagram {
    /// Reads the records of one conversation, each as `openmesh log query -o json` prints it; `names` by agent id.
    pub(crate) fn of(records: &[Value], names: &BTreeMap<String, String>) -> Self {
        let read: Vec<Read> = records.iter().filter_map(|record| Read::of(record, names)).collect();
        let agents = agents_of(&read);
        let places: BTreeMap<&str, usize> = agents.iter().map(String::as_str).zip(0..).collect();
        let place = |agent: &String| places.get(agent.as_str()).copied();
        let rows = read.iter().map(|read| Row {
            from: read.from.as_ref().and_then(place),
            to: match &read.to {
                ReadTowards::Agents(agents) => Towards::Agents(agents.iter().filter_map(place).collect()),
                ReadTowards::Everyone => Towards::Everyone,
                ReadTowards::Refused => Towards::Refused,
            },
            act: read.act.clone(),
            // Steps name agents by id; the columns have their names.
            note: names.iter().fold(read.note.clone(), |note, (agent, name)| note.replace(agent, name)),
            at: read.at.clone(),
        });
        let rows = rows.collect();
        let title = |agent: &String| names.get(agent).cloned().unwrap_or_else(|| short(agent));
        Self { titles: agents.iter().map(title).collect(), rows }
    }

    /// As lines of text.
    pub(crate) fn text(&self) -> Vec<Line> {
        text::draw(self)
    }

    /// As a Mermaid sequence diagram.
    pub(crate) fn mermaid(&self) -> String {
        mermaid::draw(self)
    }

    /// As a picture.
    pub(crate) fn svg(&self) -> String {
        svg::draw(self)
    }

    /// The columns that a row reaches.
    fn reached(&self, row: &Row) -> BTreeSet<usize> {
        match &row.to {
            Towards::Agents(agents) => agents.clone(),
            Towards::Everyone => (0..self.titles.len()).filter(|place| Some(*place) != row.from).collect(),
            Towards::Refused => BTreeSet::new(),
        }
    }
}

impl Row {
    const fn is_refusal(&self) -> bool {
        matches!(self.to, Towards::Refused)
    }
}

/// What one record shows, agents by id.
struct Read {
    from: Option<String>,
    to: ReadTowards,
    act: String,
    note: String,
    at: String,
}

enum ReadTowards {
    Agents(Vec<String>),
    Everyone,
    Refused,
}

impl Read {
    fn of(record: &Value, names: &BTreeMap<String, String>) -> Option<Self> {
        let from = text_at(record, "/sender");
        let at = text_at(record, "/at").unwrap_or_default();
        let summary = text_at(record, "/outcome/step/summary").unwrap_or_default();
        let ended = text_at(record, "/outcome/step/ended").map(|outcome| format!(" ({outcome})"));
        let step = format!("{summary}{}", ended.unwrap_or_default());
        match record.pointer("/kind")?.as_str()? {
            // The reader was told of the step alone.
            "message" if record.get("message").is_none() => {
                Some(Self { from: None, to: ReadTowards::Everyone, act: "notice".to_owned(), note: step, at })
            }
            "message" => {
                let act = text_at(record, "/message/attributes/performative")?;
                let (to, topic) = target(record, names);
                let parts = [topic.unwrap_or_default(), value_of(record).unwrap_or_default(), step];
                let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                Some(Self { from, to, act, note: parts.join("  "), at })
            }
            "refused" => {
                let act = text_at(record, "/refused/performative").unwrap_or_else(|| "message".to_owned());
                let note = format!("refused: {}", text_at(record, "/outcome/code")?);
                Some(Self { from, to: ReadTowards::Refused, act, note, at })
            }
            "fired" => {
                Some(Self { from: None, to: ReadTowards::Everyone, act: "timer".to_owned(), note: step, at })
            }
            _ => None,
        }
    }
}

fn text_at(record: &Value, pointer: &str) -> Option<String> {
    record.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// What a payload is worth, where it says so as the market's schemas do.
fn value_of(record: &Value) -> Option<String> {
    let value = record.pointer("/message/payload/value")?;
    let amount = value.get("amount")?.as_f64()?;
    Some(format!("{amount:.2} {}", value.get("currency")?.as_str()?))
}

/// Whom a message reached, and the topic it went to.
fn target(record: &Value, names: &BTreeMap<String, String>) -> (ReadTowards, Option<String>) {
    let to = text_at(record, "/message/attributes/to").unwrap_or_default();
    let path = to.splitn(4, '/').nth(3).unwrap_or_default();
    if let Some(topic) = path.strip_prefix("topic/") {
        return (ReadTowards::Everyone, Some(format!("topic:{topic}")));
    }
    let agent = path.strip_prefix("agent/").or_else(|| path.strip_prefix("inbox/"));
    if let Some(agent) = agent {
        let named = names.iter().find(|(_, name)| *name == agent).map(|(id, _)| id.as_str());
        if let Some(id) = named.or_else(|| agent.starts_with("did:").then_some(agent)) {
            return (ReadTowards::Agents(vec![id.to_owned()]), None);
        }
    }
    let puts = record.pointer("/outcome/inboxes").and_then(Value::as_array);
    let mut reached: Vec<String> = puts
        .into_iter()
        .flatten()
        .filter(|put| put.pointer("/notice").is_none_or(Value::is_null))
        .filter_map(|put| text_at(put, "/agent"))
        .collect();
    if agent.is_none() {
        return (ReadTowards::Everyone, None);
    }
    // A name stands for one agent; who else reads along comes after it.
    reached.truncate(1);
    let towards = if reached.is_empty() { ReadTowards::Everyone } else { ReadTowards::Agents(reached) };
    (towards, None)
}

/// Agents in the order in which they first appear.
fn agents_of(rows: &[Read]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut agents = Vec::new();
    for row in rows {
        let reached = match &row.to {
            ReadTowards::Agents(reached) => reached.as_slice(),
            ReadTowards::Everyone | ReadTowards::Refused => &[],
        };
        for agent in row.from.iter().chain(reached) {
            if seen.insert(agent.clone()) {
                agents.push(agent.clone());
            }
        }
    }
    agents
}

/// The end of an id, where ids differ.
fn short(agent: &str) -> String {
    let characters: Vec<char> = agent.chars().collect();
    let tail: String = characters.iter().skip(characters.len().saturating_sub(8)).collect();
    format!("…{tail}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Diagram;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    const BUYER: &str = "did:key:zBuyer";
    const SELLER: &str = "did:key:zSeller";

    fn message(from: &str, to: &str, performative: &str, summary: &str) -> Value {
        json!({
            "kind": "message", "sender": from, "at": "2026-01-31T12:00:00.250Z",
            "outcome": {"step": {"summary": summary, "ended": null}, "inboxes": []},
            "message": {"attributes": {"to": format!("mesh://bxyz/{to}"), "performative": performative}},
        })
    }

    /// A call for proposals, an offer, a refusal, a timer.
    pub(crate) fn example() -> Diagram {
        let records = [
            message(BUYER, "topic/market/rfp", "cfp", "round start→open"),
            message(SELLER, "agent/buyer", "propose", "bid[did:key:zSeller] invited→offered"),
            json!({"kind": "refused", "sender": SELLER, "at": "2026-01-31T12:00:01Z",
                   "outcome": {"code": "protocol.illegal_step"}, "refused": {"performative": "propose"}}),
            json!({"kind": "fired", "sender": null, "at": "2026-01-31T12:10:00Z",
                   "outcome": {"step": {"summary": "round open→closed", "ended": "timeout"}}}),
        ];
        let names = [(BUYER, "buyer"), (SELLER, "seller")];
        let names: BTreeMap<_, _> =
            names.map(|(agent, name)| (agent.to_owned(), name.to_owned())).into_iter().collect();
        Diagram::of(&records, &names)
    }
}
