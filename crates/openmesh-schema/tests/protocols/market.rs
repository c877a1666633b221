//! The market step by step: payload rules, timers, obligations, readers, notices, recovery.

use crate::fixture::{Draft, HOUR_MS, NOW, Run, agent, contract, conversation, pin, proposal, protocol, rfp};
use openmesh_message::Digest;
use openmesh_message::json::Document;
use openmesh_schema::{ActTarget, Catalog, ConversationState, IllegalKind, Outcome, Transition};
use serde_json::json;

const BUYER: u8 = 0;
const SELLER: u8 = 1;
const OTHER: u8 = 2;
const AUDITOR: u8 = 9;

fn to(index: u8) -> ActTarget {
    ActTarget::Agent(agent(index))
}

fn cfp() -> Draft {
    let mut draft = Draft::new(agent(BUYER), "cfp", ActTarget::Topic).with("market/rfp@^1", rfp());
    draft.invites.push(("auditor".to_owned(), agent(AUDITOR)));
    draft
}

fn open() -> Run {
    Run::open(&protocol("market/negotiation@v1.0.0"), &cfp()).unwrap()
}

fn propose(seller: u8, amount: f64) -> Draft {
    Draft::new(agent(seller), "propose", to(BUYER)).with("market/proposal@^1", proposal(amount))
}

fn counter(from: u8, towards: u8, amount: f64) -> Draft {
    Draft::new(agent(from), "counter-propose", to(towards)).with("market/proposal@^1", proposal(amount))
}

fn accept(seller: u8, offer: Digest) -> Draft {
    Draft::new(agent(BUYER), "accept-proposal", to(seller)).naming(offer)
}

fn sign(from: u8, towards: u8, amount: f64) -> Draft {
    Draft::new(agent(from), "inform", to(towards)).with("market/contract@^2", contract(amount))
}

fn agreed() -> Run {
    let mut run = open();
    let offer = propose(SELLER, 900.0);
    run.act(&offer).unwrap();
    run.act(&accept(SELLER, offer.digest())).unwrap();
    run
}

#[test]
fn a_negotiation_from_call_to_contract() {
    let mut run = open();
    run.act(&propose(SELLER, 900.0)).unwrap();
    run.act(&propose(OTHER, 950.0)).unwrap();
    let offer = counter(BUYER, SELLER, 800.0);
    run.act(&offer).unwrap();
    let last = counter(SELLER, BUYER, 850.0);
    run.act(&last).unwrap();
    assert_eq!(run.refused(&accept(SELLER, offer.digest())), IllegalKind::WrongParent);
    let taken = run.act(&accept(SELLER, last.digest())).unwrap();
    let bid = format!("bid[{}]", agent(SELLER));
    assert_eq!(taken.summary(), format!("{bid} offered→agreed, round open→awarded"));
    assert_eq!(run.refused(&accept(OTHER, propose(OTHER, 950.0).digest())), IllegalKind::GuardFailed);
    run.act(&Draft::new(agent(BUYER), "reject-proposal", to(OTHER)).naming(propose(OTHER, 950.0).digest()))
        .unwrap();
    run.act(&sign(BUYER, SELLER, 850.0)).unwrap();
    let end = run.act(&sign(SELLER, BUYER, 850.0)).unwrap();
    assert_eq!(end.ended(), Some(Outcome::Success));
    assert!(run.state.is_ended());
    assert_eq!(run.protocol.next_deadline(&run.state), None);
    assert_eq!(run.refused(&propose(OTHER, 1.0)), IllegalKind::Ended);
}

#[test]
fn payloads_are_held_to_the_call() {
    let mut run = open();
    assert_eq!(run.refused(&propose(SELLER, 1000.5)), IllegalKind::RequirementUnmet);
    let mut foreign = propose(SELLER, 900.0);
    foreign.change(|payload| payload["value"]["currency"] = "EUR".into());
    assert_eq!(run.refused(&foreign), IllegalKind::RequirementUnmet);
    let mut stray = propose(SELLER, 900.0);
    stray.change(|payload| payload["rfp"] = "another".into());
    assert_eq!(run.refused(&stray), IllegalKind::CorrelationBroken);
    run.act(&propose(SELLER, 1000.0)).unwrap();
    let wrong = Draft::new(agent(OTHER), "propose", to(BUYER)).with("market/contract@^2", contract(1.0));
    assert_eq!(run.refused(&wrong), IllegalKind::WrongSchema);
}

