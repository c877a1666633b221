//! Schemas and protocol definitions: check a payload, check a step of a conversation.
