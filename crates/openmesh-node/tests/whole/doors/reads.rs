//! Policy holds on every way of reading: what an agent may not read and what does not exist look the same, byte for
//! byte, and nobody is looked up before the decision.

mod ways;

use super::http::Request;
use crate::node::{Node, new_key};
use crate::raw_agent::RawAgent;
use openmesh_message::Digest;
use openmesh_message::frame::{Command, LogFilter, Reply, Retention};
use openmesh_sdk::{Mesh, Performative};
use ways::{Thing, WAYS, Way};

const CASES: usize = 500;
const SECRETS: usize = 25;
/// Longest stretch of a secret's name, so that a secret and what is absent have names of one length.
const MARKER: &str = "zebra";

/// Only the insider reads below `secret/`; the blind agent reads nothing at all.
const POLICY: &str = r#"
version = 1
[[rule]]
name = "members-send"
action = ["send", "join-role", "publish-definition"]
who = "registered"
verdict = "allow"
reason = "members may act"
[[rule]]
name = "members-read"
action = "read"
who = "registered"
to = ["topic:**", "agent:self", "inbox:self", "conversation:*"]
verdict = "allow"
reason = "members may read"
[[rule]]
name = "secrets"
action = "read"
who = ["name:outsider", "name:blind"]
to = "topic:secret/**"
verdict = "deny"
reason = "not for you"
[[rule]]
name = "blindness"
action = "read"
who = "name:blind"
verdict = "deny"
reason = "you read nothing"
[[rule]]
name = "admins"
action = ["read", "register", "administer"]
who = "admin"
verdict = "allow"
reason = "the operator"
"#;

/// Draws numbers from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 += 1;
        let bytes = Digest::of(&self.0.to_be_bytes());
        let number = bytes.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        usize::try_from(number % bound as u64).unwrap()
    }
}

/// A domain with secrets.
struct Stage {
    node: Node,
    outsider: Mesh,
    outsider_token: String,
    blind_token: String,
    secrets: Vec<Thing>,
}

impl Stage {
    async fn set() -> Self {
        let node = Node::start_under(POLICY, &["--pin", "**"]);
        let (_, insider) = node.agent("insider").await;
        let (_, friend) = node.agent("friend").await;
        let (_, outsider) = node.agent("outsider").await;
        let mut secrets = Vec::new();
        for n in 0..SECRETS {
            secrets.push(secret(&insider, &friend, n).await);
        }
        let outsider_token = issue(&outsider).await;
        let blind = node.connect(&new_key()).await;
        blind.register("blind", Some(&node.admin_token())).await.unwrap();
        let blind_token = issue(&blind).await;
        Self { node, outsider, outsider_token, blind_token, secrets }
    }