#[test]
fn a_contract_is_for_the_price_agreed_whatever_rode_along_with_the_accept() {
    let mut run = open();
    let offer = propose(SELLER, 900.0);
    run.act(&offer).unwrap();
    let accept = accept(SELLER, offer.digest()).with("market/proposal@^1", proposal(1.0));
    run.act(&accept).unwrap();
    assert_eq!(run.refused(&sign(BUYER, SELLER, 1.0)), IllegalKind::RequirementUnmet);
    run.act(&sign(BUYER, SELLER, 900.0)).unwrap();
}

#[test]
fn signatures_count_when_all_are_of_one_digest_by_keys_of_ones_own() {
    let mut run = agreed();
    let mut reworded = sign(SELLER, BUYER, 900.0);
    reworded.change(|payload| payload["clauses"] = json!(["Deliver late."]));
    reworded.payload_bytes = reworded.payload.as_ref().unwrap().to_value().to_string().into_bytes();
    assert_eq!(run.act(&sign(BUYER, SELLER, 900.0)).unwrap().moves().count(), 0);
    assert_eq!(run.act(&reworded).unwrap().moves().count(), 0);
    let mut custodial = sign(SELLER, BUYER, 900.0);
    custodial.custodial = true;
    assert_eq!(run.refused(&custodial), IllegalKind::CustodialSignature);
    for _ in 0..3 {
        run.act(&reworded).unwrap();
    }
    assert_eq!(run.act(&sign(SELLER, BUYER, 900.0)).unwrap().ended(), Some(Outcome::Success));
}

#[test]
fn signatures_run_out() {
    let mut run = agreed();
    for _ in 0..6 {
        run.act(&sign(BUYER, SELLER, 900.0)).unwrap();
    }
    assert_eq!(run.refused(&sign(SELLER, BUYER, 900.0)), IllegalKind::TooMany);
    run.wait(11 * 60_000);
    assert_eq!(run.state.ended, Some(Outcome::Failure));
}

#[test]
fn counters_take_turns_and_run_out() {
    let mut run = open();
    run.act(&propose(SELLER, 900.0)).unwrap();
    assert_eq!(run.refused(&counter(SELLER, BUYER, 800.0)), IllegalKind::OutOfTurn);
    for round in 0..10 {
        let (from, towards) = if round % 2 == 0 { (BUYER, SELLER) } else { (SELLER, BUYER) };
        assert_eq!(run.refused(&counter(towards, from, 700.0)), IllegalKind::OutOfTurn);
        run.act(&counter(from, towards, 700.0)).unwrap();
    }
    assert_eq!(run.refused(&counter(BUYER, SELLER, 700.0)), IllegalKind::TooMany);
    run.act(&propose(OTHER, 800.0)).unwrap();
    run.act(&counter(BUYER, OTHER, 700.0)).expect("`max` is each bid's own");
}

#[test]
fn timers_follow_the_payload_and_restart_at_every_entry() {
    let mut run = open();
    assert_eq!(run.protocol.next_deadline(&run.state), Some(NOW.plus_ms(HOUR_MS)));
    run.act(&propose(SELLER, 900.0)).unwrap();
    run.wait(9 * 60_000);
    run.act(&counter(BUYER, SELLER, 800.0)).unwrap();
    run.wait(9 * 60_000);
    assert_eq!(run.state.instances[0].instance.state.as_ref(), "offered", "the counter restarted the timer");
    run.now = run.now.plus_ms(2 * 60_000);
    assert_eq!(run.refused(&counter(SELLER, BUYER, 850.0)), IllegalKind::TimerDue);
    run.wait(0);
    assert_eq!(run.state.instances[0].instance.state.as_ref(), "declined");
    let fired = run.wait(HOUR_MS);
    assert_eq!(fired[0].summary(), "round open→closed, round closed→expired");
    assert_eq!(run.state.ended, Some(Outcome::Timeout));
}

