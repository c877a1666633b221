//! One frame of a node: read, written and read again it is the same.

use super::said;
use crate::form::assert_brief;
use crate::targets::{Met, Seed};
use openmesh_message::frame::{FrameDecoder, FrameEncoder, body_length};

/// The body of a frame.
pub fn target(input: &[u8]) -> Met {
    let frame = match FrameDecoder::default().decode_server(input) {
        Ok(frame) => frame,
        Err(error) => {
            assert_brief(&error);
            return Met::Refused;
        }
    };
    let mut written = Vec::new();
    FrameEncoder::default().encode_server(&frame, &mut written).unwrap();
    let (length, body) = written.split_first_chunk().unwrap();
    assert_eq!(body_length(*length), Ok(body.len()));
    assert_eq!(FrameDecoder::default().decode_server(body), Ok(frame));
    Met::Taken
}

/// The frames of the vectors, each on a connection of its own.
pub fn seeds() -> Vec<Seed> {
    let seed = |(index, frame): (usize, _)| {
        let mut bytes = Vec::new();
        FrameEncoder::default().encode_server(&frame, &mut bytes).unwrap();
        Seed::new(format!("{index:02}"), bytes.split_off(4))
    };
    said::server().into_iter().enumerate().map(seed).collect()
}
