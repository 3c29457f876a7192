//! One scalar times many points: the lanes are rows, which share the schedule.

use secp_lanes::{Jacobian, Kernel, Lane, NAF_ENTRIES, OddMultiples, Schedule, Scratch, ToAffine, erase, vectors};
use zeroize::Zeroize as _;

use super::finish::{Batch, Slot};
use super::labels::Wanted;
use super::rows::Rows;
use super::steps::Step;

/// Levels in which a table of [`NAF_ENTRIES`] grows from one entry.
const LEVELS: usize = 3;

/// Memory for batches, allocated once and reused.
pub(crate) struct OneScalar<L: Lane> {
    pub(crate) batch: Batch<L>,
    multiples: OddMultiples<L>,
    /// b·T, before the batch has it in affine coordinates.
    products: Vec<Jacobian<L>>,
    scratch: Scratch<L>,
}

impl<L: Lane> OneScalar<L> {
    pub(crate) fn new(token: L::Token) -> Self {
        Self {
            batch: Batch::new(token),
            multiples: OddMultiples::new(token, LEVELS, vectors::<L>()),
            products: vec![Jacobian::blank(token); vectors::<L>()],
            scratch: Scratch::new(token, vectors::<L>()),
        }
    }

    /// Calls `found` for the candidate rows, in order.
    pub(crate) fn scan(&mut self, schedule: &Schedule, wanted: Wanted<'_>, rows: &Rows, mut found: impl FnMut(usize)) {
        let size = vectors::<L>() * L::LANES;
        for first in (0..rows.len()).step_by(size) {
            let end = (first + size).min(rows.len());
            let slots = &mut self.batch.slots;
            slots.clear();
            slots.extend((first..end.next_multiple_of(L::LANES)).map(|row| Slot {
                row: row.min(end - 1),
                receiver: 0,
                filler: row >= end,
            }));
            self.multiply(schedule, rows);
            self.batch.finish(&[wanted], rows, |row, _| found(row));
        }
    }

    /// The batch's secrets: b·T for each slot.
    fn multiply(&mut self, schedule: &Schedule, rows: &Rows) {
        let token = self.batch.token;
        let vectors = self.batch.vectors();
        let bad = &mut self.batch.bad[..vectors];
        bad.fill(0);
        let slots = &self.batch.slots;
        self.multiples
            .fill(bad, |v, lane| &rows.tweaks[slots[v * L::LANES + lane].row]);
        self.batch.clock.lap(Step::Tables);
        for (v, product) in self.products[..vectors].iter_mut().enumerate() {
            *product = L::vectorize(
                token,
                Walk {
                    schedule,
                    multiples: &self.multiples,
                    v,
                },
            );
        }
        L::vectorize(
            token,
            ToAffine {
                jacobian: &self.products[..vectors],
                affine: &mut self.batch.secrets,
                scratch: &mut self.scratch,
                bad: &mut self.batch.bad[..vectors],
            },
        );
    }
}

impl<L: Lane> Drop for OneScalar<L> {
    fn drop(&mut self) {
        erase(&mut self.products);
        self.scratch.zeroize();
    }
}

/// The schedule's doublings and additions for one vector. The sequence is the same for all rows of a scan.
struct Walk<'a, L: Lane> {
    schedule: &'a Schedule,
    multiples: &'a OddMultiples<L>,
    v: usize,
}

impl<L: Lane> Kernel<L> for Walk<'_, L> {
    type Output = Jacobian<L>;

    #[inline(always)]
    fn run(self, _: L::Token) -> Jacobian<L> {
        let entry = |j: usize| self.multiples.entry(j, self.v);
        let mut second = [*entry(0); NAF_ENTRIES];
        for (j, second) in second.iter_mut().enumerate() {
            *second = entry(j).endomorphism();
        }
        let mut sum: Option<Jacobian<L>> = None;
        for step in &self.schedule.steps {
            if let Some(sum) = &mut sum {
                for _ in 0..step.doublings {
                    *sum = sum.double();
                }
            }
            let Some(digit) = step.digit else { continue };
            let j = usize::from(digit.entry) % NAF_ENTRIES;
            let plain = if step.second_half { &second[j] } else { entry(j) };
            let addend = if digit.minus { plain.negate() } else { *plain };
            sum = Some(match sum {
                Some(sum) => sum.add(&addend),
                None => Jacobian::from_affine(&addend),
            });
        }
        // The schedule of a scalar that is not zero adds at least once.
        sum.unwrap_or(Jacobian::from_affine(entry(0)))
    }
}
