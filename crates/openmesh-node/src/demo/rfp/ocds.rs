//! Requests from Open Contracting Data Standard 1.1 releases: the fields of `market/rfp` are a tender's.

use super::Rfp;
use crate::demo::price::Price;
use anyhow::{Context, Result};
use openmesh_message::{Timestamp, json as strict_json};
use serde_json::{Map, Value, json};
use std::path::Path;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const CATEGORIES: [&str; 3] = ["goods", "works", "services"];
const TITLE_CHARS_MAX: usize = 1_024;
const ITEMS_MAX: usize = 1_000;

/// What one release of a file gave.
#[derive(Debug)]
pub(crate) enum Found {
    /// A request.
    Rfp(Rfp),
    /// Nothing that could be tendered, and why.
    Skipped(String),
}

/// Reads a release package or a single release; an error if the file is neither.
pub(crate) fn read_file(path: &Path) -> Result<Vec<Found>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let document =
        strict_json::parse_strict(&bytes).with_context(|| format!("{} is not JSON", path.display()))?;
    let releases = match document.get("releases") {
        Some(Value::Array(releases)) => releases.iter().collect(),
        _ if document.get("ocid").is_some() => vec![&document],
        _ => {
            let why = "neither an OCDS release nor a release package: it has no `releases` and no `ocid`";
            return Ok(vec![Found::Skipped(why.to_owned())]);
        }
    };
    if releases.is_empty() {
        return Ok(vec![Found::Skipped("the package has no releases".to_owned())]);
    }
    Ok(releases
        .into_iter()
        .map(|release| request_of(release).map_or_else(Found::Skipped, Found::Rfp))
        .collect())
}

fn request_of(release: &Value) -> Result<Rfp, String> {
    let id = match (text(release, "/ocid"), text(release, "/id")) {
        (Some(ocid), Some(id)) => format!("{ocid}/{id}"),
        _ => return Err("the release has no ocid or no id".to_owned()),
    };
    let tender = release.get("tender").filter(|tender| tender.is_object());
    let tender = tender.ok_or("the release has no tender")?;
    let (value, items, end) = (value_of(tender), items_of(tender), end_of(tender));
    let lacking: Vec<_> = [
        value.is_none().then_some("a value"),
        items.is_empty().then_some("items"),
        end.is_none().then_some("an end of its tender period"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let (Some((budget, currency)), Some(end), true) = (value, end, lacking.is_empty()) else {
        return Err(format!("the tender lacks {}", lacking.join(", ")));
    };
    let title = text(tender, "/title").or_else(|| text(tender, "/id")).unwrap_or_else(|| id.clone());
    let title: String = title.chars().take(TITLE_CHARS_MAX).collect();
    let mut fields = Map::new();
    fields.insert("id".to_owned(), json!(id));
    fields.insert("title".to_owned(), json!(title));
    fields.insert("items".to_owned(), Value::Array(items));
    fields.insert("value".to_owned(), budget.value(&currency));
    if let Some(description) = text(tender, "/description") {
        fields.insert("description".to_owned(), json!(description));
    }
    if let Some(category) =
        text(tender, "/mainProcurementCategory").filter(|it| CATEGORIES.contains(&it.as_str()))
    {
        fields.insert("mainProcurementCategory".to_owned(), json!(category));
    }
    let rfp = Rfp { id, title, budget, currency, fields, end_published: Some(end.to_string()) };
    rfp.check().map_err(|why| format!("the tender makes no valid request: {why}"))?;
    Ok(rfp)
}

fn value_of(tender: &Value) -> Option<(Price, String)> {
    let budget = Price::from_amount(tender.pointer("/value/amount")?.as_f64()?)?;
    Some((budget, text(tender, "/value/currency")?))
}

fn items_of(tender: &Value) -> Vec<Value> {
    let items = tender.get("items").and_then(Value::as_array);
    items.into_iter().flatten().take(ITEMS_MAX).filter_map(item_of).collect()
}

fn item_of(item: &Value) -> Option<Value> {
    let mut kept = Map::new();
    kept.insert("id".to_owned(), json!(text(item, "/id")?));
    if let Some(description) = text(item, "/description") {
        kept.insert("description".to_owned(), json!(description));
    }
    if let Some(quantity) = item.get("quantity").filter(|quantity| quantity.is_number()) {
        kept.insert("quantity".to_owned(), quantity.clone());
    }
    for (part, names) in [("unit", &["id", "name"][..]), ("classification", &["scheme", "id", "description"])]
    {
        let texts = names.iter().filter_map(|name| {
            let found = text(item, &format!("/{part}/{name}"))?;
            Some(((*name).to_owned(), json!(found)))
        });
        let mut texts: Map<String, Value> = texts.collect();
        if let Some((price, currency)) = item.get(part).and_then(value_of) {
            texts.insert("value".to_owned(), price.value(&currency));
        }
        if !texts.is_empty() {
            kept.insert(part.to_owned(), Value::Object(texts));
        }
    }
    Some(Value::Object(kept))
}

/// The end date, else the start date and the duration.
fn end_of(tender: &Value) -> Option<Timestamp> {
    let time = |pointer| text(tender, pointer).and_then(|date| Timestamp::parse(&date).ok());
    time("/tenderPeriod/endDate").or_else(|| {
        let days = tender.pointer("/tenderPeriod/durationInDays")?.as_i64()?;
        Some(time("/tenderPeriod/startDate")?.plus_ms(days.checked_mul(DAY_MS)?))
    })
}

/// A text that is not empty; OCDS ids may be whole numbers too.
fn text(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) if number.is_i64() => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{end_of, request_of};
    use serde_json::{Value, json};

    fn release(tender: Value) -> Value {
        json!({"ocid": "ocds-x", "id": 7, "tender": tender})
    }

    fn tender() -> Value {
        json!({
            "title": "Lanes", "value": {"amount": 1000, "currency": "GBP"},
            "items": [{"id": 1, "quantity": 2, "unit": {"name": "Miles", "scheme": "x"}, "other": true}],
            "tenderPeriod": {"startDate": "2010-02-01T00:00:00Z", "durationInDays": 31},
        })
    }

    #[test]
    fn a_tender_becomes_a_request() {
        let rfp = request_of(&release(tender())).unwrap();
        assert_eq!(
            (rfp.id.as_str(), rfp.title.as_str(), rfp.currency.as_str()),
            ("ocds-x/7", "Lanes", "GBP")
        );
        assert_eq!(rfp.end_published.as_deref(), Some("2010-03-04T00:00:00.000Z"));
        assert_eq!(rfp.fields["items"], json!([{"id": "1", "quantity": 2, "unit": {"name": "Miles"}}]));
    }

    #[test]
    fn what_is_lacking_is_named() {
        for (key, words) in [("value", "a value"), ("items", "items"), ("tenderPeriod", "an end")] {
            let mut tender = tender();
            tender.as_object_mut().unwrap().remove(key);
            let why = request_of(&release(tender)).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        assert!(request_of(&json!({"ocid": "x", "id": "y"})).unwrap_err().contains("no tender"));
        let mut odd = tender();
        odd["value"]["currency"] = json!("pounds");
        assert!(request_of(&release(odd)).unwrap_err().contains("/value/currency"));
    }

    #[test]
    fn an_end_date_wins_over_a_duration() {
        let mut tender = tender();
        tender["tenderPeriod"]["endDate"] = json!("2010-04-01T18:00:00+01:00");
        assert_eq!(end_of(&tender).unwrap().to_string(), "2010-04-01T17:00:00.000Z");
    }
}
