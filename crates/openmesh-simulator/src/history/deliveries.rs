//! G2 at the reader: who keeps consuming is handed every kept message of its topics, in order.

use super::event::Place;
use super::logs::Logs;
use super::names::Names;
use crate::violation::Violation;
use std::collections::BTreeMap;

const IN_ORDER: &str = "G2 a consumer is handed its topics in order and without a gap";
const ALL: &str = "G2 a consumer that keeps consuming is handed everything";
const AS_KEPT: &str = "G2 what is handed over is what is kept there";

/// One consumer's way through one logical log.
#[derive(Debug, Default)]
struct Way {
    /// The last number handed over since it last began; 0 for none.
    last: u64,
    /// Everything up to this number was handed over at least once.
    through: u64,
}

#[derive(Debug, Default)]
struct Consumer {
    means_all: bool,
    ways: BTreeMap<u32, Way>,
}

/// Every consumer.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    consumers: BTreeMap<String, Consumer>,
    names: Names,
    logs: BTreeMap<u32, String>,
    /// Handed over and not yet read in the log: who, which message.
    unread: BTreeMap<Place, (String, String)>,
    finished: Vec<String>,
    pub(super) delivered: u64,
}

/// One message handed over.
pub(super) struct Delivery<'a> {
    pub(super) consumer: &'a str,
    pub(super) message: (&'a str, &'a str),
    pub(super) position: Place,
    pub(super) logs: &'a [(String, u64)],
}

impl Deliveries {
    pub(super) fn begin(&mut self, consumer: &str) {
        let consumer = self.consumers.entry(consumer.to_owned()).or_default();
        consumer.means_all = true;
        for way in consumer.ways.values_mut() {
            way.last = 0;
        }
    }

    /// `kept` is where the message was read in the log, if it was.
    pub(super) fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        kept: Option<Place>,
        found: &mut Vec<Violation>,
    ) {
        self.delivered += 1;
        let ((sender, id), position) = (delivery.message, delivery.position);
        match kept {
            Some(kept) if kept != position => {
                found.push(Violation::new(
                    AS_KEPT,
                    format!("{id} is kept at {kept}, handed over as {position}"),
                ));
            }
            Some(_) => {}
            None => {
                self.unread.insert(position, (sender.to_owned(), id.to_owned()));
            }
        }
        let consumer = self.consumers.entry(delivery.consumer.to_owned()).or_default();
        if !consumer.means_all {
            return;
        }
        for (log, number) in delivery.logs.iter().filter(|(log, _)| log.starts_with("topic/")) {
            let name = self.names.number(log);
            self.logs.entry(name).or_insert_with(|| log.clone());
            let way = consumer.ways.entry(name).or_default();
            let first_again = way.last == 0 && (*number <= way.through + 1 || way.through == 0);
            if !first_again && *number != way.last + 1 {
                let what = format!(
                    "{} was handed {number} of {log} after {}",
                    delivery.consumer,
                    way.last.max(way.through)
                );
                found.push(Violation::new(IN_ORDER, what));
            }
            way.last = *number;
            way.through = way.through.max(*number);
        }
    }

    pub(super) fn finish(&mut self, consumer: &str) {
        self.finished.push(consumer.to_owned());
    }

    /// Reads a message in the log.
    pub(super) fn kept(&mut self, position: Place, sender: &str, id: &str, found: &mut Vec<Violation>) {
        if let Some(handed) = self.unread.remove(&position)
            && (handed.0 != sender || handed.1 != id)
        {
            found.push(Violation::new(AS_KEPT, format!("{position} is {id}, handed over was {}", handed.1)));
        }
    }

    /// The whole log was read.
    pub(super) fn head(&mut self, logs: &mut Logs, found: &mut Vec<Violation>) {
        for (position, (_, id)) in std::mem::take(&mut self.unread) {
            found.push(Violation::new(
                AS_KEPT,
                format!("{id} was handed over as {position} and is not there"),
            ));
        }
        for name in std::mem::take(&mut self.finished) {
            let Some(consumer) = self.consumers.get(&name) else {
                found.push(Violation::new(ALL, format!("{name} was handed nothing")));
                continue;
            };
            for (log, way) in &consumer.ways {
                let log = self.logs.get(log).map_or("", String::as_str);
                let last = logs.last_number(log);
                if way.through < last {
                    let what = format!("{name} has come to {} of {last} in {log}", way.through);
                    found.push(Violation::new(ALL, what));
                }
            }
        }
    }
}
