//! Ids, words, tokens, proofs as text: each value has one text.

use crate::cast::{agent, agent_key, home, message};
use crate::form::{is_a_text_of, is_the_text_of};
use crate::targets::{Met, Seed};
use openmesh_message::{
    AckLevel, AgentId, AgentName, AgentRef, ConversationId, Digest, DomainId, Performative, Position,
    Priority, Proof, Scopes, Token,
};

/// Any text.
pub fn target(input: &[u8]) -> Met {
    let Ok(text) = std::str::from_utf8(input) else {
        return Met::Refused;
    };
    let agent = is_the_text_of::<AgentId>(text);
    if let Some(agent) = agent {
        assert_eq!(AgentId::from_public_key(*agent.public_key()), Ok(agent));
        assert!(text.ends_with(&agent.short()));
    }
    let name = is_the_text_of::<AgentName>(text);
    let reference = is_the_text_of::<AgentRef>(text);
    assert_eq!(reference.is_some(), agent.is_some() || name.is_some());
    let digest = is_the_text_of::<Digest>(text);
    assert!(digest.is_none_or(|digest| Digest::from_bytes(*digest.as_bytes()) == digest));
    let taken = [
        reference.is_some(),
        digest.is_some(),
        is_the_text_of::<DomainId>(text).is_some(),
        is_the_text_of::<ConversationId>(text).is_some(),
        is_the_text_of::<Performative>(text).is_some(),
        is_the_text_of::<Proof>(text).is_some(),
        is_the_text_of::<Position>(text).is_some(),
        is_a_text_of::<Scopes>(text).is_some(),
        text.parse::<Token>().is_ok_and(|token| token.reveal() == text),
        text.parse::<AckLevel>().is_ok(),
        text.parse::<Priority>().is_ok(),
    ];
    if taken.contains(&true) { Met::Taken } else { Met::Refused }
}

/// One of each.
pub fn seeds() -> Vec<Seed> {
    let digests: Vec<Digest> = (0..3).map(|id: u8| Digest::of(&[id])).collect();
    let batch = Proof::sign_batch(&agent_key(0), &digests).swap_remove(1);
    vec![
        Seed::new("proof", message("m-1").proof.unwrap().to_string()),
        Seed::new("batch-proof", batch.to_string()),
        Seed::new("position", "0.2.17"),
        Seed::new("scopes", "send,read,inbox"),
        Seed::new("token", Token::from_random(&[7; 32]).reveal()),
        Seed::new("agent", agent(0).to_string()),
        Seed::new("domain", home().to_string()),
        Seed::new("digest", Digest::of(b"openmesh").to_string()),
        Seed::new("conversation", "0190c9a0-0000-7000-8000-000000000001"),
        Seed::new("performative", "accept-proposal"),
        Seed::new("own-performative", "acme.bid-bond"),
        Seed::new("name", "buyer-2.eu_1"),
        Seed::new("level", "durable"),
    ]
}
