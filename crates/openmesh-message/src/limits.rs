//! Every limit of the message format, in one place, with its unit in its name.

/// Largest frame on any wire, header included.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// All attributes of one message together (names and values).
pub const ATTRIBUTES_BYTES_MAX: usize = 8 * 1024;
/// How many attributes one message may carry.
pub const ATTRIBUTES_MAX: usize = 64;
/// Longest attribute name.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 20;
/// Longest message id.
pub const MESSAGE_ID_BYTES_MAX: usize = 64;
/// Largest payload: what is left of a frame when every attribute and the longest proof are in it.
pub const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX - ATTRIBUTES_BYTES_MAX - 4 * 1024;
/// Deepest nesting of a JSON payload.
pub const JSON_DEPTH_MAX: usize = 64;
/// How many object keys a JSON payload may have in all.
pub const JSON_KEYS_MAX: usize = 10_000;
/// Largest magnitude of a JSON number: 2^53 − 1 (RFC 7493).
pub const JSON_NUMBER_MAX: u64 = (1 << 53) - 1;
/// Levels of a topic path.
pub const TOPIC_LEVELS_MAX: usize = 16;
/// Bytes of a topic path.
pub const TOPIC_BYTES_MAX: usize = 512;
/// Wildcards of a topic pattern.
pub const PATTERN_WILDCARDS_MAX: usize = 3;
/// Longest agent name.
pub const AGENT_NAME_BYTES_MAX: usize = 64;
/// Longest namespace or name of a definition.
pub const NAME_BYTES_MAX: usize = 64;
/// Digests one message may name as its parents.
pub const PARENTS_MAX: usize = 32;
/// Agents one message may invite into a conversation.
pub const INVITES_MAX: usize = 32;
/// Messages one batch proof covers.
pub const PROOF_BATCH_MAX: usize = 256;
/// Steps from a leaf to the root of a batch proof.
pub const PROOF_PATH_MAX: usize = 8;
/// Messages one frame carries.
pub const FRAME_MESSAGES_MAX: usize = 1024;
/// Attribute values a connection remembers in each direction.
pub const INTERNED_VALUES_MAX: usize = 1024;
/// Longest attribute value that is interned.
pub const INTERNED_VALUE_BYTES_MAX: usize = 256;
/// Longest `traceparent` that is carried (W3C Trace Context, version 00).
pub const TRACEPARENT_BYTES_MAX: usize = 55;
/// Longest `tracestate` that is carried.
pub const TRACESTATE_BYTES_MAX: usize = 512;
/// Longest time that a question about the log waits for a record.
pub const QUERY_WAIT_MS_MAX: u64 = 60_000;
/// How far ahead of the node's clock a signed `time` may be.
pub const TIME_AHEAD_MS_MAX: i64 = 60_000;
/// How old a signed `time` may be: the window in which repeats are recognised.
pub const TIME_WINDOW_MS: i64 = 24 * 60 * 60 * 1000;
/// How far ahead a message can wait in an inbox: `notbefore` (30 days).
pub const NOT_BEFORE_MS_MAX: i64 = 30 * 24 * 60 * 60 * 1000;
/// What an item of a stream takes up of its window besides its bytes.
pub const STREAM_ITEM_OVERHEAD_BYTES: usize = 512;
/// Largest item of a stream.
pub const STREAM_ITEM_BYTES_MAX: usize = 64 * 1024 - STREAM_ITEM_OVERHEAD_BYTES;
/// Smallest window of a stream: every item fits it.
pub const STREAM_WINDOW_BYTES_MIN: u64 = 64 * 1024;
/// Largest window of a stream.
pub const STREAM_WINDOW_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest reason for breaking a stream off.
pub const STREAM_REASON_BYTES_MAX: usize = 256;
/// How long either end of a stream may be away before the stream is broken off.
pub const STREAM_AWAY_MS_MAX: i64 = 60_000;

const _: () = assert!(1 << PROOF_PATH_MAX == PROOF_BATCH_MAX);
const _: () = assert!(PAYLOAD_BYTES_MAX > FRAME_BYTES_MAX / 2);

/// At most 64 characters of `text`, for error messages.
pub(crate) fn excerpt(text: &str) -> String {
    const EXCERPT_CHARS: usize = 64;
    if text.chars().count() <= EXCERPT_CHARS {
        return text.to_owned();
    }
    text.chars().take(EXCERPT_CHARS).chain(['…']).collect()
}
