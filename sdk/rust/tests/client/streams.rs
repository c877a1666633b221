//! Streams: what there is to say of them goes out in few frames.

use crate::peer::{Peer, PeerConnection};
use openmesh_message::frame::{ClientFrame, SendOutcome, ServerFrame, StreamAct, StreamEvent};
use openmesh_sdk::{Mesh, Performative};
use std::time::Duration;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(10);
const ITEMS: usize = 60;

/// Takes the offer of a stream, and begins a run from its beginning.
async fn take_offer(connection: &mut PeerConnection, run: u64) {
    let (tag, _) = connection.hear_sends().await.remove(0);
    connection.settle(tag, SendOutcome::Passed).await;
    let Some(ClientFrame::Stream(acts)) = connection.hear().await else { panic!("not of a stream") };
    let [StreamAct::Write { stream, from: 0, .. }] = acts[..] else { panic!("{acts:?}") };
    let go = StreamEvent::Go { stream, run, from: 0, consumed: 0, window: 1 << 20 };
    connection.say(ServerFrame::Stream(vec![go])).await;
}

/// Hears so many items, each once and in order; in how many frames.
async fn hear_items(connection: &mut PeerConnection, run: u64) -> usize {
    let (mut heard, mut frames) = (0, 0);
    while heard < ITEMS {
        let Ok(Some(ClientFrame::Stream(acts))) = timeout(LONG, connection.hear()).await else {
            panic!("{heard} of {ITEMS} items came")
        };
        frames += 1;
        for act in acts {
            let StreamAct::Item { run: of, item, .. } = act else { panic!("{act:?}") };
            assert_eq!((of, item[0] as usize), (run, heard));
            heard += 1;
        }
    }
    frames
}

#[tokio::test]
async fn what_is_said_again_over_the_next_connection_goes_out_in_few_frames() {
    let peer = Peer::start(16).await;
    let (mesh, mut connection): (Mesh, _) = peer.connect().await;
    let draft = mesh.draft(&format!("agent:{}", mesh.id()), &Performative::Inform).unwrap();
    let offer = mesh.sign(draft.stream("text/plain")).unwrap();
    let (written, ()) = tokio::join!(mesh.open_stream(offer), take_offer(&mut connection, 1));
    let written = written.unwrap();
    for number in 0..ITEMS {
        timeout(LONG, written.send(vec![number as u8; 20])).await.expect("there is credit").unwrap();
    }
    hear_items(&mut connection, 1).await;
    drop(connection);
    let mut again = timeout(LONG, peer.accept()).await.expect("it comes back");
    take_offer(&mut again, 2).await;
    let frames = hear_items(&mut again, 2).await;
    assert!(frames <= ITEMS / 10, "{ITEMS} items in {frames} frames");
}
