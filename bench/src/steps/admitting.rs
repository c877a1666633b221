//! What is done on the connection's task, before the queue: digest, proof, payload, and admission as a whole.

use super::scene::{Kind, NOW, Scene, admit_all};
use super::{Rounds, Step, work};
use anyhow::{Context, Result};
use openmesh_core::View;
use openmesh_core::admit::{Familiar, admit};
use openmesh_message::json::Document;
use openmesh_message::{AgentId, Digest, Envelope, KnownTree, Proof};
use openmesh_schema::Schema;
use std::sync::Arc;

pub(super) const STEPS: &[Step] = &[
    Step { name: "digest/kept", open: |_| digest(Kind::Kept) },
    Step { name: "digest/ephemeral", open: |_| digest(Kind::Ephemeral) },
    Step { name: "proof/single", open: |_| single() },
    Step { name: "proof/batch", open: |_| batch() },
    Step { name: "proof/known-tree", open: |_| known_tree() },
    Step { name: "parse/typed", open: |_| parse() },
    Step { name: "schema/typed", open: |_| schema() },
    Step { name: "admit/kept", open: |_| admission(Kind::Kept, 10) },
    Step { name: "admit/ephemeral", open: |_| admission(Kind::Ephemeral, 10) },
    Step { name: "admit/typed", open: |_| admission(Kind::Typed, 10) },
    Step { name: "admit/act", open: |_| admission(Kind::Act, 10) },
    Step { name: "admit/act-100-rules", open: |_| admission(Kind::Act, 100) },
];

/// A proof and what it is over.
type Proved = (Proof, Digest);

/// The attributes and the payload are hashed.
fn digest(kind: Kind) -> Result<Box<dyn Rounds>> {
    work(
        (Scene::new()?, kind),
        |(scene, kind)| scene.envelopes(*kind),
        |_, envelopes| {
            let digests: Vec<_> = envelopes.iter().map(Envelope::digest).collect();
            (digests, envelopes)
        },
        |(digests, _)| digests.len(),
    )
}

/// A signature for each message.
fn single() -> Result<Box<dyn Rounds>> {
    let sign = |scene: &mut Scene| {
        let digests = scene.envelopes(Kind::Ephemeral)?;
        let key = scene.sender();
        let proved = digests.iter().map(Envelope::digest).map(|digest| (Proof::sign(key, &digest), digest));
        Ok(proved.collect::<Vec<Proved>>())
    };
    let verify = |scene: &mut Scene, proved: Vec<Proved>| {
        let agent = scene.sender().id();
        proved.iter().filter(|(proof, digest)| proof.verify(&agent, digest).is_ok()).count()
    };
    work(Scene::new()?, sign, verify, |held| *held)
}

/// One signature for all: verified for the first, the others found in its tree.
fn batch() -> Result<Box<dyn Rounds>> {
    let verify = |scene: &mut Scene, proved: Vec<Proved>| {
        let agent = scene.sender().id();
        let (proof, digest) = proved.first()?;
        proof.verify(&agent, digest).ok()?;
        let mut tree = KnownTree::of(proof, digest)?;
        let others = proved.iter().skip(1).filter(|(proof, digest)| tree.holds(proof, digest)).count();
        Some((1 + others, proved))
    };
    work(Scene::new()?, proved, verify, |held| held.as_ref().map_or(0, |(held, _)| *held))
}

/// The same without the signature.
fn known_tree() -> Result<Box<dyn Rounds>> {
    let known = |scene: &mut Scene| {
        let proved = proved(scene)?;
        let tree = proved.first().and_then(|(proof, digest)| KnownTree::of(proof, digest));
        Ok((tree.context("a batch")?, proved))
    };
    let verify = |_: &mut Scene, (mut tree, proved): (KnownTree, Vec<Proved>)| {
        let held = proved.iter().filter(|(proof, digest)| tree.holds(proof, digest)).count();
        (held, tree, proved)
    };
    work(Scene::new()?, known, verify, |(held, _, _)| *held)
}

fn proved(scene: &mut Scene) -> Result<Vec<Proved>> {
    let envelopes = scene.envelopes(Kind::Kept)?;
    let proved = envelopes.into_iter().map(|mut envelope| Some((envelope.proof.take()?, envelope.digest())));
    proved.collect::<Option<_>>().context("a proof")
}

/// A payload becomes a document.
fn parse() -> Result<Box<dyn Rounds>> {
    work(
        Scene::new()?,
        |scene| scene.envelopes(Kind::Typed),
        |_, envelopes| {
            let documents: Vec<_> =
                envelopes.iter().map(|envelope| Document::read(&envelope.payload)).collect();
            (documents, envelopes)
        },
        |(documents, _)| documents.iter().flatten().count(),
    )
}

/// A document is checked against its schema.
fn schema() -> Result<Box<dyn Rounds>> {
    let mut scene = Scene::new()?;
    let admitted = scene.admitted(Kind::Typed)?;
    let pinned = admitted.first().and_then(|one| one.control.schema.clone()).context("a schema")?;
    let schema = Arc::clone(scene.view().catalog.schema(&pinned.digest).context("a published schema")?);
    let documents = |(scene, _): &mut (Scene, Arc<Schema>)| {
        let admitted = scene.admitted(Kind::Typed)?;
        let documents: Option<Vec<_>> = admitted.into_iter().map(|one| one.payload).collect();
        documents.context("a payload")
    };
    let validate = |(_, schema): &mut (Scene, Arc<Schema>), documents: Vec<Arc<Document>>| {
        let valid = documents.iter().filter(|document| schema.validate(document).is_ok()).count();
        (valid, documents)
    };
    work((scene, schema), documents, validate, |(valid, _)| *valid)
}

/// A connection on which messages are admitted.
struct Admitting {
    scene: Scene,
    kind: Kind,
    agent: AgentId,
    view: View,
    familiar: Familiar,
}

/// All of admission.
fn admission(kind: Kind, rules: usize) -> Result<Box<dyn Rounds>> {
    let mut scene = Scene::with_rules(rules)?;
    let (agent, view, mut familiar) = (scene.sender().id(), scene.view(), Familiar::default());
    admit_all(scene.envelopes(kind)?, agent, &view, &mut familiar)?;
    let admitting = Admitting { scene, kind, agent, view, familiar };
    work(
        admitting,
        |admitting| admitting.scene.envelopes(admitting.kind),
        |admitting, envelopes| {
            let Admitting { agent, view, familiar, .. } = admitting;
            let admitted = envelopes.into_iter().map(|envelope| admit(envelope, *agent, view, familiar, NOW));
            admitted.collect::<Vec<_>>()
        },
        |admitted| admitted.iter().flatten().count(),
    )
}
