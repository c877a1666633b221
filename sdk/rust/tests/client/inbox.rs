//! The inbox: a worker's leases, extensions, acks and nacks, and what it does with forged messages; the log's pages.

use crate::peer::{Peer, PeerConnection, key, message_from};
use openmesh_message::Envelope;
use openmesh_message::frame::{Command, LogPage, Reply};
use openmesh_sdk::{InboxCounts, Leased, LogFilter, Problem, SdkError, WorkOptions};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const LONG: Duration = Duration::from_secs(10);

fn leased(token: u64, number: u64, envelope: &Envelope) -> Leased {
    Leased { token, number, attempt: 1, envelope: envelope.clone() }
}

async fn hand_out(connection: &mut PeerConnection, messages: Vec<Leased>) {
    let command = connection.answer_command(Ok(Reply::Leased(messages))).await;
    assert!(matches!(command, Command::Lease { .. }), "{command:?}");
}

#[tokio::test]
async fn a_worker_acknowledges_what_it_did_and_gives_back_what_it_could_not() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let envelope = message_from(&key(2), peer.domain(), &mesh.id(), |draft| draft);
    let handler = |message: Leased| async move {
        match message.number {
            1 => Ok(()),
            number => Err(format!("cannot do {number}")),
        }
    };
    let node = async {
        hand_out(&mut connection, vec![leased(7, 1, &envelope)]).await;
        let ack = connection.answer_command(Ok(Reply::Done)).await;
        hand_out(&mut connection, vec![]).await;
        hand_out(&mut connection, vec![leased(8, 2, &envelope)]).await;
        let nack = connection.answer_command(Ok(Reply::Done)).await;
        drop(connection);
        (ack, nack)
    };
    let (inbox, options) = (mesh.inbox(), WorkOptions::default());
    let working = async { tokio::join!(inbox.work(&options, handler), node) };
    let (why, (ack, nack)) = timeout(LONG, working).await.unwrap();
    let (token, numbers) = (7, vec![1]);
    assert_eq!(ack, Command::Ack { token, numbers });
    let (token, numbers, delay_ms) = (8, vec![2], 1_000);
    let expected = Command::Nack { token, numbers, delay_ms };
    assert_eq!(nack, expected);
    assert_eq!(why, SdkError::Closed("by the node".to_owned()));
}

#[tokio::test]
async fn a_lease_is_prolonged_while_the_handler_runs_and_the_work_stops_with_it() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let envelope = message_from(&key(2), peer.domain(), &mesh.id(), |draft| draft);
    let options = WorkOptions { visibility: Duration::from_millis(60), ..WorkOptions::default() };
    let handler = |_| async {
        sleep(LONG).await;
        Ok::<(), String>(())
    };
    let node = async {
        hand_out(&mut connection, vec![leased(7, 1, &envelope)]).await;
        let (token, visibility_ms) = (7, 60);
        let extend = Command::Extend { token, visibility_ms };
        for _ in 0..3 {
            let command = connection.answer_command(Ok(Reply::Done)).await;
            assert_eq!(command, extend);
        }
        let lost = Problem::new("inbox.lease_lost", "leased again");
        connection.answer_command(Err(lost)).await;
        hand_out(&mut connection, vec![]).await;
    };
    let inbox = mesh.inbox();
    let working = async {
        tokio::select! {
            why = inbox.work(&options, handler) => panic!("{why}"),
            () = node => {}
        }
    };
    timeout(Duration::from_secs(5), working).await.unwrap();
}

#[tokio::test]
async fn forged_messages_are_given_back_and_counts_are_told() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let honest = message_from(&key(2), peer.domain(), &mesh.id(), |draft| draft);
    let mut forged = honest.clone();
    forged.payload = b"[]"[..].into();
    let counts = InboxCounts { accepted: 3, pending: 3, ..InboxCounts::default() };
    let node = async {
        let both = vec![leased(7, 1, &forged), leased(7, 2, &honest)];
        hand_out(&mut connection, both).await;
        let nack = connection.answer_command(Ok(Reply::Done)).await;
        connection.answer_command(Ok(Reply::Inbox(counts))).await;
        nack
    };
    let client = async {
        let inbox = mesh.inbox();
        let leased = inbox.lease(10, LONG, Duration::ZERO).await.unwrap();
        (leased, inbox.counts().await)
    };
    let ((leased, counted), nack) = tokio::join!(client, node);
    let numbers: Vec<_> = leased.iter().map(|message| message.number).collect();
    assert_eq!(numbers, [2]);
    assert!(matches!(nack, Command::Nack { token: 7, numbers, .. } if numbers == [1]));
    assert_eq!(counted, Ok(counts));
}

#[tokio::test]
async fn the_log_is_read_page_by_page() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection) = peer.connect().await;
    let page = |seqs: &[u64], next_after_seq| LogPage {
        records: seqs.iter().map(|n| format!("{{\"seq\":{n}}}")).collect(),
        next_after_seq,
        index_building: None,
    };
    let node = async {
        let mut asked = Vec::new();
        for page in [page(&[1, 2], Some(2)), page(&[3], None), page(&[], Some(0))] {
            let command = connection.answer_command(Ok(Reply::Log(page))).await;
            if let Command::QueryLog { after_seq, .. } = command {
                asked.push(after_seq);
            }
        }
        asked
    };
    let client = async {
        let all = mesh.query_log(LogFilter::default()).collect(100).await;
        // A node that never comes to an end is found out.
        let endless = mesh.query_log(LogFilter::default()).collect(100).await;
        (all, endless)
    };
    let ((all, endless), asked) = timeout(LONG, async { tokio::join!(client, node) }).await.unwrap();
    assert_eq!(all.unwrap().len(), 3);
    assert_eq!(endless, Err(SdkError::UnexpectedReply("query_log")));
    assert_eq!(asked, [0, 2, 0]);
}
