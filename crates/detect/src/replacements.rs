//! Transactions that were replaced in the mempool, and by which.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bitcoin::Txid;

/// Replacements that are kept, the newest: about 1.5 MB, and some days of those of mainnet.
const KEPT: usize = 10_000;

/// The newest replacements since the start.
#[derive(Debug, Default)]
pub(super) struct Replacements(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// `None`: it has come back, or is in a block.
    by: HashMap<Txid, Option<Txid>>,
    /// The keys, the oldest first.
    order: VecDeque<Txid>,
}

impl Replacements {
    pub(super) fn insert(&self, replaced: Txid, by: Txid) {
        let mut known = self.known();
        if known.by.insert(replaced, Some(by)).is_some() {
            return;
        }
        known.order.push_back(replaced);
        if known.order.len() > KEPT
            && let Some(oldest) = known.order.pop_front()
        {
            known.by.remove(&oldest);
        }
    }

    /// This transaction is in the mempool or in a block, whatever was said before.
    pub(super) fn is_back(&self, txid: &Txid) {
        if let Some(by) = self.known().by.get_mut(txid) {
            *by = None;
        }
    }

    pub(super) fn of(&self, txid: &Txid) -> Option<Txid> {
        self.known().by.get(txid).copied().flatten()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash as _;

    use super::*;

    fn txid(number: u32) -> Txid {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        Txid::from_byte_array(bytes)
    }

    #[test]
    fn the_newest_are_kept() {
        let replacements = Replacements::default();
        for number in 0..=KEPT as u32 {
            replacements.insert(txid(number), txid(number + 1));
            // Replaced once more, after it had come back.
            replacements.insert(txid(number), txid(number + 2));
        }
        assert_eq!(replacements.of(&txid(0)), None);
        assert_eq!(replacements.of(&txid(1)), Some(txid(3)));
        assert_eq!(replacements.known().by.len(), KEPT);
        assert_eq!(replacements.known().order.len(), KEPT);
        replacements.is_back(&txid(5));
        assert_eq!(replacements.of(&txid(5)), None);
        replacements.insert(txid(5), txid(9));
        assert_eq!(replacements.of(&txid(5)), Some(txid(9)));
        assert_eq!(replacements.known().order.len(), KEPT);
    }
}
