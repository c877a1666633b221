//! Records as rows: a few words for people, columns for spreadsheets.

use crate::cli::context::Names;
use crate::cli::output::{cut, text};
use serde_json::Value;

/// Characters of what a row says.
const WHAT_CHARS_MAX: usize = 100;

/// The columns of the table.
pub(crate) const HEADS: [&str; 5] = ["seq", "at", "kind", "sender", "what"];

/// The columns of CSV, and where in a record each stands.
const COLUMNS: [(&str, &[&str]); 14] = [
    ("seq", &["/seq"]),
    ("epoch", &["/epoch"]),
    ("at", &["/at"]),
    ("kind", &["/kind"]),
    ("sender", &["/sender"]),
    ("id", &["/message/attributes/id", "/refused/id"]),
    ("type", &["/message/attributes/type"]),
    ("performative", &["/message/attributes/performative", "/refused/performative"]),
    ("to", &["/message/attributes/to"]),
    (
        "conversation",
        &["/message/attributes/conversationid", "/refused/conversation", "/outcome/step/conversation"],
    ),
    ("step", &["/outcome/step/summary"]),
    ("code", &["/outcome/code"]),
    ("detail", &["/refused/detail"]),
    ("payload", &["/message/payload"]),
];

/// The first line of CSV.
pub(crate) fn csv_head() -> String {
    csv_line(COLUMNS.iter().map(|(name, _)| (*name).to_owned()))
}

/// A record as a line of CSV (RFC 4180).
pub(crate) fn csv_row(record: &Value) -> String {
    let cell = |places: &&[&str]| {
        places.iter().map(|place| text(record, place)).find(|text| !text.is_empty()).unwrap_or_default()
    };
    csv_line(COLUMNS.iter().map(|(_, places)| cell(places)))
}

fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| {
        // A spreadsheet would take such a cell for a formula.
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let cell = if is_formula { format!("'{cell}") } else { cell };
        let plain = !cell.contains(['"', ',', '\n', '\r']);
        if plain { cell } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
    });
    quoted.collect::<Vec<_>>().join(",")
}

/// A record as a row of the table.
pub(crate) fn row(record: &Value, names: &Names) -> Vec<String> {
    let sender = text(record, "/sender");
    let sender = if sender.is_empty() { String::new() } else { names.show(&sender) };
    let what = cut(&names.replace_in(&describe(record)), WHAT_CHARS_MAX);
    vec![text(record, "/seq"), text(record, "/at"), text(record, "/kind"), sender, what]
}

/// A record as a line of a stream.
pub(crate) fn line(record: &Value, names: &Names) -> String {
    let [seq, at, kind, sender, what] = row(record, names).try_into().unwrap_or_default();
    format!("{seq:>8}  {at}  {kind:<10} {sender:<12} {what}")
}

/// A record in a few words.
fn describe(record: &Value) -> String {
    let outcome = |key: &str| text(record, &format!("/outcome/{key}"));
    match text(record, "/kind").as_str() {
        "message" if record.get("erased").is_some() => "erased".to_owned(),
        "message" if record.get("message").is_none() => format!("notice: {}", outcome("step/summary")),
        "message" => {
            let attribute = |name: &str| text(record, &format!("/message/attributes/{name}"));
            let to = attribute("to");
            let to = to.splitn(4, '/').nth(3).unwrap_or_default();
            let step = outcome("step/summary");
            let rest = if step.is_empty() { text(record, "/message/payload") } else { format!("({step})") };
            format!("{} → {to} {rest}", attribute("performative"))
        }
        "refused" => format!("{}: {}", outcome("code"), text(record, "/refused/detail")),
        "fired" => format!("timer: {}", outcome("step/summary")),
        "leased" => format!("token {} until {}: {}", outcome("token"), outcome("until"), outcome("numbers")),
        "extended" => format!("token {} until {}", outcome("token"), outcome("until")),
        "settled" => {
            let kinds = ["acknowledged", "returned", "expired", "dead_lettered"];
            let parts = kinds.iter().filter(|kind| outcome(kind) != "[]");
            parts.map(|kind| format!("{kind} {}", outcome(kind))).collect::<Vec<_>>().join(", ")
        }
        "registered" | "schema" | "protocol" => outcome("name"),
        "topics" => format!("{} pinned: {}", outcome("pattern"), outcome("pinned")),
        "policy" => outcome("version"),
        "token" => {
            let signs = if outcome("token/custodial") == "true" { ", the node signs" } else { "" };
            format!("{} until {}{signs}", outcome("token/label"), outcome("token/expires"))
        }
        "token_revoked" => outcome("token/digest"),
        "erased" => format!("{}: {}", outcome("positions"), outcome("reason")),
        "erasure_done" => outcome("seqs"),
        "checkpoint" => format!("through {}", outcome("through")),
        "epoch" => format!("epoch {} begins", text(record, "/epoch")),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{csv_head, csv_row};
    use serde_json::json;

    #[test]
    fn csv_has_a_cell_for_each_column_and_quotes_what_must_be() {
        let record = json!({
            "seq": 3, "epoch": 1, "at": "=t", "kind": "message", "sender": "did:key:z",
            "outcome": {"step": null}, "message": {"attributes": {"id": "a,b", "to": "x"}, "payload": {"say": "\"hi\""}},
        });
        assert_eq!(csv_head().split(',').count(), 14);
        assert_eq!(csv_row(&record), r#"3,1,'=t,message,did:key:z,"a,b",,,x,,,,,"{""say"":""\""hi\""""}""#);
    }
}
