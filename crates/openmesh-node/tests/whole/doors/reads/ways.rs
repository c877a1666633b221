//! Every way an agent can ask for something.

use crate::doors::http::Request;
use crate::doors::socket::EventSocket;
use openmesh_sdk::{Item, LogFilter, Mesh, Start};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a stream is listened to that must stay quiet.
const QUIET: Duration = Duration::from_millis(150);

/// Something that can be asked for by its names.
#[derive(Clone, Debug)]
pub(super) struct Thing {
    pub(super) topic: String,
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) mail_id: String,
    pub(super) digest: String,
    pub(super) number: u64,
    pub(super) owner: String,
}

/// A way of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    QueryTopic,
    QueryType,
    QueryId,
    QueryMailId,
    QueryNewestFirst,
    Waiting,
    Lines,
    Csv,
    Topic,
    Receipt,
    Recall,
    Stream,
    StreamFromTheStart,
    Tail,
    TailFromTheStart,
    SocketTail,
    NativeQuery,
    Replay,
    ReplayByWildcard,
    Conversation,
    Schema,
}

pub(super) const WAYS: [Way; 21] = [
    Way::QueryTopic,
    Way::QueryType,
    Way::QueryId,
    Way::QueryMailId,
    Way::QueryNewestFirst,
    Way::Waiting,
    Way::Lines,
    Way::Csv,
    Way::Topic,
    Way::Receipt,
    Way::Recall,
    Way::Stream,
    Way::StreamFromTheStart,
    Way::Tail,
    Way::TailFromTheStart,
    Way::SocketTail,
    Way::NativeQuery,
    Way::Replay,
    Way::ReplayByWildcard,
    Way::Conversation,
    Way::Schema,
];

impl Thing {
    /// A thing with names of the same lengths that does not exist.
    pub(super) fn absent(&self) -> Self {
        let other = |text: &str| text.chars().rev().collect::<String>();
        Self {
            topic: self.topic.replacen("zebra", "horse", 1),
            kind: self.kind.replacen("zebra", "horse", 1),
            id: other(&self.id),
            mail_id: other(&self.mail_id),
            digest: openmesh_message::Digest::of(self.digest.as_bytes()).to_string(),
            ..self.clone()
        }
    }

    /// A text without the thing's names and without what differs at every answer.
    pub(super) fn taken_out_of(&self, text: &str) -> String {
        let escaped = self.topic.replace('/', "%2F");
        let names = [&self.topic, &escaped, &self.kind, &self.id, &self.mail_id, &self.digest];
        names.into_iter().fold(text.to_owned(), |text, name| text.replace(name.as_str(), "…"))
    }
}

impl Way {
    /// All that the asker gets to see.
    pub(super) async fn read(self, http: SocketAddr, token: &str, mesh: &Mesh, thing: &Thing) -> String {
        match self {
            Self::Stream => {
                stream(http, token, &format!("/v1/topics/{}/messages", escaped(thing)), None).await
            }
            Self::StreamFromTheStart => {
                stream(http, token, &format!("/v1/topics/{}/messages", escaped(thing)), Some("0")).await
            }
            Self::Tail => stream(http, token, &format!("/v1/tail?topic={}", escaped(thing)), None).await,
            Self::TailFromTheStart => {
                stream(http, token, &format!("/v1/tail?type={}", thing.kind), Some("0")).await
            }
            Self::SocketTail => {
                let query = format!("receive=false&tail=true&after=0&topic={}", escaped(thing));
                let mut socket = EventSocket::open_with(http, token, &query).await;
                format!("{:?}", socket.next_within("mesh/record.v1", QUIET).await)
            }
            Self::NativeQuery => {
                let filter = LogFilter { topic: Some(thing.topic.clone()), ..LogFilter::default() };
                format!("{:?}", mesh.query_log(filter).collect(100).await)
            }
            Self::Replay => replay(mesh, &format!("topic:{}", thing.topic)).await,
            Self::ReplayByWildcard => {
                let (parent, name) = thing.topic.split_once('/').unwrap();
                replay(mesh, &format!("topic:{parent}/{name}/**")).await
            }
            _ => plain(self.request(thing).token(token), http).await,
        }
    }

