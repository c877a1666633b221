//! A conversation as a sequence diagram in text: one column an agent, one row a record, oldest first.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The narrowest column, so that most performatives fit on an arrow.
const COLUMN_CHARS_MIN: usize = 20;
/// The widest column; longer names are cut.
const COLUMN_CHARS_MAX: usize = 26;
/// Characters of a name that are shown.
const NAME_CHARS_MAX: usize = COLUMN_CHARS_MAX - 2;

/// Draws the records of one conversation, each as `openmesh log query -o json` prints it; `names` by agent id.
pub(crate) fn sequence_diagram(records: &[Value], names: &BTreeMap<String, String>) -> String {
    let rows: Vec<Row> = records.iter().filter_map(Row::read).collect();
    let agents = agents_of(&rows);
    let columns = Columns::new(&agents, names);
    let mut lines = vec![columns.heads(), columns.lifelines()];
    for row in &rows {
        lines.push(columns.draw(row));
    }
    lines.push(columns.lifelines());
    let mut text = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n");
    text.push('\n');
    // Steps name agents by id; the columns have their names.
    names.iter().fold(text, |text, (agent, name)| text.replace(agent, name))
}

/// What one record shows.
struct Row {
    from: Option<String>,
    to: Towards,
    act: String,
    note: String,
}

/// Where an arrow points.
enum Towards {
    Agents(Vec<String>),
    /// Everyone who takes part.
    Everyone,
    /// Nobody: the node refused it.
    Refused,
}

