//! Which bytes are a key that signatures can be checked with. Finding out takes longer than all else that is read of a
//! message, so each thread remembers some.

use ed25519_dalek::VerifyingKey;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Keys that a thread remembers; when there are more, it begins anew.
const REMEMBERED_MAX: usize = 512;

thread_local! {
    static REMEMBERED: RefCell<BTreeMap<[u8; 32], VerifyingKey>> = RefCell::default();
    static LATEST: Cell<Option<[u8; 32]>> = const { Cell::new(None) };
}

/// Whether the bytes are a key, for whoever does not check a signature with it.
pub(super) fn is_usable(bytes: &[u8; 32]) -> bool {
    // What is read together is often of one agent.
    if LATEST.get().is_some_and(|latest| latest == *bytes) {
        return true;
    }
    let is_usable = usable_key(bytes).is_some();
    if is_usable {
        LATEST.set(Some(*bytes));
    }
    is_usable
}

/// The key, unless the bytes are no point of the curve or one of small order.
pub(super) fn usable_key(bytes: &[u8; 32]) -> Option<VerifyingKey> {
    REMEMBERED.with_borrow_mut(|remembered| {
        if let Some(key) = remembered.get(bytes) {
            return Some(*key);
        }
        let key = VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak())?;
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(*bytes, key);
        Some(key)
    })
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED, REMEMBERED_MAX, is_usable, usable_key};
    use crate::KeyPair;

    #[test]
    fn many_keys_are_told_from_others_and_few_are_remembered() {
        let keys = (0..=REMEMBERED_MAX as u32 + 10).map(|n| {
            let mut seed = [0; 32];
            seed[..4].copy_from_slice(&n.to_be_bytes());
            *KeyPair::from_seed(&seed).unwrap().id().public_key()
        });
        for key in keys {
            for _ in 0..2 {
                assert_eq!(usable_key(&key).unwrap().as_bytes(), &key);
                assert!(is_usable(&key));
                assert!(usable_key(&[2; 32]).is_none(), "no point of the curve");
                assert!(!is_usable(&[2; 32]));
            }
        }
        REMEMBERED.with_borrow(|remembered| assert!(remembered.len() <= REMEMBERED_MAX));
    }
}
