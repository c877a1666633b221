//! What an agent asks of its node besides carrying messages: registry, definitions, topics, conversations.

use crate::{Mesh, SdkError};
use openmesh_message::frame::{Command, Reply, Retention};
use openmesh_message::{ConversationId, Digest, PinnedName, SignedReceipt};
use serde_json::Value;
use std::time::Duration;

const TOPICS_MAX: u32 = 500;

/// A schema or protocol as the node keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name, version and digest.
    pub name: PinnedName,
    /// Its stored form: RFC 8785 JSON.
    pub stored: String,
}

impl Mesh {
    /// Registers the agent under a name; the admin token is not needed where the domain is open.
    pub async fn register(&self, name: &str, token: Option<&str>) -> Result<(), SdkError> {
        let command = Command::Register { name: name.to_owned(), token: token.map(str::to_owned) };
        self.do_command("register", command).await
    }

    /// The agents of the domain, one JSON object each.
    pub async fn agents(&self) -> Result<Vec<Value>, SdkError> {
        self.rows("agents", Command::ListAgents).await
    }

    /// Publishes a JSON Schema (2020-12) under `namespace/name@v1.0.0`.
    pub async fn publish_schema(&self, name: &str, definition: &str) -> Result<Definition, SdkError> {
        let command = Command::PublishSchema { name: name.to_owned(), definition: definition.to_owned() };
        self.definition("publish_schema", command).await
    }

    /// Publishes a protocol (YAML or JSON); its name stands in it.
    pub async fn publish_protocol(&self, definition: &str) -> Result<Definition, SdkError> {
        let definition = definition.to_owned();
        let command = Command::PublishProtocol { definition };
        self.definition("publish_protocol", command).await
    }

    /// Fetches a schema by name, range (`market/rfp@^1`) or digest (`sha256-…`).
    pub async fn get_schema(&self, name: &str) -> Result<Definition, SdkError> {
        let name = name.to_owned();
        self.definition("get_schema", Command::GetSchema { name }).await
    }

    /// Fetches a protocol by name, range (`market/negotiation@^1`) or digest (`sha256-…`).
    pub async fn get_protocol(&self, name: &str) -> Result<Definition, SdkError> {
        let name = name.to_owned();
        self.definition("get_protocol", Command::GetProtocol { name }).await
    }

    /// The schemas and protocols of the domain, one JSON object each.
    pub async fn definitions(&self) -> Result<Vec<Value>, SdkError> {
        self.rows("definitions", Command::ListDefinitions).await
    }

    /// Makes the topics of a pattern pinned (their messages are kept) or ephemeral, before their first message;
    /// the admin token is not needed where the domain is open.
    pub async fn configure_topic(
        &self,
        pattern: &str,
        pinned: bool,
        token: Option<&str>,
    ) -> Result<(), SdkError> {
        let command = Command::ConfigureTopic {
            topic: self.absolute_pattern(pattern)?,
            pinned,
            token: token.map(str::to_owned),
        };
        self.do_command("configure_topic", command).await
    }

    /// The conversations that the agent may read, one JSON object each.
    pub async fn conversations(&self) -> Result<Vec<Value>, SdkError> {
        self.rows("conversations", Command::ListConversations).await
    }

    /// A conversation: its state, who owes what, what the agent may do.
    pub async fn show_conversation(&self, id: &ConversationId) -> Result<Value, SdkError> {
        let conversation = id.to_string();
        self.one_row("show_conversation", Command::ShowConversation { conversation }).await
    }

    /// The receipt of an earlier send, by the digest and id of the message; `None` if the node has no such message.
    pub async fn receipt(&self, message: &Digest, id: &str) -> Result<Option<SignedReceipt>, SdkError> {
        let command = Command::GetReceipt { message: *message, id: id.to_owned() };
        let Reply::Receipt(receipt) = self.ask("receipt", command).await? else {
            return Err(SdkError::UnexpectedReply("receipt"));
        };
        let receipt = receipt.map(|receipt| *receipt);
        let holds = receipt
            .as_ref()
            .is_none_or(|receipt| receipt.receipt.digest == *message && receipt.verifies(&self.node()));
        if holds {
            return Ok(receipt);
        }
        tracing::error!(%message, "a receipt is for another message or not signed by the node");
        Err(SdkError::UnexpectedReply("receipt"))
    }

