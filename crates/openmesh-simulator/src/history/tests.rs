//! For each promise, a history that keeps it and one that breaks it.

use super::{Checker, Event, check_lines};

/// What is wrong with a history, as promises.
fn broken(lines: &str) -> Vec<&'static str> {
    let checker = check_lines(lines.lines()).unwrap();
    checker.violations().iter().map(|violation| violation.promise).collect()
}

#[track_caller]
fn breaks(lines: &str, promise: &str) {
    let broken = broken(lines);
    assert!(broken.iter().any(|found| found.starts_with(promise)), "{promise}: {broken:?}");
}

#[track_caller]
fn keeps(lines: &str) {
    assert_eq!(check_lines(lines.lines()).unwrap().violations(), []);
}

fn sent(connection: u64, id: &str) -> String {
    format!(
        r#"{{"event":"sent","connection":{connection},"sender":"ann","id":"{id}","digest":"d{id}","to":"topic:a"}}"#
    ) + "\n"
}

fn accepted(id: &str, seq: u64, duplicate: bool) -> String {
    format!(
        r#"{{"event":"accepted","sender":"ann","id":"{id}","position":[1,{seq}],"duplicate":{duplicate}}}"#
    ) + "\n"
}

fn unknown(id: &str) -> String {
    format!(r#"{{"event":"unknown","sender":"ann","id":"{id}"}}"#) + "\n"
}

/// Record `seq`, the message in it, and its number in `topic/a`.
fn kept(seq: u64, id: &str, number: u64) -> String {
    format!(
        r#"{{"event":"record","position":[1,{seq}],"logs":[["topic/a",{number}]],"message":{{"sender":"ann","id":"{id}","digest":"d{id}"}}}}"#
    ) + "\n"
}

const HEAD: &str = "{\"event\":\"head\"}\n";

#[test]
fn what_was_accepted_and_is_missing_is_found() {
    let told = sent(1, "1") + &accepted("1", 1, false);
    keeps(&(told.clone() + &kept(1, "1", 1) + HEAD));
    breaks(&(told + HEAD), "G2 what was accepted is kept");
    breaks(
        &(sent(1, "1") + &accepted("1", 2, false) + &kept(1, "1", 1) + HEAD),
        "G2 what was accepted is kept",
    );
    breaks(&kept(1, "1", 1), "G2 only what was sent");
    let forged = kept(1, "1", 1).replace("\"d1\"", "\"d7\"");
    breaks(&(sent(1, "1") + &forged), "G2 what was accepted is kept");
}

#[test]
fn what_nobody_heard_of_may_be_there_or_not() {
    let silent = sent(1, "1") + &unknown("1");
    keeps(&(silent.clone() + HEAD));
    keeps(&(silent + &kept(1, "1", 1) + HEAD));
}

#[test]
fn a_reported_loss_is_no_silent_one_and_is_counted() {
    let lines =
        sent(1, "1") + &accepted("1", 1, false) + "{\"event\":\"lost\",\"first\":1,\"last\":1}\n" + HEAD;
    let checker = check_lines(lines.lines()).unwrap();
    assert_eq!(checker.violations(), []);
    assert_eq!((checker.figures().lost, checker.figures().missing), (1, 0));
}

#[test]
fn two_positions_of_one_message_are_found() {
    let first = sent(1, "1") + &accepted("1", 1, false);
    let again = sent(1, "1") + &accepted("1", 1, true);
    keeps(&(first.clone() + &again + &kept(1, "1", 1) + HEAD));
    breaks(&(first.clone() + &sent(1, "1") + &accepted("1", 2, true)), "G3 a message has one position");
    breaks(&(first.clone() + &sent(1, "1") + &accepted("1", 1, false)), "G3 a repeat is answered as one");
    breaks(&(first + &kept(1, "1", 1) + &kept(2, "1", 2)), "G3 a message has one position");
}

#[test]
fn gaps_and_positions_used_twice_are_found() {
    let two = sent(1, "1") + &sent(1, "2");
    keeps(&(two.clone() + &kept(1, "1", 1) + &kept(2, "2", 2)));
    breaks(&(two.clone() + &kept(1, "1", 1) + &kept(1, "2", 2)), "G4 positions");
    breaks(&(two.clone() + &kept(1, "1", 1) + &kept(3, "2", 2)), "G4 positions");
    breaks(&(two.clone() + &kept(1, "1", 1) + &kept(2, "2", 3)), "G4 a logical log");
    breaks(&(two + &kept(1, "1", 1) + &kept(2, "2", 1)), "G4 a logical log");
}

#[test]
fn an_inversion_of_one_sender_is_found_on_one_connection_only() {
    let lines =
        |second| sent(1, "1") + &sent(second, "2") + &accepted("2", 1, false) + &accepted("1", 2, false);
    breaks(&lines(1), "G4 what one sender");
    keeps(&lines(2));
    let half_heard = sent(1, "1") + &sent(1, "2") + &unknown("1") + &accepted("2", 1, false);
    breaks(&(half_heard.clone() + &kept(1, "2", 1) + &kept(2, "1", 2)), "G4 what one sender");
    let resent = half_heard + &sent(2, "1") + &accepted("1", 2, false);
    keeps(&(resent + &kept(1, "2", 1) + &kept(2, "1", 2) + HEAD));
}

fn delivered(id: &str, seq: u64) -> String {
    format!(
        r#"{{"event":"delivered","consumer":"c","sender":"ann","id":"{id}","position":[1,{seq}],"logs":[["topic/a",{seq}]]}}"#
    ) + "\n"
}

#[test]
fn a_consumer_that_misses_a_message_is_found() {
    let began = "{\"event\":\"began\",\"consumer\":\"c\"}\n";
    let finished = "{\"event\":\"finished\",\"consumer\":\"c\"}\n";
    let log =
        sent(1, "1") + &sent(1, "2") + &sent(1, "3") + &kept(1, "1", 1) + &kept(2, "2", 2) + &kept(3, "3", 3);
    let all = delivered("1", 1) + &delivered("2", 2);
    let again = began.to_owned() + &delivered("2", 2) + &delivered("3", 3);
    keeps(&(log.clone() + began + &all + &again + finished + HEAD));
    breaks(&(log.clone() + began + &all + finished + HEAD), "G2 a consumer that keeps consuming");
    breaks(&(log.clone() + began + &delivered("1", 1) + &delivered("3", 3)), "G2 a consumer is handed");
    breaks(&(log.clone() + began + &delivered("2", 2) + &delivered("1", 1)), "G2 a consumer is handed");
    breaks(&(log + began + &delivered("2", 1)), "G2 what is handed over");
    breaks(&(began.to_owned() + &delivered("7", 7) + HEAD), "G2 what is handed over");
}

fn put(seq: u64, number: u64) -> String {
    sent(1, &format!("m{number}"))
        + &format!(
            r#"{{"event":"record","position":[1,{seq}],"message":{{"sender":"ann","id":"m{number}","digest":"dm{number}"}},"puts":[{{"agent":"bob","number":{number}}}]}}"#
        )
        + "\n"
}

fn ended(seq: u64, number: u64, how: &str) -> String {
    format!(r#"{{"event":"record","position":[1,{seq}],"ends":[["bob",{number},"{how}"]]}}"#) + "\n"
}

fn acknowledged(number: u64, outcome: &str) -> String {
    format!(r#"{{"event":"acknowledged","agent":"bob","numbers":[{number}],"outcome":"{outcome}"}}"#) + "\n"
}

fn leased(token: u64, number: u64) -> String {
    format!(
        r#"{{"event":"leased","agent":"bob","token":{token},"messages":[{{"number":{number},"sender":"ann","id":"m{number}"}}]}}"#
    ) + "\n"
}

fn counts(accepted: u64, pending: u64, acknowledged: u64) -> String {
    format!(
        r#"{{"event":"counts","agent":"bob","accepted":{accepted},"pending":{pending},"acknowledged":{acknowledged},"expired":0,"dead_lettered":0,"recalled":0}}"#
    ) + "\n"
}

#[test]
fn mail_that_ends_twice_or_is_lost_or_comes_back_is_found() {
    let two = put(1, 1) + &put(2, 2) + HEAD;
    let done = leased(1, 1) + &acknowledged(1, "done");
    keeps(&(two.clone() + &done + &ended(3, 1, "acknowledged") + HEAD + &counts(2, 1, 1)));
    breaks(&(two.clone() + &done + HEAD), "G5 what an agent was told");
    keeps(&(two.clone() + &leased(1, 1) + &acknowledged(1, "unknown") + HEAD));
    breaks(
        &(two.clone() + &ended(3, 1, "expired") + &ended(4, 1, "acknowledged")),
        "G5 mail ends in exactly one",
    );
    breaks(&(two.clone() + &done + &leased(2, 1)), "G5 mail that ended does not come back");
    breaks(&(two.clone() + &leased(2, 1) + &leased(2, 2)), "G5 fencing tokens");
    breaks(&(two.clone() + &leased(1, 2).replace("m2", "m1") + HEAD), "G5 what is leased");
    let held =
        |numbers: &str| format!("{{\"event\":\"held\",\"agent\":\"bob\",\"numbers\":{numbers}}}\n") + HEAD;
    keeps(&(two.clone() + &held("[1,2]")));
    breaks(&(two.clone() + &held("[2]")), "G5 mail that did not end is still there");
    breaks(
        &(two + &done + &ended(3, 1, "acknowledged") + &held("[1,2]")),
        "G5 mail that ended does not come back",
    );
}

#[test]
fn counts_that_do_not_add_up_are_found() {
    let two = put(1, 1) + &put(2, 2) + HEAD;
    keeps(&(two.clone() + &counts(2, 2, 0) + HEAD));
    breaks(&(two.clone() + &counts(2, 1, 0)), "G5 accepted =");
    breaks(&(two.clone() + &counts(1, 1, 0)), "G5 accepted =");
    breaks(&(two + &counts(3, 3, 0) + HEAD), "G5 accepted =");
}

#[test]
fn a_second_final_reply_and_a_late_one_are_found() {
    let asked = "{\"event\":\"asked\",\"requester\":\"ann\",\"id\":\"q\",\"deadline_ms\":100}\n";
    let answered = |is_final: bool, at_ms: i64| {
        format!(
            r#"{{"event":"answered","requester":"ann","request":"q","responder":"bob","is_final":{is_final},"at_ms":{at_ms}}}"#
        ) + "\n"
    };
    let replied = "{\"event\":\"replied\",\"responder\":\"bob\",\"request\":\"q\",\"is_final\":true,\"outcome\":\"done\"}\n";
    keeps(&(asked.to_owned() + &answered(false, 50) + replied + &answered(true, 100)));
    breaks(&(asked.to_owned() + &answered(true, 50) + &answered(true, 60)), "G6 at most one");
    breaks(&(asked.to_owned() + replied + replied), "G6 at most one");
    breaks(&(asked.to_owned() + &answered(true, 101)), "G6 no reply");
}

#[test]
fn an_event_is_the_same_after_it_was_text() {
    let lines = sent(1, "1") + &accepted("1", 1, true) + &put(2, 1) + &ended(3, 1, "recalled") + HEAD;
    for line in lines.lines() {
        let event: Event = serde_json::from_str(line).unwrap();
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }
    assert!(check_lines(["{\"event\":\"sent\"}"]).unwrap_err().what.starts_with("line 1"));
}

#[test]
fn a_long_history_takes_as_long_as_it_is() {
    let mut checker = Checker::default();
    for round in 0..200_u64 {
        for place in 1..=100 {
            let (seq, id) = (round * 100 + place, format!("{round}-{place}"));
            for line in [sent(round, &id), accepted(&id, seq, false), kept(seq, &id, seq)] {
                checker.note(&serde_json::from_str(&line).unwrap());
            }
        }
        checker.note(&Event::Head {});
    }
    assert_eq!(checker.violations(), []);
    assert_eq!(checker.figures().accepted, 20_000);
}

fn aired(id: &str) -> String {
    format!(r#"{{"event":"aired","connection":1,"sender":"ann","id":"{id}"}}"#) + "\n"
}

fn heard(number: u64, id: &str) -> String {
    format!(r#"{{"event":"heard","session":7,"number":{number},"sender":"ann","id":"{id}"}}"#) + "\n"
}

fn missed(first: u64, last: u64) -> String {
    format!(r#"{{"event":"missed","session":7,"first":{first},"last":{last}}}"#) + "\n"
}

#[test]
fn what_is_not_kept_is_heard_once_in_order_and_what_is_missed_is_told() {
    let said = aired("1") + &aired("2") + &aired("3") + &aired("4") + "{\"event\":\"tuned\",\"session\":7}\n";
    keeps(&(said.clone() + &heard(1, "1") + &missed(2, 3) + &heard(4, "4") + HEAD));
    keeps(&(said.clone() + &heard(1, "3") + HEAD));
    breaks(&(said.clone() + &heard(1, "1") + &heard(2, "1")), "G1 what one sender sends");
    breaks(&(said.clone() + &heard(1, "2") + &heard(2, "1")), "G1 what one sender sends");
    breaks(&(said.clone() + &heard(1, "1") + &heard(3, "2")), "G1 numbers go on");
    breaks(&(said.clone() + &missed(1, 2) + &missed(2, 3)), "G1 numbers go on");
    breaks(&(said.clone() + &heard(1, "5")), "G1 only what was sent");
    let passed_over = said + &heard(1, "1") + &heard(2, "3") + HEAD;
    breaks(&passed_over, "G1 what is passed over");
    keeps(&(r#"{"event":"withheld","sender":"ann","id":"2"}"#.to_owned() + "\n" + HEAD));
    let withheld =
        aired("1") + &aired("2") + &aired("3") + "{\"event\":\"withheld\",\"sender\":\"ann\",\"id\":\"2\"}\n";
    keeps(&(withheld + &heard(1, "1") + &heard(2, "3") + HEAD));
}