#[test]
fn a_call_whose_end_is_no_time_is_refused() {
    let mut bad = cfp();
    bad.change(|payload| payload["tenderPeriod"]["endDate"] = "soon".into());
    let refusal = Run::open(&protocol("market/negotiation@v1.0.0"), &bad).err().unwrap();
    assert_eq!(refusal.kind, IllegalKind::TimerUnusable);
    assert_eq!(refusal.allowed_next.len(), 1);
}

#[test]
fn who_may_take_part() {
    let mut run = open();
    assert_eq!(run.refused(&propose(BUYER, 1.0)), IllegalKind::Illegal);
    assert_eq!(run.refused(&propose(AUDITOR, 1.0)), IllegalKind::Illegal, "one role an agent");
    let astray = Draft::new(agent(SELLER), "propose", to(OTHER)).with("market/proposal@^1", proposal(900.0));
    assert_eq!(run.refused(&astray), IllegalKind::WrongRecipient);
    assert_eq!(run.state.role_of(&agent(SELLER)), None, "a refused act binds nobody");
    let nobody =
        Draft::new(agent(BUYER), "counter-propose", to(OTHER)).with("market/proposal@^1", proposal(900.0));
    assert_eq!(run.refused(&nobody), IllegalKind::NoInstance);
    run.act(&propose(SELLER, 900.0)).unwrap();
    let mut late = propose(OTHER, 900.0);
    late.invites.push(("auditor".to_owned(), agent(5)));
    assert_eq!(run.refused(&late), IllegalKind::BadInvitation);
    run.act(&Draft::new(agent(BUYER), "cancel", ActTarget::Conversation)).unwrap();
    assert_eq!(run.state.ended, Some(Outcome::Cancelled));
}

#[test]
fn a_private_call_is_for_its_addressee() {
    let mut private = cfp();
    private.to = to(SELLER);
    let mut run = Run::open(&protocol("market/negotiation@v1.0.0"), &private).unwrap();
    assert_eq!(run.refused(&propose(OTHER, 900.0)), IllegalKind::NotBound);
    let refusal = run.act(&propose(OTHER, 900.0)).unwrap_err();
    assert_eq!((refusal.state.as_str(), refusal.allowed_next.len()), ("", 0), "strangers learn nothing");
    run.act(&propose(SELLER, 900.0)).unwrap();
}

#[test]
fn invitations_are_checked() {
    for invites in [
        vec![("buyer".to_owned(), agent(5))],
        vec![("nobody".to_owned(), agent(5))],
        vec![("auditor".to_owned(), agent(5)), ("auditor".to_owned(), agent(5))],
        vec![("auditor".to_owned(), agent(BUYER))],
    ] {
        let mut draft = cfp();
        draft.invites = invites;
        let refusal = Run::open(&protocol("market/negotiation@v1.0.0"), &draft).err().unwrap();
        assert_eq!(refusal.kind, IllegalKind::BadInvitation);
    }
}

#[test]
fn a_full_role_is_full() {
    let request = Draft::new(agent(BUYER), "request", ActTarget::Topic);
    let mut run = Run::open(&protocol("fipa/request@v1.0.0"), &request).unwrap();
    run.act(&Draft::new(agent(SELLER), "agree", to(BUYER))).unwrap();
    let second = Draft::new(agent(OTHER), "agree", to(BUYER));
    assert_eq!(run.refused(&second), IllegalKind::RoleFull);
}

#[test]
fn duties_arise_and_end() {
    let mut run = open();
    run.act(&propose(SELLER, 900.0)).unwrap();
    run.act(&propose(OTHER, 950.0)).unwrap();
    let duties = run.protocol.obligations(&run.state).to_vec();
    assert_eq!(duties.len(), 2);
    assert_eq!((duties[0].agent, duties[0].to), (agent(BUYER), agent(SELLER)));
    assert_eq!(duties[0].by, NOW.plus_ms(5 * 60_000));
    run.act(&counter(BUYER, SELLER, 800.0)).unwrap();
    assert_eq!(run.protocol.obligations(&run.state), &duties[1..], "answered: one bid's duty only");
    run.wait(11 * 60_000);
    assert_eq!(run.protocol.obligations(&run.state), &[], "nothing is owed on a declined bid");
    run.act(&propose(3, 950.0)).unwrap();
    run.act(&Draft::new(agent(BUYER), "cancel", ActTarget::Conversation)).unwrap();
    assert_eq!(run.protocol.obligations(&run.state), &[], "a duty ends with the conversation");
}

