//! Frames of one direction of one connection, in order: values defined by one are referred to by later ones.

use super::said;
use crate::feed::{Feed, Script};
use crate::targets::{Met, Seed};
use openmesh_message::frame::{FrameDecoder, FrameEncoder, FrameError};
use std::fmt::Debug;

const FRAMES_MAX: usize = 64;
const OF_AGENT: u8 = 0;
const OF_NODE: u8 = 1;

/// Who speaks, then frames with their lengths; the first that cannot be read ends the connection.
pub fn target(input: &[u8]) -> Met {
    let mut feed = Feed::new(input);
    if feed.choice(2) == usize::from(OF_NODE) {
        return carry(feed, FrameDecoder::decode_server, FrameEncoder::encode_server);
    }
    carry(feed, FrameDecoder::decode_client, FrameEncoder::encode_client)
}

type Decode<F> = fn(&mut FrameDecoder, &[u8]) -> Result<F, FrameError>;
type Encode<F> = fn(&mut FrameEncoder, &F, &mut Vec<u8>) -> Result<(), FrameError>;

/// What one side read, said again on a connection of its own, reads the same there.
fn carry<F: PartialEq + Debug>(mut feed: Feed<'_>, decode: Decode<F>, encode: Encode<F>) -> Met {
    let (mut theirs, mut ours) = (FrameDecoder::default(), FrameDecoder::default());
    let mut encoder = FrameEncoder::default();
    let mut met = Met::Refused;
    for _ in 0..FRAMES_MAX {
        if feed.is_empty() {
            break;
        }
        let Ok(frame) = decode(&mut theirs, feed.part()) else {
            return met;
        };
        let mut written = Vec::new();
        encode(&mut encoder, &frame, &mut written).unwrap();
        assert_eq!(decode(&mut ours, &written[4..]), Ok(frame));
        met = Met::Taken;
    }
    met
}

/// The connections of the vectors.
pub fn seeds() -> Vec<Seed> {
    let connection = |who: u8, side: &str| {
        let begun = Script::default().byte(who);
        said::bodies(side).iter().fold(begun, Script::part).done()
    };
    vec![Seed::new("agent", connection(OF_AGENT, "client")), Seed::new("node", connection(OF_NODE, "server"))]
}
