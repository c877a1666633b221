//! Whose messages an inbox holds, and how many of each: a message names its sender by a small number.

use openmesh_message::AgentId;
use std::collections::BTreeMap;

/// The senders of the messages an inbox holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Senders {
    slots: Vec<Slot>,
    by_id: BTreeMap<AgentId, u32>,
    free: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Slot {
    id: AgentId,
    messages: u64,
}

impl Senders {
    /// How many messages of a sender are held.
    pub(super) fn messages_of(&self, id: &AgentId) -> u64 {
        let slot = self.by_id.get(id).and_then(|number| self.slots.get(*number as usize));
        slot.map_or(0, |slot| slot.messages)
    }

    /// Who a number stands for.
    pub(super) fn id(&self, number: u32) -> Option<AgentId> {
        self.slots.get(number as usize).map(|slot| slot.id)
    }

    /// Counts one more message of a sender; the sender's number.
    pub(super) fn add(&mut self, id: AgentId) -> u32 {
        if let Some(number) = self.by_id.get(&id).copied() {
            if let Some(slot) = self.slots.get_mut(number as usize) {
                slot.messages += 1;
            }
            return number;
        }
        let slot = Slot { id, messages: 1 };
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(free) = self.slots.get_mut(number as usize) {
                    *free = slot;
                }
                number
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.by_id.insert(id, number);
        number
    }

    /// Counts one message less.
    pub(super) fn remove(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(number as usize) else { return };
        slot.messages = slot.messages.saturating_sub(1);
        if slot.messages == 0 {
            self.by_id.remove(&slot.id);
            self.free.push(number);
        }
    }
}
