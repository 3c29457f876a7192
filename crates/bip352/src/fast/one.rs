//! One scalar meets many points: the lanes are rows, and all walk the same schedule.

use super::finish::{Batch, Slot, VECTORS};
use super::lane::{Kernel, Lane};
use super::multiples::{Grow, Powers};
use super::point::{Affine, GENERATOR, Jacobian, Packed, Scratch, ToAffine};
use super::rows::Rows;
use super::scalar::{NAF_ENTRIES, Schedule};
use super::steps::Step;

/// Levels in which a table of [`NAF_ENTRIES`] grows from one entry.
const LEVELS: usize = 3;
/// T, 2·T, 4·T and 8·T.
const POWERS: usize = LEVELS + 1;

/// The room for many batches.
pub(crate) struct OneScalar<L> {
    pub(crate) batch: Batch<L>,
    jacobian: Vec<Jacobian<L>>,
    powers: Vec<Affine<L>>,
    /// Entry `j·vectors + v` is (2·j + 1)·T of vector v.
    entries: Vec<Affine<L>>,
    addends: Vec<Affine<L>>,
    scratch: Scratch<L>,
}

impl<L: Lane> OneScalar<L> {
    pub(crate) fn new() -> Self {
        let blank = Affine::gather(|_| &GENERATOR);
        Self {
            batch: Batch::new(),
            jacobian: vec![Jacobian::from_affine(&blank); POWERS * VECTORS],
            powers: vec![blank; POWERS * VECTORS],
            entries: vec![blank; NAF_ENTRIES * VECTORS],
            addends: vec![blank; NAF_ENTRIES * VECTORS],
            scratch: Scratch::new(NAF_ENTRIES * VECTORS),
        }
    }

    /// Tells `found` of the rows that need a closer look, in their order.
    pub(crate) fn scan(&mut self, schedule: &Schedule, keys: &[Packed], rows: &Rows, mut found: impl FnMut(usize)) {
        let size = VECTORS * L::LANES;
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
            self.batch.finish(&[keys], rows, |row, _| found(row));
        }
    }

    /// The batch's secrets: b·T for each slot.
    fn multiply(&mut self, schedule: &Schedule, rows: &Rows) {
        let vectors = self.batch.vectors();
        let bad = &mut self.batch.bad[..vectors];
        bad.fill(0);
        let slots = &self.batch.slots;
        for v in 0..vectors {
            L::vectorize(Load {
                v,
                vectors,
                slots,
                rows,
                into: &mut self.jacobian,
            });
        }
        L::vectorize(ToAffine {
            jacobian: &self.jacobian[..POWERS * vectors],
            affine: &mut self.powers,
            scratch: &mut self.scratch,
            bad,
        });
        self.entries[..vectors].copy_from_slice(&self.powers[..vectors]);
        let powers = &self.powers;
        L::vectorize(Grow {
            columns: vectors,
            levels: LEVELS,
            power: |n, v| powers[n * vectors + v],
            entries: &mut self.entries,
            addends: &mut self.addends,
            scratch: &mut self.scratch,
            bad,
        });
        self.batch.clock.lap(Step::Tables);
        for (v, product) in self.jacobian[..vectors].iter_mut().enumerate() {
            *product = L::vectorize(Walk {
                schedule,
                entries: &self.entries,
                v,
                vectors,
            });
        }
        L::vectorize(ToAffine {
            jacobian: &self.jacobian[..vectors],
            affine: &mut self.batch.secrets,
            scratch: &mut self.scratch,
            bad,
        });
    }
}

/// The points of one vector and their first doublings.
struct Load<'a, L> {
    v: usize,
    vectors: usize,
    slots: &'a [Slot],
    rows: &'a Rows,
    into: &'a mut [Jacobian<L>],
}

impl<L: Lane> Kernel<L> for Load<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let of = Affine::gather(|lane| &self.rows.tweaks[self.slots[self.v * L::LANES + lane].row]);
        let mut powers = [Jacobian::from_affine(&of); POWERS];
        Powers {
            of,
            powers: &mut powers,
        }
        .run();
        for (n, power) in powers.into_iter().enumerate() {
            self.into[n * self.vectors + self.v] = power;
        }
    }
}

/// The schedule's doublings and additions for one vector. Which come, and in which order, is the same for all rows of a scan.
struct Walk<'a, L> {
    schedule: &'a Schedule,
    entries: &'a [Affine<L>],
    v: usize,
    vectors: usize,
}

impl<L: Lane> Kernel<L> for Walk<'_, L> {
    type Output = Jacobian<L>;

    #[inline(always)]
    fn run(self) -> Jacobian<L> {
        let entry = |j: usize| &self.entries[j * self.vectors + self.v];
        let second: [Affine<L>; NAF_ENTRIES] = std::array::from_fn(|j| entry(j).endomorphism());
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
