//! What misbehaving agents do: one function for each refusal that honest traffic does not give by itself.

mod acts;
mod commands;
mod messages;

use crate::world::World;

/// One misdeed; `None` if the world gives no occasion for it at the moment.
type Misdeed = fn(&mut World) -> Option<()>;

/// Committed in turn, run after run.
const MISDEEDS: &[Misdeed] = &[
    messages::too_deep,
    messages::duplicate_key,
    messages::not_utf8,
    messages::number_out_of_range,
    messages::malformed_json,
    messages::missing_attribute,
    messages::malformed_attribute,
    messages::unsupported_attribute,
    messages::relative_address,
    messages::foreign_domain,
    messages::unknown_agent,
    messages::source_mismatch,
    messages::replayed,
    messages::unsigned_mail,
    messages::invalid_signature,
    messages::foreign_key,
    messages::time_ahead,
    messages::outside_window,
    messages::expired,
    messages::id_conflict,
    messages::sent_twice,
    messages::unknown_schema,
    messages::invalid_payload,
    messages::as_a_stranger,
    messages::to_the_mesh,
    messages::ephemeral_topic,
    messages::agent_away,
    messages::late_reply,
    messages::duplicate_reply,
    messages::burst,
    acts::unknown_protocol,
    acts::other_protocol,
    acts::ended,
    acts::illegal_step,
    acts::not_bound,
    acts::role_full,
    acts::no_instance,
    acts::wrong_schema,
    acts::out_of_turn,
    acts::too_many,
    acts::quibble,
    acts::wrong_recipient,
    acts::wrong_parent,
    acts::too_late,
    acts::over_budget,
    acts::other_request,
    acts::custodial,
    acts::unusable_timer,
    acts::bad_invitation,
    // Their occasions are rare.
    acts::custodial,
    acts::wrong_recipient,
    acts::not_bound,
    acts::custodial,
    acts::wrong_recipient,
    commands::name_taken,
    commands::wrong_token,
    commands::bad_definition,
    commands::definition_conflict,
    commands::publish_protocol,
    commands::not_found,
    commands::stale_lease,
    commands::recall_held,
    commands::recall_act,
    commands::recall_foreign,
    commands::version_mismatch,
    messages::many_from_one,
    commands::bad_argument,
    commands::too_many_subscriptions,
    commands::too_many_tokens,
];

/// Too costly for every run.
const COSTLY: &[Misdeed] = &[messages::too_large, messages::too_many_keys, commands::too_many_waiting];
const COSTLY_EVERY: u64 = 16;

/// Commits the misdeeds of this place in the run.
pub(crate) fn commit(world: &mut World, place: u64) {
    // Seeds begin at different places, so that each misdeed meets all kinds of moments.
    let begin = world.seed.wrapping_mul(33);
    let index = begin.wrapping_add(place) % MISDEEDS.len() as u64;
    if let Some(misdeed) = MISDEEDS.get(index as usize) {
        let _ = misdeed(world);
    }
    if place == 5 && world.seed.is_multiple_of(COSTLY_EVERY) {
        for misdeed in COSTLY {
            let _ = misdeed(world);
        }
    }
}
