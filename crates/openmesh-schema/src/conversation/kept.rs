//! How records keep what a step consists of: agents by their keys, acts and names as texts.

use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decoder, Encoder};
use openmesh_message::{AgentId, Performative};
use std::sync::Arc;

type Encoded<W> = Result<(), EncodeError<<W as Write>::Error>>;

/// Items that room is made for before they are read: a list may say that it is longer than it is.
const ITEMS_AHEAD: u64 = 1_024;

/// An agent that was one when it was kept.
pub(super) mod agent {
    use super::{AgentId, DecodeError, Decoder, Encoded, Encoder, Write};

    pub(in super::super) fn encode<C, W: Write>(
        agent: &AgentId,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Encoded<W> {
        encoder.bytes(agent.public_key())?.ok()
    }

    pub(in super::super) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<AgentId, DecodeError> {
        let at = decoder.position();
        let key = decoder.bytes()?.try_into();
        key.map(AgentId::from_kept).map_err(|_| DecodeError::message("an agent is 32 bytes").at(at))
    }
}

/// An agent, or null.
pub(super) mod some_agent {
    use super::{AgentId, DecodeError, Decoder, Encoded, Encoder, Write, agent};
    use minicbor::data::Type;

    pub(in super::super) fn encode<C, W: Write>(
        some: &Option<AgentId>,
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Encoded<W> {
        match some {
            Some(one) => agent::encode(one, encoder, context),
            None => encoder.null()?.ok(),
        }
    }

    pub(in super::super) fn decode<C>(
        decoder: &mut Decoder<'_>,
        context: &mut C,
    ) -> Result<Option<AgentId>, DecodeError> {
        match decoder.datatype()? {
            Type::Null => decoder.null().map(|()| None),
            _ => agent::decode(decoder, context).map(Some),
        }
    }
}

/// A list of agents.
pub(super) mod agents {
    use super::{AgentId, DecodeError, Decoder, Encoded, Encoder, Write, agent, listed};

    pub(in super::super) fn encode<C, W: Write>(
        agents: &[AgentId],
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Encoded<W> {
        encoder.array(agents.len() as u64)?;
        agents.iter().try_for_each(|one| agent::encode(one, encoder, context))
    }

    pub(in super::super) fn decode<C>(
        decoder: &mut Decoder<'_>,
        context: &mut C,
    ) -> Result<Vec<AgentId>, DecodeError> {
        listed(decoder, |decoder| agent::decode(decoder, context))
    }
}

/// A list of acts.
pub(super) mod acts {
    use super::{Arc, DecodeError, Decoder, Encoded, Encoder, Performative, Write, listed};

    pub(in super::super) fn encode<C, W: Write>(
        acts: &Arc<[Performative]>,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Encoded<W> {
        encoder.array(acts.len() as u64)?;
        acts.iter().try_for_each(|act| encoder.str(act.as_str())?.ok())
    }

    pub(in super::super) fn decode<C>(
        decoder: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Arc<[Performative]>, DecodeError> {
        listed(decoder, Decoder::decode).map(Arc::from)
    }
}

/// A shared text, or null.
pub(super) mod text {
    use super::{Arc, DecodeError, Decoder, Encoded, Encoder, Write};

    pub(in super::super) fn encode<C, W: Write>(
        text: &Option<Arc<str>>,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Encoded<W> {
        encoder.encode(text.as_deref())?.ok()
    }

    pub(in super::super) fn decode<C>(
        decoder: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Option<Arc<str>>, DecodeError> {
        Ok(decoder.decode::<Option<&str>>()?.map(Arc::from))
    }
}

fn listed<'b, T>(
    decoder: &mut Decoder<'b>,
    mut read: impl FnMut(&mut Decoder<'b>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let at = decoder.position();
    let count = decoder.array()?.ok_or_else(|| DecodeError::message("a list of no length").at(at))?;
    let ahead = usize::try_from(count.min(ITEMS_AHEAD)).unwrap_or_default();
    let mut items = Vec::with_capacity(ahead);
    for _ in 0..count {
        items.push(read(decoder)?);
    }
    Ok(items)
}
