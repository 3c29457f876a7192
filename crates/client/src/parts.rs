//! Joins the parts of large blocks before they are delivered, because a transaction can only be scanned with all its
//! outputs.

use sdk_relay_protocol::Tweaks;

/// Maximum number of transactions and outputs that are buffered for one block. A block of 4,000,000 weight units has
/// at most 23,255 taproot outputs.
const MOST_ENTRIES: usize = 100_000;

/// Incomplete blocks. Live blocks and history may be interleaved.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    live: Option<Partial>,
    historical: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    /// `part` is that of the first part that arrived.
    tweaks: Tweaks,
    entries: usize,
    next: u32,
}

impl Parts {
    /// Adds a part. Returns the block once its last part has arrived, with `part` and `parts` 1 if it is whole. If
    /// the first parts are missing, as after a gap, it keeps the number of the first part that arrived, and the
    /// number of parts.
    pub(crate) fn take(&mut self, part: Tweaks) -> Option<Tweaks> {
        let slot = if part.historical {
            &mut self.historical
        } else {
            &mut self.live
        };
        let begun = slot.take();
        let (number, parts) = (part.part, part.parts);
        let mut partial = match begun {
            Some(mut begun) if begun.tweaks.block_hash == part.block_hash && begun.next == number => {
                begun.entries += entries(&part);
                begun.tweaks.append(part);
                begun
            }
            begun => {
                if let Some(begun) = begun {
                    let (block, parts) = (begun.tweaks.block_hash, begun.tweaks.parts);
                    tracing::warn!(
                        block,
                        next = begun.next,
                        parts,
                        "ignoring an incomplete block of tweaks: its remaining parts did not arrive"
                    );
                }
                Partial {
                    entries: entries(&part),
                    tweaks: part,
                    next: number,
                }
            }
        };
        partial.next = number.saturating_add(1);
        if number < parts && partial.entries <= MOST_ENTRIES {
            *slot = Some(partial);
            return None;
        }
        let mut block = partial.tweaks;
        if block.part == 1 && number >= parts {
            block.parts = 1;
        }
        Some(block)
    }

    /// Discards incomplete blocks after a reconnect: they are sent again from their first part.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn entries(part: &Tweaks) -> usize {
    part.transactions.iter().map(|tx| 1 + tx.outputs.len()).sum()
}

#[cfg(test)]
mod tests {
    use sdk_relay_protocol::{TweakOutput, TweakTx};

    use super::*;

    /// A block of one transaction with this many outputs, in its parts.
    fn parts(hash: &str, outputs: u32, historical: bool) -> (Tweaks, Vec<Tweaks>) {
        let output = |vout| TweakOutput {
            vout,
            public_key: "7c".repeat(32),
            amount_sats: 1000,
        };
        let block = Tweaks {
            block_height: 7,
            block_hash: hash.to_owned(),
            transactions: vec![TweakTx {
                txid: "aa".repeat(32),
                tweak: "02".repeat(33),
                outputs: (0..outputs).map(output).collect(),
                continues: false,
            }],
            part: 1,
            parts: 1,
            historical,
        };
        (block.clone(), block.into_parts())
    }

    #[test]
    fn a_block_is_delivered_complete_also_between_parts_of_history() {
        let (live, of_live) = parts("a", 10_000, false);
        let (old, of_old) = parts("b", 20_000, true);
        assert!(of_live.len() >= 3 && of_old.len() > of_live.len());
        let mut merging = Parts::default();
        let mut whole = Vec::new();
        let mut of_live = of_live.into_iter();
        for part in of_old {
            whole.extend(merging.take(part));
            whole.extend(of_live.next().and_then(|part| merging.take(part)));
        }
        assert_eq!(whole, [live, old]);
        let (small, mut alone) = parts("c", 1, false);
        assert_eq!(merging.take(alone.remove(0)), Some(small));
    }

    #[test]
    fn a_block_that_starts_in_the_middle_is_marked() {
        let (_, all) = parts("a", 10_000, false);
        let last = u32::try_from(all.len()).unwrap();
        let mut merging = Parts::default();
        let rest: Vec<_> = all[1..].iter().cloned().filter_map(|p| merging.take(p)).collect();
        assert_eq!((rest.len(), rest[0].part, rest[0].parts), (1, 2, last));
        // A block of an earlier connection is not continued.
        assert_eq!(merging.take(all[0].clone()), None);
        merging.clear();
        let again: Vec<_> = all.into_iter().filter_map(|p| merging.take(p)).collect();
        assert_eq!((again.len(), again[0].part, again[0].parts), (1, 1, 1));
    }

    #[test]
    fn a_relay_cannot_exhaust_memory_with_parts() {
        let mut merging = Parts::default();
        let (_, all) = parts("a", 10_000, false);
        let endless = |n| Tweaks {
            part: n,
            parts: u32::MAX,
            ..all[0].clone()
        };
        let bound = (1..1000).find(|n| merging.take(endless(*n)).is_some());
        assert!(bound.is_some_and(|n| n < 100), "{bound:?}");
    }
}
