//! What the log says of a run: read from the folder, verified, replayed. Nothing here comes from the agents.

use anyhow::{Context, Result, anyhow};
use openmesh_core::Directory;
use openmesh_core::record::{Body, Outcome, Record, is_committed, to_json};
use openmesh_core::replay::Replay;
use openmesh_message::ConversationId;
use openmesh_schema::Catalog;
use openmesh_store::{StoredRecord, VerifyOptions, VerifyReport, open_read_only, verify};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A run, as its log has it.
pub(crate) struct Figures {
    /// Every record.
    records: Vec<Record>,
    /// Who is registered.
    directory: Directory,
    /// How each conversation ended; `None` if it has not.
    pub(crate) conversations: BTreeMap<ConversationId, Option<&'static str>>,
    /// Messages taken in.
    pub(crate) messages: u64,
    /// Messages taken in that are acts of a conversation.
    pub(crate) acts: u64,
    /// Messages refused, by code.
    pub(crate) refusals: BTreeMap<String, u64>,
    /// The reason given with the first refusal of each code.
    pub(crate) reasons: BTreeMap<String, String>,
    /// What verification found.
    pub(crate) verified: VerifyReport,
    /// Steps decided again, all conversations together; they agreed with the log.
    pub(crate) steps: u64,
}

impl Figures {
    /// Reads, verifies and replays the log of a node's folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let log = folder.join("log");
        let verified = verify_all(&log)?;
        let mut figures = Self {
            records: read_records(&log)?,
            directory: Directory::default(),
            conversations: BTreeMap::new(),
            messages: 0,
            acts: 0,
            refusals: BTreeMap::new(),
            reasons: BTreeMap::new(),
            verified,
            steps: 0,
        };
        figures.count();
        figures.replay()?;
        Ok(figures)
    }

    /// How many conversations ended in each way; those that did not are `open`.
    pub(crate) fn by_outcome(&self) -> BTreeMap<&'static str, u64> {
        let mut by_outcome = BTreeMap::new();
        for ended in self.conversations.values() {
            *by_outcome.entry(ended.unwrap_or("open")).or_default() += 1;
        }
        by_outcome
    }

    /// Agents' names by id, as texts.
    pub(crate) fn names(&self) -> BTreeMap<String, String> {
        self.directory.iter().map(|(id, agent)| (id.to_string(), agent.name.to_string())).collect()
    }

    /// The conversation most worth looking at: a success, then the one with most records; and these records.
    pub(crate) fn exemplary(&self) -> Option<(ConversationId, Vec<Value>)> {
        let worth = |(id, ended): &(&ConversationId, &Option<&str>)| {
            (**ended == Some("success"), self.of_conversation(id).count())
        };
        let (id, _) = self.conversations.iter().max_by_key(worth)?;
        Some((*id, self.of_conversation(id).map(to_json).collect()))
    }

    /// The records of a conversation, refusals included.
    fn of_conversation(&self, id: &ConversationId) -> impl Iterator<Item = &Record> {
        let text = id.to_string();
        self.records.iter().filter(move |record| match &record.body {
            Body::Refused(refused) => refused.conversation.as_ref() == Some(&text),
            _ => record.step().is_some_and(|step| step.conversation.to_string() == text),
        })
    }

    fn count(&mut self) {
        for record in &self.records {
            match &record.header.outcome {
                Outcome::Accepted(_) => self.messages += 1,
                Outcome::Refused { code, .. } => {
                    *self.refusals.entry(code.clone()).or_default() += 1;
                    let reason = match &record.body {
                        Body::Refused(refused) => refused.detail.clone(),
                        _ => String::new(),
                    };
                    self.reasons.entry(code.clone()).or_insert(reason);
                }
                _ => {}
            }
            self.directory.note(record);
            let Some(step) = record.step() else { continue };
            self.acts += u64::from(matches!(record.header.outcome, Outcome::Accepted(_)));
            let ended = step.transition.ended().map(|outcome| outcome.as_str());
            let known = self.conversations.entry(step.conversation).or_default();
            *known = known.or(ended);
        }
    }

    fn replay(&mut self) -> Result<()> {
        let catalog = Catalog::builtin();
        for id in self.conversations.keys() {
            let mut replay = Replay::new(*id, &catalog, &self.directory);
            for record in &self.records {
                replay.step(record).map_err(|why| anyhow!("replay of {id} differs: {why}"))?;
            }
            self.steps += replay.steps();
        }
        Ok(())
    }
}

fn verify_all(log: &Path) -> Result<VerifyReport> {
    let is_kept = |record: &StoredRecord| is_committed(&record.header, &record.salt, &record.body);
    let mut options = VerifyOptions { commitment: Some(&is_kept), ..VerifyOptions::default() };
    verify(log, &mut options).context("cannot verify the log")
}

fn read_records(log: &Path) -> Result<Vec<Record>> {
    let (reader, _) = open_read_only(log).context("cannot read the log")?;
    let mut records = Vec::new();
    for stored in reader.records(1) {
        let stored = stored?;
        let record = crate::stored::record_of(&stored);
        records.push(record.with_context(|| format!("record {}", stored.position))?);
    }
    Ok(records)
}
