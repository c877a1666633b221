//! Requests for proposals: made from the seed, or read from public procurement releases.

mod ocds;

pub(crate) use ocds::{Found, read_file};

use super::dice::Dice;
use super::price::Price;
use openmesh_message::Timestamp;
use openmesh_message::json::Document;
use openmesh_schema::Catalog;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const SCHEMA: &str = "openmesh/market/rfp@v1.0.0";
const CURRENCIES: [&str; 3] = ["EUR", "GBP", "USD"];
/// Title, category, unit, unit price from and to, quantity from and to.
type Ware = (&'static str, &'static str, &'static str, [f64; 2], [f64; 2]);

const WARES: [Ware; 12] = [
    ("Cycle lane resurfacing", "works", "km", [90_000.0, 140_000.0], [2.0, 9.0]),
    ("School furniture", "goods", "set", [180.0, 320.0], [40.0, 400.0]),
    ("Translation of public notices", "services", "page", [18.0, 40.0], [200.0, 3_000.0]),
    ("Street lighting, LED", "goods", "lamp", [240.0, 420.0], [50.0, 600.0]),
    ("Winter road salt", "goods", "tonne", [55.0, 95.0], [100.0, 2_500.0]),
    ("Bridge inspection", "services", "bridge", [2_500.0, 6_000.0], [3.0, 40.0]),
    ("Server hosting", "services", "month", [1_200.0, 4_000.0], [12.0, 36.0]),
    ("Playground equipment", "goods", "playground", [9_000.0, 22_000.0], [1.0, 12.0]),
    ("Flood barrier repair", "works", "m", [350.0, 900.0], [50.0, 800.0]),
    ("Hospital linen laundry", "services", "tonne", [700.0, 1_100.0], [20.0, 300.0]),
    ("Electric buses", "goods", "bus", [380_000.0, 520_000.0], [2.0, 12.0]),
    ("Tree planting", "works", "tree", [120.0, 260.0], [60.0, 1_500.0]),
];

/// A request before its tender period is set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rfp {
    /// Its id.
    pub(crate) id: String,
    /// Its title.
    pub(crate) title: String,
    /// The most that the buyer may pay.
    pub(crate) budget: Price,
    /// The currency of the budget.
    pub(crate) currency: String,
    /// The payload but for `tenderPeriod`.
    pub(crate) fields: Map<String, Value>,
    /// The end of the tender period in the release it was read from.
    pub(crate) end_published: Option<String>,
}

impl Rfp {
    /// Makes request number `number` (from 1) of a run.
    pub(crate) fn make(seed: u64, number: usize) -> Option<Self> {
        let id = format!("demo-{seed}-{number}");
        let mut dice = Dice::new(seed, &["request", &id]);
        let (title, category, unit, [price_low, price_high], [few, many]) = dice.pick(&WARES)?;
        let currency = *dice.pick(&CURRENCIES)?;
        let quantity = dice.between(*few, *many).round();
        let unit_price = Price::from_amount(dice.between(*price_low, *price_high))?;
        let budget = unit_price.times(quantity);
        let Value::Object(fields) = json!({
            "id": id, "title": title, "mainProcurementCategory": category,
            "value": budget.value(currency),
            "items": [{
                "id": "1", "description": title, "quantity": quantity,
                "unit": {"name": unit, "value": unit_price.value(currency)},
            }],
        }) else {
            return None;
        };
        let (title, currency) = ((*title).to_owned(), currency.to_owned());
        Some(Self { id, title, budget, currency, fields, end_published: None })
    }

    /// The payload with a tender period from `start` to `end`.
    pub(crate) fn payload(&self, start: Timestamp, end: Timestamp) -> Value {
        let mut fields = self.fields.clone();
        let period = json!({"startDate": start.to_string(), "endDate": end.to_string()});
        fields.insert("tenderPeriod".to_owned(), period);
        Value::Object(fields)
    }

    /// Why nodes would refuse it, if they would.
    pub(crate) fn check(&self) -> Result<(), String> {
        let catalog = Catalog::builtin();
        let name = SCHEMA.parse().map_err(|error| format!("{error}"))?;
        let schema = catalog.schema_named(&name).ok_or("the schema of requests is not built in")?;
        let any_time = Timestamp::from_millis(0);
        let valid = schema.validate(&Document::of(&self.payload(any_time, any_time)));
        valid.map_err(|violations| {
            let first = violations.first().map(|found| format!("{}: {}", found.pointer, found.message));
            first.unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Rfp;
    use std::collections::BTreeSet;

    #[test]
    fn requests_are_valid_and_depend_on_the_seed() {
        let mut titles = BTreeSet::new();
        for seed in 0..20 {
            for number in 1..=10 {
                let rfp = Rfp::make(seed, number).unwrap();
                rfp.check().unwrap();
                titles.insert(rfp.title);
            }
        }
        assert_eq!(titles.len(), super::WARES.len());
    }
}
