//! How fast a log is taken back: makes one of many messages to a topic and to an inbox, and prints records a second of
//! each part of the way. `cargo run --release -p openmesh-store --example recovery -- 1000000`
#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use openmesh_core::record::{Accepted, Body, Header, Outcome, Put, RECORD_VERSION, Recollection, commitment};
use openmesh_core::{Config, Partition};
use openmesh_message::{
    Attributes, Custodian, Digest, DomainId, Envelope, KeyPair, LogName, LogSeq, PartitionId, Position,
    Proof, Timestamp, Transit,
};
use openmesh_policy::{Authenticity, Policy};
use openmesh_store::{EmbeddedLog, EncodedRecord, LogConfig};
use std::error::Error;
use std::time::Instant;

const DOMAIN: DomainId = DomainId::from_bytes([1; 32]);
const BEGINNING_MS: i64 = 1_767_225_600_000;
const BATCH: u64 = 256;
const PAYLOAD_BYTES: usize = 512;

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse::<u64>())?;
    let folder = tempfile::tempdir()?;
    let (mut log, _) = EmbeddedLog::open(folder.path(), &LogConfig::new(PartitionId(0)))?;
    let key = KeyPair::from_seed(&[3; 32])?;
    for first in (1..=count).step_by(BATCH as usize) {
        log.append(&batch(&key, first, BATCH.min(count + 1 - first))?)?;
        log.sync()?;
    }
    let reader = log.reader();
    let rate = |what: &str, begun: Instant| {
        let seconds = begun.elapsed().as_secs_f64();
        println!("{what}: {:.0} records/s ({seconds:.2} s)", count as f64 / seconds);
    };
    let begun = Instant::now();
    let read = reader.records(1).filter(Result::is_ok).count();
    rate(&format!("read {read}"), begun);

    let begun = Instant::now();
    let mut recollections = Vec::new();
    for stored in reader.records(1) {
        let stored = stored?;
        recollections.push(Recollection::decode(&stored.header, &stored.salt, &stored.body)?);
    }
    rate("read and decode", begun);

    let begun = Instant::now();
    let mut partition = empty();
    recollections.iter().for_each(|recollection| partition.recollect(recollection));
    rate("apply", begun);

    let begun = Instant::now();
    let mut again = empty();
    let decode = |stored: openmesh_store::StoredRecord| {
        Recollection::decode(&stored.header, &stored.salt, &stored.body)
    };
    reader.read_ahead(1, decode, |item| {
        again.recollect(&item??);
        Ok::<_, Box<dyn Error>>(())
    })?;
    rate("all of it, on several threads", begun);

    let begun = Instant::now();
    let snapshot = again.snapshot()?;
    rate(&format!("snapshot of {} MiB", snapshot.len() >> 20), begun);
    let begun = Instant::now();
    let restored = Partition::restore(config(), Policy::default_open(), &snapshot)?;
    rate("restore", begun);
    println!("alike: {}", restored.state() == partition.state() && again.state() == partition.state());
    Ok(())
}

fn config() -> Config {
    Config::new(DOMAIN, Digest::ZERO, [9; 32], Custodian::new([7; 32]))
}

fn empty() -> Partition {
    Partition::new(config(), Policy::default_open())
}

/// Every other message goes to a topic, the others to an inbox.
fn batch(key: &KeyPair, first: u64, count: u64) -> Result<Vec<EncodedRecord>, Box<dyn Error>> {
    let messages: Vec<_> =
        (first..first + count).map(|seq| attributes(key, seq)).collect::<Result<_, _>>()?;
    let payload = vec![b'x'; PAYLOAD_BYTES];
    let digests: Vec<_> = messages.iter().map(|attributes| attributes.digest(&payload)).collect();
    let proofs = Proof::sign_batch(key, &digests);
    let signed = (first..).zip(messages.into_iter().zip(proofs));
    signed.map(|(seq, message)| encode(key, seq, message, &payload)).collect()
}

fn attributes(key: &KeyPair, seq: u64) -> Result<Attributes, Box<dyn Error>> {
    let mut attributes = Attributes::default();
    let to = if seq.is_multiple_of(2) { "topic/market/a" } else { "inbox/worker" };
    for (name, value) in [
        ("specversion", "1.0".to_owned()),
        ("id", format!("message-{seq}")),
        ("source", key.id().to_string()),
        ("type", "mesh/untyped.v1".to_owned()),
        ("time", Timestamp::from_millis(BEGINNING_MS).plus_ms(seq.cast_signed()).to_string()),
        ("to", format!("mesh://{DOMAIN}/{to}")),
        ("performative", "inform".to_owned()),
    ] {
        attributes.set(name, &value)?;
    }
    Ok(attributes)
}

fn encode(
    key: &KeyPair,
    seq: u64,
    (attributes, proof): (Attributes, Proof),
    payload: &[u8],
) -> Result<EncodedRecord, Box<dyn Error>> {
    let (recipient, number) = (KeyPair::from_seed(&[4; 32])?.id(), seq.div_ceil(2));
    let is_mail = !seq.is_multiple_of(2);
    let log = if is_mail { format!("inbox/{recipient}") } else { "topic/market/a".to_owned() };
    let puts = if is_mail { vec![Put { agent: recipient, number, notice: None }] } else { Vec::new() };
    let position = Position { partition: PartitionId(0), epoch: 1, seq };
    let transit = Transit::default();
    let envelope = Envelope { attributes, payload: payload.to_vec().into(), proof: Some(proof), transit };
    let (salt, body) = ([7; 16], minicbor::to_vec(Body::Message(envelope.into()))?);
    let rule = "allow-all".to_owned();
    let accepted = Accepted { authenticity: Authenticity::Signed, rule: rule.into(), step: None, puts };
    let header = Header {
        version: RECORD_VERSION,
        position,
        at: Timestamp::from_millis(BEGINNING_MS).plus_ms(seq.cast_signed()),
        logs: vec![LogSeq { log: LogName(log.into()), seq: number }],
        sender: Some(key.id()),
        outcome: Outcome::Accepted(accepted),
        policy_version: Digest::ZERO,
        commitment: commitment(&salt, &body),
    };
    Ok(EncodedRecord { position, header: minicbor::to_vec(&header)?, salt, body })
}
