//! Requests to many: none, some, late and repeated replies, by topic and by name; end to end.

use crate::node::Node;
use openmesh_sdk::{Envelope, Gathered, Mesh, Performative, Sent, Start};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

/// Answers one request of a topic with these acts, after a while; how each ended.
async fn answer(mesh: Mesh, wait: Duration, acts: Vec<Performative>) -> JoinHandle<Vec<Sent>> {
    let mut questions = mesh.subscribe("topic:weather/*", Start::Next).await.unwrap();
    tokio::spawn(async move {
        let request: Arc<Envelope> = questions.next_message().await.unwrap();
        tokio::time::sleep(wait).await;
        let mut sent = Vec::new();
        for act in acts {
            sent.push(mesh.reply(&request, &act, act.as_str()).await.unwrap());
        }
        sent
    })
}

fn who(gathered: &Gathered, of: &[(&str, &Mesh)]) -> Vec<String> {
    let name = |id| of.iter().find(|(_, mesh)| mesh.id() == id).map_or("?", |(name, _)| *name);
    let mut names: Vec<_> = gathered.answers.iter().map(|answer| name(answer.from).to_owned()).collect();
    names.sort();
    names
}

async fn ask(asker: &Mesh, within: Duration, replies_max: usize) -> Gathered {
    let draft = asker.draft("topic:weather/berlin", &Performative::Request).unwrap();
    asker.request_many(vec![draft.payload("text/plain", "rain?")], within, replies_max).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_a_topic_gathers_who_answers_in_time_once_each() {
    let node = Node::start(&[]);
    let (_, asker) = node.agent("asker").await;
    let (_, quick) = node.agent("quick").await;
    let (_, twice) = node.agent("twice").await;
    let (_, late) = node.agent("late").await;
    let of = [("quick", &quick), ("twice", &twice), ("late", &late)];
    assert!(ask(&asker, SECOND / 4, 9).await.answers.is_empty(), "nobody listens");

    let one = answer(quick.clone(), Duration::ZERO, vec![Performative::Agree, Performative::Inform]).await;
    let two = answer(twice.clone(), Duration::ZERO, vec![Performative::Refuse, Performative::Inform]).await;
    let three = answer(late.clone(), 2 * SECOND, vec![Performative::Inform]).await;
    let gathered = ask(&asker, SECOND, 9).await;
    assert_eq!(who(&gathered, &of), ["quick", "twice"]);
    let of_twice = gathered.answers.iter().find(|answer| answer.from == twice.id()).unwrap();
    assert_eq!(of_twice.reply.attributes.get("performative"), Some("refuse"), "the first final reply counts");
    assert!(one.await.unwrap().iter().all(|sent| matches!(sent, Sent::Passed)));
    assert_eq!(two.await.unwrap()[1].problem().unwrap().code, "reply.duplicate");
    assert_eq!(three.await.unwrap()[0].problem().unwrap().code, "reply.late");
}

#[tokio::test(flavor = "multi_thread")]
async fn gathering_ends_with_as_many_replies_as_were_asked_for() {
    let node = Node::start(&[]);
    let (_, asker) = node.agent("asker").await;
    let mut answering = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let (_, mesh) = node.agent(name).await;
        answering.push(answer(mesh, Duration::ZERO, vec![Performative::Inform]).await);
    }
    let start = std::time::Instant::now();
    assert_eq!(ask(&asker, 60 * SECOND, 3).await.answers.len(), 3);
    assert!(start.elapsed() < 30 * SECOND, "it does not wait for the deadline");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_agents_are_asked_by_name_and_those_away_are_named() {
    let node = Node::start(&[]);
    let (_, asker) = node.agent("asker").await;
    let (_, here) = node.agent("here").await;
    let (_, silent) = node.agent("silent").await;
    let (_, away) = node.agent("away").await;
    away.close().await;
    let mut incoming = here.incoming().unwrap();
    let answering = tokio::spawn(async move {
        let request = incoming.next_message().await.unwrap();
        assert!(matches!(here.reply(&request, &Performative::Inform, &4).await.unwrap(), Sent::Passed));
        here.id()
    });
    let drafts = ["agent:here", "agent:away", "agent:silent"]
        .map(|to| asker.draft(to, &Performative::Request).unwrap().payload("text/plain", "2+2"));
    let gathered = asker.request_many(drafts.to_vec(), SECOND, 9).await.unwrap();
    let here_id = answering.await.unwrap();
    assert_eq!(
        gathered.answers.iter().map(|answer| (answer.request, answer.from)).collect::<Vec<_>>(),
        [(0, here_id)]
    );
    let refused: Vec<_> =
        gathered.refused.iter().map(|(request, problem)| (*request, &problem.code[..])).collect();
    assert_eq!(refused, [(1, "agent.away")]);
    drop(silent);
    let nobody = asker.draft("agent:away", &Performative::Request).unwrap();
    assert!(asker.request_many(vec![nobody], SECOND, 9).await.is_err(), "nobody was asked");
}