impl Row {
    fn read(record: &Value) -> Option<Self> {
        let from = text_at(record, "/sender");
        let summary = text_at(record, "/outcome/step/summary").unwrap_or_default();
        let ended = text_at(record, "/outcome/step/ended").map(|outcome| format!(" ({outcome})"));
        let step = format!("{summary}{}", ended.unwrap_or_default());
        match record.pointer("/kind")?.as_str()? {
            "message" => {
                let act = text_at(record, "/message/attributes/performative")?;
                let (to, topic) = target(record);
                let parts = [topic.unwrap_or_default(), value_of(record).unwrap_or_default(), step];
                let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                let note = parts.join("  ");
                Some(Self { from, to, act, note })
            }
            "refused" => {
                let act = text_at(record, "/refused/performative").unwrap_or_else(|| "message".to_owned());
                let note = format!("refused: {}", text_at(record, "/outcome/code")?);
                Some(Self { from, to: Towards::Refused, act, note })
            }
            "fired" => Some(Self { from: None, to: Towards::Everyone, act: "timer".to_owned(), note: step }),
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
fn target(record: &Value) -> (Towards, Option<String>) {
    let to = text_at(record, "/message/attributes/to").unwrap_or_default();
    let path = to.splitn(4, '/').nth(3).unwrap_or_default();
    if let Some(topic) = path.strip_prefix("topic/") {
        return (Towards::Everyone, Some(format!("topic:{topic}")));
    }
    let agent = path.strip_prefix("agent/").or_else(|| path.strip_prefix("inbox/"));
    if let Some(agent) = agent.filter(|agent| agent.starts_with("did:")) {
        return (Towards::Agents(vec![agent.to_owned()]), None);
    }
    let puts = record.pointer("/outcome/inboxes").and_then(Value::as_array);
    let mut reached: Vec<String> = puts
        .into_iter()
        .flatten()
        .filter(|put| put.pointer("/notice").is_none_or(Value::is_null))
        .filter_map(|put| text_at(put, "/agent"))
        .collect();
    if agent.is_some() {
        // A name stands for one agent; who else reads along comes after it.
        reached.truncate(1);
    }
    let towards = if reached.is_empty() { Towards::Everyone } else { Towards::Agents(reached) };
    (towards, None)
}

/// Agents in the order in which they first appear.
fn agents_of(rows: &[Row]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut agents = Vec::new();
    for row in rows {
        let reached = match &row.to {
            Towards::Agents(reached) => reached.as_slice(),
            Towards::Everyone | Towards::Refused => &[],
        };
        for agent in row.from.iter().chain(reached) {
            if seen.insert(agent.clone()) {
                agents.push(agent.clone());
            }
        }
    }
    agents
}

struct Columns {
    titles: Vec<String>,
    places: BTreeMap<String, usize>,
    width: usize,
}

impl Columns {
    fn new(agents: &[String], names: &BTreeMap<String, String>) -> Self {
        let title = |agent: &String| {
            let name = names.get(agent).cloned().unwrap_or_else(|| short(agent));
            name.chars().take(NAME_CHARS_MAX).collect::<String>()
        };
        let titles: Vec<String> = agents.iter().map(title).collect();
        let widest = titles.iter().map(|title| title.chars().count() + 2).max().unwrap_or(0);
        let places = agents.iter().cloned().zip(0..).collect();
        Self { titles, places, width: widest.clamp(COLUMN_CHARS_MIN, COLUMN_CHARS_MAX) }
    }

    fn heads(&self) -> String {
        let mut line = vec![' '; self.width * self.titles.len()];
        for (place, title) in self.titles.iter().enumerate() {
            let start = self.lifeline(place).saturating_sub(title.chars().count() / 2);
            put(&mut line, start, title);
        }
        line.into_iter().collect()
    }

    fn lifelines(&self) -> String {
        self.blank().into_iter().collect()
    }

    fn draw(&self, row: &Row) -> String {
        let mut line = self.blank();
        let from = row.from.as_ref().and_then(|agent| self.places.get(agent)).copied();
        match (from, &row.to) {
            (Some(from), Towards::Refused) => self.draw_refusal(&mut line, from, &row.act),
            (Some(from), to) => self.draw_arrows(&mut line, from, &self.reached(from, to), &row.act),
            (None, _) => self.draw_event(&mut line, &row.act),
        }
        let line: String = line.into_iter().collect();
        format!("{line}  {}", row.note)
    }

    fn reached(&self, from: usize, to: &Towards) -> BTreeSet<usize> {
        match to {
            Towards::Agents(agents) => {
                agents.iter().filter_map(|agent| self.places.get(agent)).copied().collect()
            }
            Towards::Everyone => (0..self.titles.len()).filter(|place| *place != from).collect(),
            Towards::Refused => BTreeSet::new(),
        }
    }

    /// One line from the sender through all it reached, with a head at each.
    fn draw_arrows(&self, line: &mut [char], from: usize, reached: &BTreeSet<usize>, act: &str) {
        let start = self.lifeline(from);
        let left = reached.first().map_or(start, |place| self.lifeline(*place)).min(start);
        let right = reached.last().map_or(start, |place| self.lifeline(*place)).max(start);
        for (at, drawn) in line.iter_mut().enumerate().take(right).skip(left + 1) {
            if at != start {
                *drawn = if *drawn == '│' { '┼' } else { '─' };
            }
        }
        for place in reached {
            let at = self.lifeline(*place);
            match at.cmp(&start) {
                std::cmp::Ordering::Greater => put(line, at - 1, "▶│"),
                std::cmp::Ordering::Less => put(line, at, "│◀"),
                std::cmp::Ordering::Equal => put(line, at, "◆"),
            }
        }
        let goes_right = right > start;
        self.label(line, start, goes_right, act);
    }

    /// A short line that ends before it reaches anybody.
    fn draw_refusal(&self, line: &mut [char], from: usize, act: &str) {
        let start = self.lifeline(from);
        let goes_right = from + 1 < self.titles.len() || from == 0;
        for step in 1..self.width.saturating_sub(2) {
            let at = if goes_right { start + step } else { start.saturating_sub(step) };
            put(line, at, "─");
        }
        let end = self.width.saturating_sub(2);
        put(line, if goes_right { start + end } else { start.saturating_sub(end) }, "✗");
        self.label(line, start, goes_right, act);
    }

    /// Something that nobody's act brought about.
    fn draw_event(&self, line: &mut [char], what: &str) {
        for drawn in line.iter_mut().filter(|drawn| **drawn == ' ') {
            *drawn = '·';
        }
        let text = format!(" {what} ");
        let start = self.lifeline(0) + 2;
        put(line, start, &text);
    }

    /// Writes an act on the part of the arrow next to its sender.
    fn label(&self, line: &mut [char], start: usize, goes_right: bool, act: &str) {
        let room = self.width.saturating_sub(5);
        let act: String = act.chars().take(room).collect();
        let length = act.chars().count();
        let offset = 2 + (room - length) / 2;
        let at = if goes_right { start + offset } else { start.saturating_sub(offset + length - 1) };
        put(line, at, &act);
    }

    fn blank(&self) -> Vec<char> {
        let mut line = vec![' '; self.width * self.titles.len()];
        for place in 0..self.titles.len() {
            put(&mut line, self.lifeline(place), "│");
        }
        line
    }

    const fn lifeline(&self, place: usize) -> usize {
        place * self.width + self.width / 2
    }
}

fn put(line: &mut [char], start: usize, text: &str) {
    for (slot, drawn) in line.iter_mut().skip(start).zip(text.chars()) {
        *slot = drawn;
    }
}

/// The end of an id, where ids differ.
fn short(agent: &str) -> String {
    let characters: Vec<char> = agent.chars().collect();
    let tail: String = characters.iter().skip(characters.len().saturating_sub(8)).collect();
    format!("…{tail}")
}

#[cfg(test)]
mod tests {
    use super::sequence_diagram;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    const BUYER: &str = "did:key:zBuyer";
    const SELLER: &str = "did:key:zSeller";

    fn message(from: &str, to: &str, performative: &str, summary: &str) -> Value {
        json!({
            "kind": "message", "sender": from,
            "outcome": {"step": {"summary": summary, "ended": null}, "inboxes": []},
            "message": {"attributes": {"to": format!("mesh://bxyz/{to}"), "performative": performative}},
        })
    }

    fn draw() -> Vec<String> {
        let records = [
            message(BUYER, "topic/market/rfp", "cfp", "round start→open"),
            message(SELLER, &format!("agent/{BUYER}"), "propose", "bid invited→offered"),
            json!({"kind": "refused", "sender": SELLER, "outcome": {"code": "protocol.illegal_step"},
                   "refused": {"performative": "propose"}}),
            json!({"kind": "fired", "sender": null, "outcome": {"step": {"summary": "round open→closed", "ended": "timeout"}}}),
        ];
        let names = [(BUYER, "buyer"), (SELLER, "seller")];
        let names: BTreeMap<_, _> =
            names.map(|(agent, name)| (agent.to_owned(), name.to_owned())).into_iter().collect();
        sequence_diagram(&records, &names).lines().map(str::to_owned).collect()
    }

    #[test]
    fn arrows_go_from_sender_to_recipient() {
        let lines = draw();
        assert!(lines[0].find("buyer") < lines[0].find("seller"), "{lines:?}");
        assert!(lines[2].contains("cfp") && lines[2].contains("▶│"), "{lines:?}");
        assert!(lines[2].ends_with("topic:market/rfp  round start→open"), "{lines:?}");
        assert!(lines[3].contains("│◀") && lines[3].contains("propose"), "{lines:?}");
    }

    #[test]
    fn refusals_and_timers_reach_nobody() {
        let lines = draw();
        assert!(lines[4].contains('✗') && !lines[4].contains('◀'), "{lines:?}");
        assert!(lines[4].ends_with("refused: protocol.illegal_step"), "{lines:?}");
        assert!(lines[5].contains("timer") && lines[5].ends_with("round open→closed (timeout)"), "{lines:?}");
    }

    #[test]
    fn every_lifeline_stays_in_its_column() {
        let lines = draw();
        let places: Vec<_> =
            lines[1].chars().enumerate().filter(|(_, drawn)| *drawn == '│').map(|(at, _)| at).collect();
        assert_eq!(places.len(), 2);
        for line in &lines[2..] {
            let drawn: Vec<char> = line.chars().collect();
            assert!(places.iter().all(|at| "│┼".contains(drawn[*at])), "{line}");
        }
    }
}
