//! An inbox by examples, and beside a naive one.

mod model;

use super::{Entry, EntryState, Inbox};
use crate::record::Settlement;
use crate::state::compact::Reader;
use openmesh_message::{KeyPair, Priority, Timestamp};

const DELIVERIES_MAX: u32 = 2;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn entry(priority: Priority, expiry: Option<Timestamp>) -> Entry {
    let sender = Some(KeyPair::from_seed(&[1; 32]).unwrap().id());
    let (state, attempts) = (EntryState::Ready, 0);
    Entry { seq: 1, notice: None, bytes: 0, priority, expiry, attempts, state, sender, is_act: false }
}

/// The same inbox after a snapshot.
fn restored(inbox: &Inbox) -> Inbox {
    let mut bytes = Vec::new();
    inbox.write(&mut bytes);
    let mut reader = Reader::new(&bytes);
    let read = Inbox::read(&mut reader).unwrap();
    assert_eq!(reader.left(), 0);
    read
}

#[test]
fn delayed_mail_becomes_ready_and_what_was_called_back_counts_as_such() {
    let mut inbox = Inbox::default();
    let delayed = Entry { state: EntryState::Delayed(at(50)), ..entry(Priority::Critical, None) };
    let sender = delayed.sender.unwrap();
    inbox.put(1, &delayed);
    inbox.put(2, &entry(Priority::Normal, Some(at(30))));
    assert_eq!((inbox.leasable(9, Priority::Bulk), inbox.pending_of(&sender)), (vec![2], 2));
    assert_eq!(inbox.seen(0, 9, at(20)), (vec![1, 2], false));
    assert_eq!(inbox.seen(0, 1, at(20)), (vec![1], true));
    assert_eq!(inbox.seen(1, 9, at(30)), (vec![], false));
    inbox.recall(2);
    assert_eq!((inbox.counts().recalled, inbox.pending_of(&sender)), (1, 1));
    let due = inbox.due(at(50), DELIVERIES_MAX);
    inbox.settle(&due, at(50));
    assert_eq!(inbox.leasable(9, Priority::Bulk), [1]);
    inbox.recall(1);
    assert!(inbox.counts().is_conserved());
    assert_eq!((inbox.counts().pending, inbox.next_deadline()), (0, None));
    assert!(inbox.held.is_none());
}

#[test]
fn urgent_mail_is_leased_first_and_a_lease_ends_by_time() {
    let mut inbox = Inbox::default();
    inbox.put(1, &entry(Priority::Bulk, None));
    inbox.put(2, &entry(Priority::Critical, None));
    assert_eq!(inbox.leasable(1, Priority::Bulk), [2]);
    assert_eq!(inbox.leasable(9, Priority::Urgent), [2]);
    inbox.lease(1, at(100), &[2]);
    assert_eq!(inbox.leasable(9, Priority::Bulk), [1]);
    assert_eq!(inbox.next_deadline(), Some(at(100)));
    let due = inbox.due(at(100), DELIVERIES_MAX);
    assert_eq!(due.returned, [(2, at(100))]);
    inbox.settle(&due, at(100));
    assert_eq!(inbox.leasable(9, Priority::Bulk), [2, 1]);
    assert!(inbox.leased_under(1, &[2]).is_none());
}

#[test]
fn every_message_ends_in_one_way_and_the_sum_holds() {
    let mut inbox = Inbox::default();
    inbox.put(1, &entry(Priority::Normal, Some(at(50))));
    inbox.put(2, &entry(Priority::Normal, None));
    inbox.put(3, &entry(Priority::Normal, None));
    inbox.lease(1, at(50), &[1, 2, 3]);
    let done = Settlement { acknowledged: vec![3], ..Settlement::default() };
    inbox.settle(&done, at(10));
    let due = inbox.due(at(50), DELIVERIES_MAX);
    assert_eq!((due.expired.clone(), due.returned.clone()), (vec![1], vec![(2, at(50))]));
    inbox.settle(&due, at(50));
    inbox.lease(2, at(90), &[2]);
    let back = inbox.give_back(&[2], at(80), DELIVERIES_MAX);
    assert_eq!(back.dead_lettered, [2]);
    inbox.settle(&back, at(60));
    let counts = inbox.counts();
    assert!(counts.is_conserved());
    assert_eq!((counts.acknowledged, counts.expired, counts.dead_lettered, counts.pending), (1, 1, 1, 0));
    assert_eq!(inbox.next_deadline(), None);
}

#[test]
fn a_lease_fills_its_reply_and_always_has_one() {
    let mut inbox = Inbox::default();
    for number in 1..=2_000 {
        inbox.put(number, &Entry { bytes: 1_000, ..entry(Priority::Normal, None) });
    }
    inbox.put(3_000, &Entry { bytes: 1_040_000, ..entry(Priority::Urgent, None) });
    assert_eq!(inbox.leasable(5_000, Priority::Urgent), [3_000]);
    assert_eq!(inbox.leasable(5_000, Priority::Bulk), [3_000]);
    inbox.recall(3_000);
    assert_eq!(inbox.leasable(5_000, Priority::Bulk).len(), super::REPLY_BYTES_MAX as usize / 1_000);
    assert_eq!(inbox.leasable(100, Priority::Bulk), (1..=100).collect::<Vec<_>>());
}

#[test]
fn one_settlement_covers_a_thousand_and_the_rest_follows() {
    let mut inbox = Inbox::default();
    let numbers: Vec<_> = (1..=2_500).collect();
    numbers.iter().for_each(|number| inbox.put(*number, &entry(Priority::Normal, None)));
    inbox.lease(1, at(10), &numbers);
    let mut settled = Vec::new();
    while inbox.next_deadline() == Some(at(10)) {
        let due = inbox.due(at(10), DELIVERIES_MAX);
        assert!(due.returned.len() <= super::SETTLED_MAX);
        settled.extend(due.returned.iter().map(|(number, _)| *number));
        inbox.settle(&due, at(10));
    }
    assert_eq!(settled, numbers);
}
