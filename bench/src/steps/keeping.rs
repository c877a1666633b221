//! What becomes of a decision: the record's body and header, the log's frame, the receipts of a commit.

use super::scene::{Kind, Scene};
use super::{MESSAGES, Rounds, Step, work};
use anyhow::{Context, Result, ensure};
use openmesh_core::record::{Header, decode_header};
use openmesh_core::{Admitted, Effect, Plan, View, steps};
use openmesh_message::frame::{FrameEncoder, ServerFrame};
use openmesh_message::limits::FRAME_BYTES_MAX;
use openmesh_message::{PartitionId, Position, Receipt, ReceiptRun};
use openmesh_store::{EmbeddedLog, EncodedRecord, Fault, LogConfig, batch_bytes};
use std::path::Path;

pub(super) const STEPS: &[Step] = &[
    Step { name: "record/body", open: |_| body() },
    Step { name: "record/header", open: |_| header() },
    Step { name: "record/append", open: append },
    Step { name: "receipts/sign", open: |_| sign() },
    Step { name: "receipts/encode", open: |_| encode() },
];

/// A message becomes the body of a record, and is committed to.
fn body() -> Result<Box<dyn Rounds>> {
    let scene = Scene::new()?;
    let view: View = scene.view();
    let seal = |(_, view): &mut (Scene, View), admitted: Vec<Admitted>| {
        let sealed: Vec<_> = admitted.iter().map(|one| steps::seal(one, view)).collect();
        (sealed, admitted)
    };
    work((scene, view), |(scene, _)| scene.admitted(Kind::Kept), seal, |(sealed, _)| sealed.len())
}

/// What was decided becomes the header of a record.
fn header() -> Result<Box<dyn Rounds>> {
    let headers = |scene: &mut Scene| {
        let records = scene.plans(Kind::Kept)?.into_iter().flat_map(|plan| plan.records);
        records.map(|record| Ok(decode_header(&record.header)?)).collect::<Result<Vec<Header>>>()
    };
    let encode = |_: &mut Scene, headers: Vec<Header>| {
        let encoded: Vec<_> = headers.iter().map(steps::encode_header).collect();
        (encoded, headers)
    };
    work(Scene::new()?, headers, encode, |(encoded, _)| encoded.len())
}

/// A log, and where the next record stands in it.
struct Keeping {
    log: EmbeddedLog,
    scene: Scene,
}

/// Records become frames of the log and are written; nothing is synced.
fn append(scratch: &Path) -> Result<Box<dyn Rounds>> {
    let folder = scratch.join("log");
    std::fs::create_dir_all(&folder)?;
    let (log, _) = EmbeddedLog::open(&folder, &LogConfig::new(PartitionId(0)))?;
    let append = |keeping: &mut Keeping, records: Vec<EncodedRecord>| (keeping.log.append(&records), records);
    let done = |(appended, records): &(Result<(), Fault>, Vec<EncodedRecord>)| match appended {
        Ok(()) => records.len(),
        Err(_) => 0,
    };
    work(Keeping { log, scene: Scene::new()? }, Keeping::records, append, done)
}

impl Keeping {
    fn records(&mut self) -> Result<Vec<EncodedRecord>> {
        let sealed = self.scene.plans(Kind::Kept)?.into_iter().flat_map(|plan| plan.records);
        let (next, epoch) = (self.log.next_seq(), self.log.epoch());
        let records = (next..).zip(sealed).map(|(seq, sealed)| {
            let position = Position { epoch, seq, ..sealed.position };
            EncodedRecord { position, header: sealed.header, salt: sealed.salt, body: sealed.body }
        });
        let records: Vec<_> = records.collect();
        let bytes = records.iter().map(|record| (record.header.len() + record.body.len()) as u64).sum();
        self.log.reserve(batch_bytes(records.len(), bytes))?;
        Ok(records)
    }
}

/// The receipts of one commit are signed together.
fn sign() -> Result<Box<dyn Rounds>> {
    let sign = |scene: &mut Scene, receipts| ReceiptRun::sign_all(scene.sender(), vec![receipts]);
    work(Scene::new()?, receipts, sign, |runs| runs.iter().map(ReceiptRun::len).sum())
}

/// A run of receipts becomes a frame.
fn encode() -> Result<Box<dyn Rounds>> {
    let run = |(scene, _, buffer): &mut (Scene, FrameEncoder, Vec<u8>)| {
        buffer.clear();
        let receipts = receipts(scene)?;
        let run = ReceiptRun::sign_all(scene.sender(), vec![receipts]).pop().context("a run")?;
        Ok(ServerFrame::Receipts(run))
    };
    let state = (Scene::new()?, FrameEncoder::default(), Vec::with_capacity(FRAME_BYTES_MAX));
    let encode = |(_, encoder, buffer): &mut (Scene, FrameEncoder, Vec<u8>), frame: ServerFrame| {
        let encoded = encoder.encode_server(&frame, buffer);
        (encoded, frame)
    };
    work(state, run, encode, |(encoded, _)| if encoded.is_ok() { MESSAGES } else { 0 })
}

fn receipts(scene: &mut Scene) -> Result<Vec<(u64, Receipt)>> {
    let effects = scene.plans(Kind::Kept)?.into_iter().flat_map(|Plan { effects, .. }| effects);
    let receipts = effects.filter_map(|effect| match effect {
        Effect::Accept(ticket, receipt) => Some((ticket.tag, receipt)),
        _ => None,
    });
    let receipts: Vec<_> = receipts.collect();
    ensure!(receipts.len() == MESSAGES, "{} receipts", receipts.len());
    Ok(receipts)
}
