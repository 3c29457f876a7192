//! Precomputed tables of a receiver: points in words, a set of labels, the scan key in digits.

use bitcoin::secp256k1::PublicKey;
use secp_lanes::{CombDigits, Packed};
use zeroize::Zeroizing;

use crate::keys::Receiver;

/// Fewer labels than this are always added.
const LABELS_TO_SUBTRACT: usize = 8;

/// Precomputed tables of a receiver: its points and its scan key, in the format of the lanes.
pub(crate) struct Tables {
    pub(crate) keys: Keys,
    pub(crate) digits: Box<CombDigits>,
}

impl Tables {
    pub(crate) fn new(receiver: &Receiver) -> Self {
        let bytes = Zeroizing::new(receiver.scan_secret().secret_bytes());
        let spend = receiver.spend_public_key();
        let labels: Vec<_> = receiver
            .label_points()
            .iter()
            .filter_map(|label| Some((packed(&label.point), packed(&spend.combine(&label.point).ok()?))))
            .collect();
        Self {
            keys: Keys::new(packed(&spend), &labels),
            digits: Box::new(CombDigits::new(&bytes)),
        }
    }
}

/// The point, in the format of tables.
pub(crate) fn packed(point: &PublicKey) -> Packed {
    let bytes = point.serialize_uncompressed();
    let mut coordinates = [0; 64];
    coordinates.copy_from_slice(&bytes[1..]);
    Packed::from_bytes(&coordinates)
}

/// The points B for which an output may be `t·G + B`.
pub(crate) struct Keys {
    /// `B_spend`, and then `B_spend` plus each label's point.
    pub(crate) points: Vec<Packed>,
    /// The labels' own points.
    pub(crate) labels: WordSet,
}

impl Keys {
    /// From `B_spend`, and each label's point with and without it.
    pub(crate) fn new(spend: Packed, labels: &[(Packed, Packed)]) -> Self {
        Self {
            points: std::iter::once(spend)
                .chain(labels.iter().map(|(_, paid)| *paid))
                .collect(),
            labels: WordSet::of(labels.iter().map(|(label, _)| first_word(label))),
        }
    }

    pub(crate) fn labels(&self) -> usize {
        self.points.len() - 1
    }

    /// Whether a scan for them must keep the keys of the outputs.
    pub(crate) fn may_subtract(&self) -> bool {
        self.labels() >= LABELS_TO_SUBTRACT
    }
}

/// Set of words for mostly unsuccessful look-ups: open addressing, at most a quarter full. The words are x coordinates,
/// effectively random.
pub(crate) struct WordSet(Vec<u64>);

impl WordSet {
    fn of(words: impl ExactSizeIterator<Item = u64>) -> Self {
        let mut places = vec![0; (4 * words.len()).next_power_of_two()];
        let mask = places.len() - 1;
        for word in words {
            let mut place = word as usize & mask;
            while places[place] != 0 && places[place] != word {
                place = (place + 1) & mask;
            }
            places[place] = word;
        }
        Self(places)
    }

    /// Zero marks an empty slot; looking up zero returns true.
    #[inline(always)]
    pub(crate) fn has(&self, word: u64) -> bool {
        let mask = self.0.len() - 1;
        let mut place = word as usize & mask;
        while self.0[place] != 0 {
            if self.0[place] == word {
                return true;
            }
            place = (place + 1) & mask;
        }
        word == 0
    }
}

/// The highest 64 bits of x.
fn first_word(point: &Packed) -> u64 {
    point.0[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_set_contains_exactly_its_words() {
        // Equal low bits, so that all of them collide.
        let words: Vec<u64> = (1..200).map(|n| n << 32 | 7).collect();
        let set = WordSet::of(words.iter().copied());
        assert!(words.iter().all(|w| set.has(*w)));
        assert!((200..400).all(|n| !set.has(n << 32 | 7)));
        assert!(!set.has(8) && set.has(0));
    }
}