    fn request(self, thing: &Thing) -> Request {
        let get = |target: String| Request::new("GET", &target);
        let topic = escaped(thing);
        match self {
            Self::QueryTopic => get(format!("/v1/log?topic={topic}")),
            Self::QueryType => get(format!("/v1/log?type={}", thing.kind)),
            Self::QueryId => get(format!("/v1/log?id={}", thing.id)),
            Self::QueryMailId => get(format!("/v1/log?id={}", thing.mail_id)),
            Self::QueryNewestFirst => get(format!("/v1/log?topic={topic}&kind=message&newestFirst=true")),
            Self::Waiting => get(format!("/v1/log?topic={topic}&waitMs=50")),
            Self::Lines => get(format!("/v1/log?topic={topic}")).header("accept", "application/jsonl"),
            Self::Csv => get(format!("/v1/log?type={}", thing.kind)).header("accept", "text/csv"),
            Self::Topic => get(format!("/v1/topics/{topic}")),
            Self::Receipt => get(format!("/v1/receipts/{}?id={}", thing.digest, thing.mail_id)),
            Self::Conversation => get(format!("/v1/conversations/{}", uuid(&thing.mail_id))),
            Self::Schema => get(format!("/v1/schemas/{}", thing.kind.replace('.', "%2F"))),
            _ => Request::new("POST", "/v1/inbox:recall").json(&serde_json::json!({
                "recipient": thing.owner, "number": thing.number, "digest": thing.digest, "id": thing.mail_id,
            })),
        }
    }
}

fn escaped(thing: &Thing) -> String {
    thing.topic.replace('/', "%2F")
}

/// A UUID made of an id.
fn uuid(id: &str) -> String {
    let hex: String =
        id.chars().filter(char::is_ascii_hexdigit).chain("0".repeat(32).chars()).take(32).collect();
    let hex = hex.to_ascii_lowercase();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A page token without what binds it to its question; where the next page begins stays.
fn without_binding(text: &str) -> String {
    let Some((before, token)) = text.split_once("\"p1-") else { return text.to_owned() };
    let (seq, rest) = token.split_once('-').unwrap();
    let (_, after) = rest.split_once('"').unwrap();
    format!("{before}\"p1-{seq}…\"{after}")
}

/// Status, head but for its date, and body.
async fn plain(request: Request, http: SocketAddr) -> String {
    let response = request.send(http).await;
    let head: Vec<_> =
        response.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:")).collect();
    let body = without_binding(&String::from_utf8_lossy(&response.body));
    format!("{}\n{body}", head.join("\n"))
}

/// What a stream of events says in a while: its status line and whatever follows the head.
async fn stream(http: SocketAddr, token: &str, target: &str, last: Option<&str>) -> String {
    let mut socket = TcpStream::connect(http).await.unwrap();
    let last = last.map_or_else(String::new, |last| format!("last-event-id: {last}\r\n"));
    let head =
        format!("GET {target} HTTP/1.1\r\nhost: {http}\r\nauthorization: Bearer {token}\r\n{last}\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    let until = tokio::time::Instant::now() + QUIET;
    while let Ok(Ok(count)) = tokio::time::timeout_at(until, socket.read(&mut buffer)).await {
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:")).collect::<Vec<_>>().join("\n")
}

/// What a native subscription from the beginning hands over in a while, or why there is none.
async fn replay(mesh: &Mesh, pattern: &str) -> String {
    let mut subscription = match mesh.subscribe(pattern, Start::At(1)).await {
        Ok(subscription) => subscription,
        Err(error) => return format!("{error:?}"),
    };
    let mut seen = Vec::new();
    while let Ok(Some(item)) = timeout(QUIET, subscription.next()).await {
        seen.push(match item {
            Item::Message { envelope, .. } => format!("{envelope:?}"),
            other => format!("{other:?}"),
        });
    }
    let _ = subscription.end().await;
    seen.join("\n")
}
