//! Many scalars times one point: the lanes are receivers, which share the table of the point.

use secp_lanes::{
    Affine, CombDigits, Combs, Digit, Gather, HALF_WINDOWS, Kernel, Lane, Mask, Scratch, Sums, all, comb_entry, vectors,
};

use super::finish::{Batch, CHAINS, Slot};
use super::labels::Wanted;
use super::rows::Rows;
use super::steps::Step;

/// Memory for batches, allocated once and reused.
pub(crate) struct ManyScalars<L: Lane> {
    pub(crate) batch: Batch<L>,
    combs: Combs<L>,
    /// The table's lane of each vector's row.
    tables: Vec<usize>,
}

impl<L: Lane> ManyScalars<L> {
    pub(crate) fn new(token: L::Token) -> Self {
        Self {
            batch: Batch::new(token),
            combs: Combs::new(token),
            tables: Vec::with_capacity(vectors::<L>()),
        }
    }

    /// Calls `found` for the candidate pairs, ordered by row and then by receiver.
    pub(crate) fn scan(
        &mut self,
        digits: &[&CombDigits],
        wanted: &[Wanted<'_>],
        rows: &Rows,
        mut found: impl FnMut(usize, usize),
    ) {
        let receivers = digits.len();
        let groups = receivers.div_ceil(L::LANES);
        for first in (0..rows.len()).step_by(L::LANES) {
            let count = (rows.len() - first).min(L::LANES);
            self.combs.fill(&L::vectorize(
                self.batch.token,
                Gather(|lane: usize| &rows.tweaks[first + lane.min(count - 1)]),
            ));
            self.batch.clock.lap(Step::Tables);
            let all_vectors = count * groups;
            for start in (0..all_vectors).step_by(vectors::<L>()) {
                let end = (start + vectors::<L>()).min(all_vectors);
                let slots = &mut self.batch.slots;
                slots.clear();
                self.tables.clear();
                self.batch.bad.fill(0);
                for (v, vector) in (start..end).enumerate() {
                    let (lane, group) = (vector / groups, vector % groups);
                    self.tables.push(lane);
                    if self.combs.bad >> lane & 1 == 1 {
                        self.batch.bad[v] = all::<L>();
                    }
                    slots.extend((group * L::LANES..(group + 1) * L::LANES).map(|receiver| Slot {
                        row: first + lane,
                        receiver: receiver.min(receivers - 1),
                        filler: receiver >= receivers,
                    }));
                }
                self.multiply(digits);
                self.batch.finish(wanted, rows, &mut found);
            }
        }
    }

    /// The batch's secrets: b·T for each slot.
    fn multiply(&mut self, digits: &[&CombDigits]) {
        let vectors = self.batch.vectors();
        L::vectorize(
            self.batch.token,
            Multiply {
                combs: &self.combs,
                tables: &self.tables,
                slots: &self.batch.slots,
                digits,
                sums: &mut self.batch.sums,
                addends: &mut self.batch.addends,
                scratch: &mut self.batch.scratch,
                bad: &mut self.batch.bad[..vectors],
            },
        );
        self.batch.secrets[..vectors].copy_from_slice(&self.batch.sums[..vectors]);
    }
}

struct Multiply<'a, L: Lane> {
    combs: &'a Combs<L>,
    tables: &'a [usize],
    slots: &'a [Slot],
    digits: &'a [&'a CombDigits],
    sums: &'a mut [Affine<L>],
    addends: &'a mut [Affine<L>],
    scratch: &'a mut Scratch<L>,
    bad: &'a mut [Mask],
}

impl<L: Lane> Kernel<L> for Multiply<'_, L> {
    type Output = ();

    /// Two chains for each half; the second half's sum is multiplied by λ at the end, all at once.
    #[inline(always)]
    fn run(self, token: L::Token) {
        const STEPS: usize = 2 * HALF_WINDOWS / CHAINS;
        let vectors = self.tables.len();
        for step in 0..STEPS {
            let into = if step == 0 { &mut *self.sums } else { &mut *self.addends };
            for chain in 0..CHAINS {
                // Chains 0 and 2 belong to the first half, so that the first addition of chains leaves the halves
                // apart.
                let (half, window) = (chain % 2, chain / 2 * STEPS + step);
                for v in 0..vectors {
                    let table = self.combs.table(self.tables[v]);
                    let digit = |lane: usize| -> Digit {
                        self.digits[self.slots[v * L::LANES + lane].receiver].halves[half][window]
                    };
                    let minus = (0..L::LANES).fold(0, |m, lane| m | Mask::from(digit(lane).minus) << lane);
                    into[chain * vectors + v] =
                        Affine::gather_signed(token, minus, |lane| &table[comb_entry(window, digit(lane))]);
                }
            }
            if step > 0 {
                L::vectorize(
                    token,
                    Sums {
                        sums: &mut self.sums[..CHAINS * vectors],
                        addends: &self.addends[..CHAINS * vectors],
                        scratch: self.scratch,
                        bad: self.bad,
                    },
                );
            }
        }
        let (sums, addends) = self.sums.split_at_mut(2 * vectors);
        L::vectorize(
            token,
            Sums {
                sums,
                addends: &addends[..2 * vectors],
                scratch: self.scratch,
                bad: self.bad,
            },
        );
        let (sums, addends) = self.sums.split_at_mut(vectors);
        for second in &mut addends[..vectors] {
            *second = second.endomorphism();
        }
        L::vectorize(
            token,
            Sums {
                sums,
                addends: &addends[..vectors],
                scratch: self.scratch,
                bad: self.bad,
            },
        );
    }
}
