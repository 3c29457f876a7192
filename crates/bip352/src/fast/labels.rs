//! A receiver's keys: `P = t·G + B` against the outputs, and the labels in whichever of two ways costs less.
//!
//! *Adding*: x(t·G + (B + L)) for each label L, looked up among the row's outputs: one addition for each label. *Subtracting*: x(O - P) and
//! x(-O - P) for each output O, looked up among the receiver's labels (BIP352, "Scanning"): one inversion and two slopes for each output
//! however many labels there are, and once for all receivers the square root that O's y coordinate takes.

use super::each::Pack;
use super::finish::{CHAINS, Slot};
use super::lane::{Kernel, Lane, MAX_VECTORS, Mask};
use super::point::{Affine, Packed, Scratch, Sums, XSums, erase};
use super::rows::Rows;

/// What a step costs for a row of eight lanes, look-ups included, in multiplications.
const ADDING: usize = 6;
const SUBTRACTING: usize = 12;
const LIFTING: usize = 350;
/// Fewer labels than this are always added.
const LABELS_TO_SUBTRACT: usize = 8;

/// What an output may be `t·G` plus.
#[derive(Clone)]
pub(crate) struct Keys {
    /// `B_spend`, and then `B_spend` plus each label's point.
    points: Vec<Packed>,
    /// The labels' own points.
    labels: WordSet,
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

    fn labels(&self) -> usize {
        self.points.len() - 1
    }

    /// Whether a call that scans for them has to keep the outputs' keys.
    pub(crate) fn may_subtract(&self) -> bool {
        self.labels() >= LABELS_TO_SUBTRACT
    }
}

/// A receiver of a call, and how its labels are looked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) keys: &'a Keys,
    subtracting: bool,
}

impl<'a> Wanted<'a> {
    /// Chooses for each receiver: subtracting where that is cheaper, if it is by so much that it pays for lifting the outputs.
    pub(crate) fn of<L: Lane>(keys: &[&'a Keys], rows: &mut Rows) -> Vec<Self> {
        let saved = |keys: &Keys| (keys.labels() * rows.len() * ADDING).saturating_sub(rows.outputs() * SUBTRACTING);
        let most = keys.iter().filter(|keys| keys.may_subtract()).map(|keys| saved(keys));
        let worth = most.sum::<usize>() > rows.outputs() * LIFTING;
        let wanted = keys
            .iter()
            .map(|keys| Self {
                keys,
                subtracting: worth && keys.may_subtract() && saved(keys) > 0,
            })
            .collect();
        if worth {
            rows.lift::<L>();
        }
        wanted
    }
}

/// Looks for the labels of a batch.
pub(crate) struct Search<'a, L: Lane> {
    pub(crate) slots: &'a [Slot],
    pub(crate) wanted: &'a [Wanted<'a>],
    pub(crate) rows: &'a Rows,
    /// `t·G` of each slot, by vectors.
    pub(crate) points: &'a [Affine<L>],
    pub(crate) sums: &'a mut [Affine<L>],
    pub(crate) addends: &'a mut [Affine<L>],
    pub(crate) scratch: &'a mut Scratch<L>,
    /// Marks of lanes that deserve a closer look: hits and exceptional cases.
    pub(crate) marks: &'a mut [Mask],
}