#[test]
fn acts_and_notices_reach_those_they_concern() {
    let mut run = open();
    run.act(&propose(SELLER, 900.0)).unwrap();
    run.act(&propose(OTHER, 950.0)).unwrap();
    let mut expected = vec![agent(BUYER), agent(SELLER), agent(AUDITOR)];
    expected.sort();
    assert_eq!(run.protocol.readers(&run.state, &agent(SELLER), &to(BUYER)), expected);
    assert!(run.protocol.may_read_all(&run.state, &agent(AUDITOR)));
    assert!(!run.protocol.may_read_all(&run.state, &agent(SELLER)));
    let cancel = run.act(&Draft::new(agent(BUYER), "cancel", ActTarget::Conversation)).unwrap();
    let notices = run.protocol.notices(&run.state, &cancel);
    assert_eq!(notices.len(), 2, "each bid lapsed by a `when` rule");
    assert_eq!(notices[0].readers, expected, "a rival's bid is nobody's business");
    let schema = pin("mesh/notice@^1");
    let catalog = Catalog::builtin();
    let payload = notices[0].payload(&conversation());
    catalog.schema(&schema.digest).unwrap().validate(&Document::of(&payload)).unwrap();
}

#[test]
fn a_refusal_shows_only_what_concerns_the_sender() {
    let mut run = open();
    run.act(&propose(SELLER, 900.0)).unwrap();
    run.act(&propose(OTHER, 950.0)).unwrap();
    let refusal = run.act(&counter(SELLER, BUYER, 800.0)).unwrap_err();
    assert_eq!(refusal.state, format!("round=open bid[{}]=offered", agent(SELLER)));
    let next: Vec<String> = refusal.allowed_next.iter().map(ToString::to_string).collect();
    assert_eq!(next, Vec::<String>::new(), "the seller waits for the buyer");
    let next = run.protocol.allowed_next(&run.state, &agent(BUYER), run.now);
    assert_eq!(next.len(), 1 + 2 * 3, "cancel, and for each bid counter, accept, reject");
    assert_eq!(next[2].parents, vec![propose(SELLER, 900.0).digest()]);
    let next = run.protocol.allowed_next(&run.state, &agent(3), run.now);
    assert_eq!(next.len(), 2, "a stranger may join by propose or refuse");
    assert_eq!(run.protocol.allowed_next(&run.state, &agent(AUDITOR), run.now), vec![]);
}

#[test]
fn recovery_applies_what_was_decided() {
    let protocol = protocol("market/negotiation@v1.0.0");
    let mut drafts = vec![cfp(), propose(SELLER, 900.0), counter(BUYER, SELLER, 800.0)];
    drafts.push(accept(SELLER, drafts[2].digest()));
    drafts[3] = counter(SELLER, BUYER, 850.0);
    drafts.push(accept(SELLER, drafts[3].digest()));
    drafts.push(sign(BUYER, SELLER, 850.0));
    let mut live = protocol.blank(&conversation());
    let mut recovered = live.clone();
    for (index, draft) in drafts.iter().enumerate() {
        let transition = match index {
            0 => protocol.open(&conversation(), &draft.act(), NOW).unwrap().transition,
            _ => protocol.step(&live, &draft.act(), NOW).unwrap().transition,
        };
        protocol.apply(&mut live, &transition, draft.payload.as_ref());
        let header = minicbor_serde::to_vec(&transition).unwrap();
        assert!(header.len() < 1500, "a transition is small: {}", header.len());
        let read: Transition = minicbor_serde::from_slice(&header).unwrap();
        assert_eq!(read, transition);
        protocol.apply(&mut recovered, &read, draft.payload.as_ref());
        let snapshot = minicbor_serde::to_vec(&recovered).unwrap();
        recovered = minicbor_serde::from_slice::<ConversationState>(&snapshot).unwrap();
        let text = serde_json::to_string(&recovered).unwrap();
        recovered = serde_json::from_str(&text).unwrap();
        assert_eq!(recovered, live);
    }
}
