//! `openmesh inbox ls`: what is in the inbox, read from the log's own account of it; takes nothing.

use crate::cli::context::{Context, Names};
use crate::cli::output::{cut, text};
use anyhow::Result;
use openmesh_sdk::LogFilter;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Characters of a payload that a row shows.
const PAYLOAD_CHARS_MAX: usize = 80;

/// Prints the messages that have not ended, oldest first.
pub(super) async fn list(context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let own = mesh.id().to_string();
    let filter = LogFilter { agent: Some(mesh.id()), ..LogFilter::default() };
    let mut pages = mesh.query_log(filter);
    let mut account = Account { own, entries: BTreeMap::new() };
    while let Some(page) = pages.next_page().await? {
        page.iter().for_each(|record| account.apply(record));
    }
    let names = Names::ask(&mesh).await;
    mesh.close().await;
    let rows: Vec<Value> = account.entries.into_values().collect();
    context.format().listing(&["number", "state", "attempts", "at", "from", "act", "payload"], &rows, |row| {
        let from = names.show(&text(row, "/from"));
        let payload = cut(&names.replace_in(&text(row, "/payload")), PAYLOAD_CHARS_MAX);
        let (act, at) = (text(row, "/performative"), text(row, "/at"));
        vec![text(row, "/number"), text(row, "/state"), text(row, "/attempts"), at, from, act, payload]
    })
}

/// The entries of one inbox, as its records tell.
struct Account {
    own: String,
    entries: BTreeMap<u64, Value>,
}

impl Account {
    fn apply(&mut self, record: &Value) {
        match text(record, "/kind").as_str() {
            "message" | "fired" => self.put(record),
            "leased" if text(record, "/outcome/agent") == self.own => self.lease(record),
            "settled" if text(record, "/outcome/agent") == self.own => self.settle(record),
            _ => {}
        }
    }

    fn put(&mut self, record: &Value) {
        let puts = record.pointer("/outcome/inboxes").and_then(Value::as_array);
        for put in puts.into_iter().flatten().filter(|put| text(put, "/agent") == self.own) {
            let Some(number) = put.get("number").and_then(Value::as_u64) else { continue };
            let is_notice = put.get("notice").is_some_and(Value::is_number);
            let (from, act, payload) = if is_notice {
                ("the node".to_owned(), "inform".to_owned(), text(record, "/outcome/step/summary"))
            } else {
                let act = text(record, "/message/attributes/performative");
                (text(record, "/sender"), act, text(record, "/message/payload"))
            };
            let entry = json!({
                "number": number, "state": "ready", "attempts": 0, "at": text(record, "/at"), "from": from,
                "performative": act, "payload": payload, "seq": record.get("seq"),
                "id": text(record, "/message/attributes/id"),
                "conversation": record.pointer("/outcome/step/conversation"),
            });
            self.entries.insert(number, entry);
        }
    }

    fn lease(&mut self, record: &Value) {
        for number in numbers(record, "/outcome/numbers") {
            if let Some(entry) = self.entries.get_mut(&number) {
                let attempts = entry.get("attempts").and_then(Value::as_u64).unwrap_or(0);
                let state = format!("leased until {}", text(record, "/outcome/until"));
                set(entry, "attempts", json!(attempts + 1));
                set(entry, "state", json!(state));
            }
        }
    }

    fn settle(&mut self, record: &Value) {
        for ended in ["/outcome/acknowledged", "/outcome/expired", "/outcome/dead_lettered"] {
            for number in numbers(record, ended) {
                self.entries.remove(&number);
            }
        }
        let returned = record.pointer("/outcome/returned").and_then(Value::as_array);
        for returned in returned.into_iter().flatten() {
            let number = returned.get(0).and_then(Value::as_u64).unwrap_or_default();
            if let Some(entry) = self.entries.get_mut(&number) {
                let (until, at) = (text(returned, "/1"), text(record, "/at"));
                let state = if until > at { format!("delayed until {until}") } else { "ready".to_owned() };
                set(entry, "state", json!(state));
            }
        }
    }
}

fn set(entry: &mut Value, key: &str, value: Value) {
    if let Value::Object(entry) = entry {
        entry.insert(key.to_owned(), value);
    }
}

fn numbers(record: &Value, pointer: &str) -> Vec<u64> {
    let numbers = record.pointer(pointer).and_then(Value::as_array);
    numbers.into_iter().flatten().filter_map(Value::as_u64).collect()
}

#[cfg(test)]
mod tests {
    use super::Account;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn the_account_follows_puts_leases_and_settlements() {
        let mut account = Account { own: "did:a".to_owned(), entries: BTreeMap::new() };
        let put = |number: u64, agent: &str| json!({"kind": "message", "outcome": {"inboxes": [{"agent": agent, "number": number, "notice": null}]}});
        for record in [put(1, "did:a"), put(2, "did:a"), put(1, "did:b"), put(3, "did:a")] {
            account.apply(&record);
        }
        account.apply(
            &json!({"kind": "leased", "outcome": {"agent": "did:a", "until": "later", "numbers": [1, 2]}}),
        );
        account.apply(&json!({"kind": "settled", "at": "1", "outcome": {
            "agent": "did:a", "acknowledged": [1], "expired": [], "dead_lettered": [], "returned": [[2, "2"]]}}));
        assert_eq!(account.entries.keys().copied().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(account.entries[&2]["state"], "delayed until 2");
        assert_eq!(account.entries[&2]["attempts"], 1);
        assert_eq!(account.entries[&3]["state"], "ready");
    }
}