    /// Calls back a message of this agent that its recipient has not taken; `receipt` is that of its send.
    pub async fn recall(&self, receipt: &SignedReceipt, id: &str) -> Result<(), SdkError> {
        let receipt = &receipt.receipt;
        let (recipient, number) = receipt.inbox().ok_or(SdkError::NoReceipt)?;
        let command = Command::Recall { recipient, number, message: receipt.digest, id: id.to_owned() };
        self.do_command("recall", command).await
    }

    /// Says how the topics of a pattern are kept; `expected_version`, if given, must be that in force (0: none).
    /// Returns the setting and its version as a JSON object.
    pub async fn set_topic(
        &self,
        pattern: &str,
        (pinned, retention): (bool, Retention),
        expected_version: Option<u64>,
        token: Option<&str>,
    ) -> Result<Value, SdkError> {
        let (topic, token) = (self.absolute_pattern(pattern)?, token.map(str::to_owned));
        let command = Command::SetTopic { topic, pinned, retention, expected_version, token };
        let mut rows = self.rows("set_topic", command).await?;
        rows.pop().ok_or(SdkError::UnexpectedReply("set_topic"))
    }

    /// The patterns that say how topics are kept, one JSON object each.
    pub async fn topics(&self) -> Result<Vec<Value>, SdkError> {
        self.rows("topics", Command::ListTopics).await
    }

    /// How a topic or pattern is kept, then what is there of up to 500 of its topics after one, a JSON object each.
    pub async fn show_topics(&self, pattern: &str, after: Option<&str>) -> Result<Vec<Value>, SdkError> {
        let (topic, after) = (self.absolute_pattern(pattern)?, after.map(str::to_owned));
        let command = Command::GetTopic { topic, after, topics_max: TOPICS_MAX };
        self.rows("show_topics", command).await
    }

    /// Has the node read its policy file again.
    pub async fn reload_policy(&self, token: &str) -> Result<(), SdkError> {
        let token = token.to_owned();
        self.do_command("reload_policy", Command::ReloadPolicy { token }).await
    }

    /// Erases the body of a kept message for good, named by its id or its record's position; what comes of it.
    pub async fn erase(&self, message: &str, reason: &str, token: Option<&str>) -> Result<Value, SdkError> {
        let (message, reason) = (message.to_owned(), reason.to_owned());
        let command = Command::Erase { message, reason, token: token.map(str::to_owned) };
        self.one_row("erase", command).await
    }

    pub(crate) async fn do_command(&self, step: &'static str, command: Command) -> Result<(), SdkError> {
        match self.ask(step, command).await? {
            Reply::Done => Ok(()),
            _ => Err(SdkError::UnexpectedReply(step)),
        }
    }

    async fn definition(&self, step: &'static str, command: Command) -> Result<Definition, SdkError> {
        match self.ask(step, command).await? {
            Reply::Definition { name, stored } => Ok(Definition { name: name.parse()?, stored }),
            _ => Err(SdkError::UnexpectedReply(step)),
        }
    }

    pub(crate) async fn one_row(&self, step: &'static str, command: Command) -> Result<Value, SdkError> {
        let mut rows = self.rows(step, command).await?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            _ => Err(SdkError::UnexpectedReply(step)),
        }
    }

    pub(crate) async fn rows(&self, step: &'static str, command: Command) -> Result<Vec<Value>, SdkError> {
        match self.ask(step, command).await? {
            Reply::Rows(rows) => parse_rows(&rows),
            _ => Err(SdkError::UnexpectedReply(step)),
        }
    }

    pub(crate) async fn ask(&self, step: &'static str, command: Command) -> Result<Reply, SdkError> {
        self.connection().command(step, command, Duration::ZERO).await
    }
}

pub(crate) fn parse_rows(rows: &[String]) -> Result<Vec<Value>, SdkError> {
    let parsed = rows.iter().map(|row| serde_json::from_str(row));
    Ok(parsed.collect::<Result<_, _>>()?)
}