    async fn lookups(&self) -> f64 {
        let metrics = Request::new("GET", "/metrics").send(self.node.http()).await;
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        let counted = text.lines().filter(|line| line.starts_with("openmesh_log_lookups_total"));
        counted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

async fn issue(mesh: &Mesh) -> String {
    let terms = openmesh_sdk::TokenTerms {
        scopes: "send,read,inbox".parse().unwrap(),
        expires: openmesh_sdk::now().plus_ms(60 * 60 * 1000),
        label: "reads".to_owned(),
        custodial: false,
    };
    mesh.issue_token(terms).await.unwrap().token.reveal().to_owned()
}

/// A message on a secret topic, and mail from one to the other; all named so that a leak is seen.
async fn secret(insider: &Mesh, friend: &Mesh, n: usize) -> Thing {
    let topic = format!("secret/{MARKER}{n:03}");
    let draft = insider.draft(&format!("topic:{topic}"), &Performative::Inform).unwrap();
    let draft = draft.json(format!("{{\"{MARKER}\":{n}}}")).kind(&format!("{MARKER}.kind{n:03}"));
    let message = insider.sign(draft.extension("subject", MARKER)).unwrap();
    insider.send(message.clone()).await.unwrap().accepted().unwrap();
    let mail = insider.draft(&format!("inbox:{}", friend.id()), &Performative::Inform).unwrap();
    let mail = insider.sign(mail.json(format!("{{\"{MARKER}\":\"mail\"}}"))).unwrap();
    let receipt = insider.send(mail.clone()).await.unwrap().accepted().unwrap();
    let id = |envelope: &openmesh_message::Envelope| envelope.attributes.get("id").unwrap().to_owned();
    Thing {
        topic,
        kind: format!("{MARKER}.kind{n:03}"),
        id: id(&message),
        mail_id: id(&mail),
        digest: mail.digest().to_string(),
        number: receipt.receipt.logs.first().map_or(0, |log| log.seq),
        owner: friend.id().to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forbidden_and_what_is_absent_look_the_same_in_500_cases() {
    let stage = Stage::set().await;
    let mut draw = Draw(1);
    let mut of_way = vec![0; WAYS.len()];
    for case in 0..CASES {
        let way = if case < WAYS.len() { case } else { draw.below(WAYS.len()) };
        let number = draw.below(SECRETS);
        let (there, absent) = (&stage.secrets[number], &stage.secrets[number].absent());
        let (forbidden, missing) = both(&stage, WAYS[way], there, absent).await;
        assert_eq!(forbidden, missing, "case {case}: {:?} of {}", WAYS[way], there.topic);
        assert!(!forbidden.contains(MARKER), "case {case}: {:?} leaks {forbidden}", WAYS[way]);
        of_way[way] += 1;
    }
    let told: Vec<_> = WAYS.iter().zip(&of_way).map(|(way, count)| format!("{way:?} {count}")).collect();
    println!("{CASES} cases alike: {}", told.join(", "));
    assert!(of_way.iter().all(|count| *count > 0));
}

/// What the outsider gets for a thing that is there and for one that is not, with the thing's own names taken out.
async fn both(stage: &Stage, way: Way, there: &Thing, absent: &Thing) -> (String, String) {
    let forbidden = way.read(stage.node.http(), &stage.outsider_token, &stage.outsider, there).await;
    let missing = way.read(stage.node.http(), &stage.outsider_token, &stage.outsider, absent).await;
    (there.taken_out_of(&forbidden), absent.taken_out_of(&missing))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_looked_up_for_whom_policy_denies() {
    let stage = Stage::set().await;
    let address = stage.node.http();
    let mut targets = Vec::new();
    for thing in &stage.secrets {
        let topic = thing.topic.replace('/', "%2F");
        targets.push(format!("/v1/log?topic={topic}"));
        targets.push(format!("/v1/log?id={}", thing.id));
        targets.push("/v1/log?agent=insider&newestFirst=true".to_owned());
        targets.push("/v1/log?agent=nobody".to_owned());
        targets.push(format!("/v1/topics/{topic}"));
    }
    let (before, mut answers) = (stage.lookups().await, std::collections::BTreeSet::new());
    for target in &targets {
        let response = Request::new("GET", target).token(&stage.blind_token).send(address).await;
        answers.insert((response.status, String::from_utf8_lossy(&response.body).into_owned()));
    }
    assert!(answers.iter().all(|(status, _)| *status == 403), "{answers:?}");
    assert_eq!(stage.lookups().await, before, "{} questions of one who is denied", targets.len());
    let outsider_exact = format!("/v1/log?topic={}", stage.secrets[0].topic.replace('/', "%2F"));
    Request::new("GET", &outsider_exact).token(&stage.outsider_token).send(address).await;
    assert_eq!(stage.lookups().await, before, "one topic that the asker may not read is not looked up");
    Request::new("GET", "/v1/log?type=nothing").token(&stage.outsider_token).send(address).await;
    assert!(stage.lookups().await > before, "the counter counts");
    println!("{} questions denied, 0 look-ups", targets.len());
}

/// The insider sees what the outsider does not: the test above compares something.
#[tokio::test(flavor = "multi_thread")]
async fn the_insider_sees_the_secrets() {
    let stage = Stage::set().await;
    let key = new_key();
    let insider = stage.node.connect(&key).await;
    insider.register("insider2", Some(&stage.node.admin_token())).await.unwrap();
    let token = issue(&insider).await;
    let thing = &stage.secrets[0];
    let ways =
        [Way::QueryTopic, Way::QueryType, Way::QueryId, Way::Csv, Way::Replay, Way::Topic, Way::SocketTail];
    for way in ways {
        let seen = way.read(stage.node.http(), &token, &insider, thing).await;
        assert!(seen.contains(MARKER), "{way:?}: {seen}");
    }
}

/// A limit that is set before a question holds for its answer.
#[tokio::test]
async fn a_question_overtakes_nothing_of_its_own_connection() {
    let node = Node::start(&["--pin", "market/**"]);
    let (key, mesh) = node.agent("hasty").await;
    let mut agent = RawAgent::connect_as(&node, key).await;
    let set = |topic: &str, retention| Command::SetTopic {
        topic: format!("topic:{topic}"),
        pinned: true,
        retention,
        expected_version: None,
        token: Some(node.admin_token()),
    };
    for round in 0..20 {
        let topic = format!("market/hasty-{round}");
        for _ in 0..3 {
            let draft = mesh.draft(&format!("topic:{topic}"), &Performative::Inform).unwrap();
            mesh.send(mesh.sign(draft.json("{}")).unwrap()).await.unwrap().accepted().unwrap();
        }
        let filter = Box::new(LogFilter { topic: Some(topic.clone()), ..LogFilter::default() });
        let query =
            Command::QueryLog { filter, after_seq: 0, records_max: 10, wait_ms: 0, newest_first: false };
        let limit = set(&topic, Retention { messages: Some(1), ..Retention::UNLIMITED });
        let replies = agent.give(vec![limit, query]).await;
        let [Ok(_), Ok(Reply::Log(page))] = &replies[..] else { panic!("round {round}: {replies:?}") };
        assert_eq!(page.records.len(), 1, "round {round}: the question came before the limit");
        let lifted = agent.give(vec![set(&topic, Retention::UNLIMITED)]).await;
        assert!(lifted[0].is_ok(), "round {round}: {lifted:?}");
    }
}