impl<L: Lane> Search<'_, L> {
    pub(crate) fn run(mut self) {
        self.add();
        if self.slots.iter().any(|slot| self.wanted[slot.receiver].subtracting) {
            self.subtract();
        }
    }

    /// As many additions as the receiver with the most keys has; the others repeat their last.
    fn add(&mut self) {
        let (slots, wanted, rows) = (self.slots, self.wanted, self.rows);
        let vectors = self.points.len();
        let points = |slot: &Slot| -> &[Packed] {
            let Wanted { keys, subtracting } = &wanted[slot.receiver];
            if *subtracting { &keys.points[..1] } else { &keys.points }
        };
        let most = slots.iter().map(|slot| points(slot).len()).max().unwrap_or(0);
        for next in (0..most).step_by(CHAINS) {
            let some = CHAINS.min(most - next);
            for i in 0..some {
                self.sums[i * vectors..(i + 1) * vectors].copy_from_slice(self.points);
                for v in 0..vectors {
                    self.addends[i * vectors + v] = L::vectorize(Gather(|lane| {
                        let points = points(&slots[v * L::LANES + lane]);
                        &points[(next + i).min(points.len() - 1)]
                    }));
                }
            }
            let mut hits = [0 as Mask; MAX_VECTORS];
            L::vectorize(XSums {
                p: &self.sums[..some * vectors],
                q: &self.addends[..some * vectors],
                difference: false,
                scratch: self.scratch,
                bad: self.marks,
                seen: |i: usize, lane: usize, word: u64| {
                    let v = i % vectors;
                    hits[v] |= Mask::from(rows.has(slots[v * L::LANES + lane].row, word)) << lane;
                },
            });
            for (mark, hit) in self.marks.iter_mut().zip(hits) {
                *mark |= hit;
            }
        }
    }

    /// The lanes are pairs of a slot and an output of its row.
    fn subtract(&mut self) {
        let (slots, wanted, rows) = (self.slots, self.wanted, self.rows);
        let vectors = self.points.len();
        self.sums[..vectors].copy_from_slice(self.points);
        for (v, spend) in self.addends[..vectors].iter_mut().enumerate() {
            *spend = L::vectorize(Gather(|lane: usize| {
                &wanted[slots[v * L::LANES + lane].receiver].keys.points[0]
            }));
        }
        L::vectorize(Sums {
            sums: &mut self.sums[..vectors],
            addends: &self.addends[..vectors],
            scratch: self.scratch,
            bad: self.marks,
        });
        // P of each slot.
        let mut points: Vec<Packed> = Vec::with_capacity(slots.len());
        for point in &self.sums[..vectors] {
            points.extend_from_slice(&L::vectorize(Pack(point))[..L::LANES]);
        }
        let subtracting = |(_, slot): &(usize, &Slot)| !slot.filler && wanted[slot.receiver].subtracting;
        let pairs: Vec<(usize, &Packed)> = slots
            .iter()
            .enumerate()
            .filter(subtracting)
            .flat_map(|(n, slot)| rows.lifted(slot.row).iter().map(move |output| (n, output)))
            .collect();
        for pairs in pairs.chunks(self.sums.len() * L::LANES) {
            let vectors = pairs.len().div_ceil(L::LANES);
            let pair = |v: usize, lane: usize| pairs[(v * L::LANES + lane).min(pairs.len() - 1)];
            for v in 0..vectors {
                self.sums[v] = L::vectorize(Gather(|lane| &points[pair(v, lane).0]));
                self.addends[v] = L::vectorize(Gather(|lane| pair(v, lane).1));
            }
            let mut bad = vec![0 as Mask; vectors];
            let mut marked = Vec::new();
            L::vectorize(XSums {
                p: &self.sums[..vectors],
                q: &self.addends[..vectors],
                difference: true,
                scratch: self.scratch,
                bad: &mut bad,
                seen: |v: usize, lane: usize, word: u64| {
                    let slot = pair(v, lane).0;
                    if wanted[slots[slot].receiver].keys.labels.has(word) {
                        marked.push(slot);
                    }
                },
            });
            // An output whose x coordinate is P's is a payment without a label; libsecp256k1 looks at it.
            for (v, bad) in bad.into_iter().enumerate() {
                marked.extend(
                    (0..L::LANES)
                        .filter(|lane| bad >> lane & 1 == 1)
                        .map(|lane| pair(v, lane).0),
                );
            }
            for slot in marked {
                self.marks[slot / L::LANES] |= 1 << (slot % L::LANES);
            }
        }
        erase(&mut points);
    }
}

/// A point for each lane.
pub(crate) struct Gather<P>(pub(crate) P);

impl<'a, L: Lane, P: Fn(usize) -> &'a Packed> Kernel<L> for Gather<P> {
    type Output = Affine<L>;

    #[inline(always)]
    fn run(self) -> Affine<L> {
        Affine::gather(self.0)
    }
}

/// Words of which few are looked for that are there: open addressing, a quarter full at most. They are x coordinates, as good as random.
#[derive(Clone)]
struct WordSet(Vec<u64>);

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

    /// Zero marks an empty place, and is said to be there.
    #[inline(always)]
    fn has(&self, word: u64) -> bool {
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
    fn a_set_of_words_has_what_it_was_given() {
        // The same low bits make them all meet.
        let words: Vec<u64> = (1..200).map(|n| n << 32 | 7).collect();
        let set = WordSet::of(words.iter().copied());
        assert!(words.iter().all(|w| set.has(*w)));
        assert!((200..400).all(|n| !set.has(n << 32 | 7)));
        assert!(!set.has(8) && set.has(0));
    }
}
