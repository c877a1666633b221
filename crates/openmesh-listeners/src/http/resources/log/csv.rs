//! Records as comma-separated values (RFC 4180), for spreadsheets.

use serde_json::Value;

/// Columns, each with the pointer to its value in a record.
const COLUMNS: [(&str, &str); 11] = [
    ("seq", "/seq"),
    ("at", "/at"),
    ("kind", "/kind"),
    ("sender", "/sender"),
    ("to", "/message/attributes/to"),
    ("performative", "/message/attributes/performative"),
    ("type", "/message/attributes/type"),
    ("id", "/message/attributes/id"),
    ("conversation", "/message/attributes/conversationid"),
    ("digest", "/message/digest"),
    ("payload", "/message/payload"),
];

/// A heading and a row for each record.
pub(super) fn to_csv(records: &[Value]) -> String {
    let heading: Vec<_> = COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let row = |record: &Value| COLUMNS.map(|(_, pointer)| cell(record.pointer(pointer))).to_vec();
    let rows = std::iter::once(heading).chain(records.iter().map(row));
    rows.map(|cells| cells.join(",") + "\r\n").collect()
}

fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    // A spreadsheet would take such a cell for a formula.
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::to_csv;
    use serde_json::json;

    #[test]
    fn cells_are_quoted_and_formulas_are_not() {
        let record = json!({"seq": 1, "kind": "=1+1", "message": {"payload": {"a": "x"}}});
        let csv = to_csv(&[record]);
        let row = csv.lines().nth(1).unwrap();
        assert_eq!(row, r#"1,,'=1+1,,,,,,,,"{""a"":""x""}""#);
    }
}
