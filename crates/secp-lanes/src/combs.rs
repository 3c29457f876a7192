//! Tables of points that are multiplied by many scalars each.

use crate::lane::{Kernel, Lane, Mask};
use crate::multiples::{Grow, Powers, WINDOW};
use crate::packed::{GENERATOR, Packed};
use crate::point::{Affine, Jacobian};
use crate::scalar::{Digit, HALF_WINDOWS, LAST_WINDOW_ENTRIES, WINDOW_ENTRIES};
use crate::sums::{Scratch, Sums, ToAffine};

/// Entries of a [`Combs`] table.
const COMB_ENTRIES: usize = (HALF_WINDOWS - 1) * WINDOW_ENTRIES + LAST_WINDOW_ENTRIES;

/// Tables of as many points as there are lanes, each for any number of scalars: odd multiples of 2^(8·i)·T, 130 KiB a
/// point.
pub struct Combs<L: Lane> {
    token: L::Token,
    /// One table after the other.
    tables: Vec<Packed>,
    /// The lanes whose point led to an exceptional case.
    pub bad: Mask,
    jacobian: Vec<Jacobian<L>>,
    powers: Vec<Affine<L>>,
    entries: Vec<Affine<L>>,
    addends: Vec<Affine<L>>,
    scratch: Scratch<L>,
}

impl<L: Lane> Combs<L> {
    /// Empty tables.
    pub fn new(token: L::Token) -> Self {
        let powers = HALF_WINDOWS * WINDOW + 1;
        Self {
            token,
            tables: vec![GENERATOR; COMB_ENTRIES * L::LANES],
            bad: 0,
            jacobian: vec![Jacobian::blank(token); powers],
            powers: vec![Affine::blank(token); powers],
            entries: vec![Affine::blank(token); COMB_ENTRIES],
            addends: vec![Affine::blank(token); COMB_ENTRIES / 2],
            scratch: Scratch::new(token, COMB_ENTRIES),
        }
    }

    /// Computes the tables of these points.
    pub fn fill(&mut self, points: &Affine<L>) {
        let mut bad = [0; HALF_WINDOWS];
        L::vectorize(
            self.token,
            Powers {
                of: *points,
                powers: &mut self.jacobian,
            },
        );
        L::vectorize(
            self.token,
            ToAffine {
                jacobian: &self.jacobian,
                affine: &mut self.powers,
                scratch: &mut self.scratch,
                bad: &mut bad,
            },
        );
        let powers = &self.powers;
        for (column, entry) in self.entries.iter_mut().take(HALF_WINDOWS).enumerate() {
            *entry = powers[WINDOW * column];
        }
        L::vectorize(
            self.token,
            Grow {
                columns: HALF_WINDOWS,
                levels: 7,
                power: |n, column| powers[WINDOW * column + n],
                entries: &mut self.entries,
                addends: &mut self.addends,
                scratch: &mut self.scratch,
                bad: &mut bad,
            },
        );
        // The last window has entries beyond 255.
        let (whole, more) = self.entries.split_at_mut(HALF_WINDOWS * WINDOW_ENTRIES);
        let last = powers[HALF_WINDOWS * WINDOW];
        for (i, entry) in more.iter_mut().enumerate() {
            *entry = whole[i * HALF_WINDOWS + HALF_WINDOWS - 1];
        }
        self.addends[..more.len()].fill(last);
        L::vectorize(
            self.token,
            Sums {
                sums: more,
                addends: &self.addends,
                scratch: &mut self.scratch,
                bad: &mut bad,
            },
        );
        L::vectorize(
            self.token,
            Store {
                entries: &self.entries,
                tables: &mut self.tables,
            },
        );
        self.bad = bad.into_iter().fold(0, |all, lanes| all | lanes);
    }

    /// The table of one lane's point.
    #[inline(always)]
    pub fn table(&self, lane: usize) -> &[Packed] {
        &self.tables[lane * COMB_ENTRIES..(lane + 1) * COMB_ENTRIES]
    }
}

/// Where `(2·digit.entry + 1)·2^(8·window)·T` lies in a table.
#[inline(always)]
pub fn comb_entry(window: usize, digit: Digit) -> usize {
    let entry = usize::from(digit.entry);
    if entry < WINDOW_ENTRIES {
        entry * HALF_WINDOWS + window
    } else {
        HALF_WINDOWS * WINDOW_ENTRIES + entry - WINDOW_ENTRIES
    }
}

struct Store<'a, L> {
    entries: &'a [Affine<L>],
    tables: &'a mut [Packed],
}

impl<L: Lane> Kernel<L> for Store<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: L::Token) {
        for (i, entry) in self.entries.iter().enumerate() {
            for (table, point) in self.tables.chunks_exact_mut(COMB_ENTRIES).zip(entry.pack()) {
                table[i] = point;
            }
        }
    }
}
