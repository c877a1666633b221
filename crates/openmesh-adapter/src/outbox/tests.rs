//! What goes first, what has room, and who is told.

use super::level::Most;
use super::{Outbox, Outgoing, PATIENCE, delivery_bytes};
use crate::matched::Matched;
use openmesh_message::Priority;
use openmesh_message::frame::Delivery;

/// Gaps stand for messages: a number tells them apart.
fn delivery(subscription: u64, number: u64) -> Delivery {
    Delivery::Gap { subscription, first: number, last: number }
}

fn put(outbox: &Outbox, lane: Priority, number: u64) -> bool {
    let delivery = delivery(u64::from(lane == Priority::Bulk), number);
    let bytes = delivery_bytes(&delivery);
    let fits = outbox.has_room(lane, bytes);
    if fits {
        outbox.count(lane, 1, bytes);
        outbox.send(vec![Outgoing::Deliver(lane, delivery)]).unwrap();
    }
    fits
}

fn numbers(batch: Vec<Outgoing>) -> Vec<u64> {
    let number = |outgoing| match outgoing {
        Outgoing::Deliver(_, Delivery::Gap { first, .. }) => first,
        Outgoing::Pong(number) => number,
        other => panic!("{other:?}"),
    };
    batch.into_iter().map(number).collect()
}

#[test]
fn answers_go_first_then_what_is_more_urgent_and_each_lane_keeps_its_order() {
    let (outbox, mut reader) = Outbox::new();
    let lanes = [Priority::Bulk, Priority::Normal, Priority::Critical, Priority::Urgent, Priority::Normal];
    for (lane, number) in lanes.into_iter().zip(1..) {
        assert!(put(&outbox, lane, number));
    }
    outbox.send(vec![Outgoing::Pong(6)]).unwrap();
    assert_eq!(numbers(reader.waiting().unwrap()), [6, 3, 4, 2, 5, 1]);
    assert!(reader.waiting().is_none());
}

#[test]
fn what_waits_is_passed_over_only_so_often() {
    let (outbox, mut reader) = Outbox::new();
    assert!(put(&outbox, Priority::Bulk, 1_000) && put(&outbox, Priority::Bulk, 1_001));
    assert!((1..=200).all(|number| put(&outbox, Priority::Critical, number)));
    let order = numbers(reader.waiting().unwrap());
    let place = |number| order.iter().position(|other| *other == number).unwrap();
    assert_eq!(place(1_000), PATIENCE as usize);
    assert_eq!(place(1_001), 2 * PATIENCE as usize + 1);
}

#[test]
fn a_full_lane_takes_no_room_from_others_and_tells_when_it_is_half_empty() {
    let (outbox, mut reader) = Outbox::new();
    let deliveries_max = Most::of(Priority::Bulk).deliveries;
    let taken = (1..).take_while(|number| put(&outbox, Priority::Bulk, *number)).count();
    assert_eq!(taken, deliveries_max);
    assert!(put(&outbox, Priority::Critical, 9_000_000));
    assert_eq!(numbers(reader.waiting().unwrap())[0], 9_000_000);
    let mut told = vec![reader.written()];
    while reader.waiting().is_some() {
        told.push(reader.written());
    }
    assert_eq!(told.iter().filter(|told| **told).count(), 1, "{told:?}");
    assert!(put(&outbox, Priority::Bulk, 1));
}

#[test]
fn what_waits_for_an_ended_subscription_is_dropped_and_its_room_is_free() {
    let (outbox, mut reader) = Outbox::new();
    while put(&outbox, Priority::Bulk, 1) {}
    assert!(put(&outbox, Priority::Normal, 2));
    assert!(outbox.forget(1), "there is room where there was none");
    assert!(put(&outbox, Priority::Bulk, 3));
    assert_eq!(numbers(reader.waiting().unwrap()), [2, 3]);
}

#[test]
fn what_is_of_an_ended_subscription_finds_no_place_and_takes_no_room() {
    let (outbox, mut reader) = Outbox::new();
    let matched = Matched::default();
    let counted = || {
        let delivery = delivery(7, 1);
        outbox.count(Priority::Bulk, 1, delivery_bytes(&delivery));
        vec![Outgoing::Deliver(Priority::Bulk, delivery)]
    };
    outbox.send_of(&matched, counted()).unwrap();
    matched.end();
    outbox.forget(7);
    outbox.send_of(&matched, counted()).unwrap();
    assert!(reader.waiting().is_none());
    assert_eq!(outbox.shared.levels.of(Priority::Bulk).waiting(), (0, 0));
}

#[tokio::test]
async fn a_reader_ends_with_its_owners_and_an_owner_learns_of_its_readers_end() {
    let (outbox, mut reader) = Outbox::new();
    let other = outbox.clone();
    drop(outbox);
    other.send(vec![Outgoing::Pong(1)]).unwrap();
    drop(other);
    assert_eq!(numbers(reader.next().await.unwrap()), [1]);
    assert!(reader.next().await.is_none());
    let (outbox, reader) = Outbox::new();
    drop(reader);
    assert!(outbox.is_closed() && outbox.send(vec![Outgoing::Pong(1)]).is_err());
}
