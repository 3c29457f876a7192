//! Tables of the odd multiples of points, in affine coordinates.

use crate::gather::Gather;
use crate::lane::{Kernel, Lane, Mask};
use crate::packed::Packed;
use crate::point::{Affine, Jacobian};
use crate::sums::{Scratch, Sums, ToAffine};

/// Bits of a window.
pub(crate) const WINDOW: usize = 8;

/// Extends tables of odd multiples in parallel: entry `j·columns + c` becomes (2·j + 1) times column c's point.
///
/// The first `columns` entries hold the points. Each level doubles a table by adding 2^(level + 1) times the point, so
/// that one inversion is shared by as many additions as there are entries.
pub(crate) struct Grow<'a, L, P> {
    pub(crate) columns: usize,
    pub(crate) levels: usize,
    /// `(n, c)`: 2^n times column c's point.
    pub(crate) power: P,
    pub(crate) entries: &'a mut [Affine<L>],
    /// At least half as long as the entries.
    pub(crate) addends: &'a mut [Affine<L>],
    pub(crate) scratch: &'a mut Scratch<L>,
    /// Marks of exceptional cases, by column.
    pub(crate) bad: &'a mut [Mask],
}

impl<L: Lane, P: Fn(usize, usize) -> Affine<L>> Kernel<L> for Grow<'_, L, P> {
    type Output = ();

    #[inline(always)]
    fn run(self, token: L::Token) {
        for level in 0..self.levels {
            let count = self.columns << level;
            for i in 0..count {
                self.addends[i] = (self.power)(level + 1, i % self.columns);
            }
            self.entries.copy_within(..count, count);
            L::vectorize(
                token,
                Sums {
                    sums: &mut self.entries[count..2 * count],
                    addends: &self.addends[..count],
                    scratch: self.scratch,
                    bad: self.bad,
                },
            );
        }
    }
}

/// p, 2·p, 4·p and so on, for the length of `powers`.
pub(crate) struct Powers<'a, L> {
    pub(crate) of: Affine<L>,
    pub(crate) powers: &'a mut [Jacobian<L>],
}

impl<L: Lane> Kernel<L> for Powers<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: L::Token) {
        let mut point = Jacobian::from_affine(&self.of);
        for power in self.powers {
            *power = point;
            point = point.double();
        }
    }
}

/// Tables of the odd multiples of a point in each lane, for many vectors at a time: 1 to 2^(levels + 1) - 1.
pub struct OddMultiples<L: Lane> {
    token: L::Token,
    levels: usize,
    vectors: usize,
    jacobian: Vec<Jacobian<L>>,
    powers: Vec<Affine<L>>,
    entries: Vec<Affine<L>>,
    addends: Vec<Affine<L>>,
    scratch: Scratch<L>,
}

impl<L: Lane> OddMultiples<L> {
    /// For tables of up to `vectors` vectors.
    pub fn new(token: L::Token, levels: usize, vectors: usize) -> Self {
        let (powers, entries) = ((levels + 1) * vectors, vectors << levels);
        Self {
            token,
            levels,
            vectors: 0,
            jacobian: vec![Jacobian::blank(token); powers],
            powers: vec![Affine::blank(token); powers],
            entries: vec![Affine::blank(token); entries],
            addends: vec![Affine::blank(token); entries / 2],
            scratch: Scratch::new(token, powers.max(entries)),
        }
    }

    /// Computes the tables of `bad.len()` vectors; marks lanes with exceptional cases. `point` has the vector and the
    /// lane.
    pub fn fill<'a>(&mut self, bad: &mut [Mask], point: impl Fn(usize, usize) -> &'a Packed) {
        let vectors = bad.len();
        self.vectors = vectors;
        let mut column = [Jacobian::blank(self.token); MAX_LEVELS + 1];
        for v in 0..vectors {
            let of = L::vectorize(self.token, Gather(|lane| point(v, lane)));
            let powers = &mut column[..=self.levels];
            L::vectorize(
                self.token,
                Powers {
                    of,
                    powers: &mut *powers,
                },
            );
            for (n, power) in powers.iter().enumerate() {
                self.jacobian[n * vectors + v] = *power;
            }
        }
        L::vectorize(
            self.token,
            ToAffine {
                jacobian: &self.jacobian[..(self.levels + 1) * vectors],
                affine: &mut self.powers,
                scratch: &mut self.scratch,
                bad: &mut *bad,
            },
        );
        self.entries[..vectors].copy_from_slice(&self.powers[..vectors]);
        let powers = &self.powers;
        L::vectorize(
            self.token,
            Grow {
                columns: vectors,
                levels: self.levels,
                power: |n, v| powers[n * vectors + v],
                entries: &mut self.entries,
                addends: &mut self.addends,
                scratch: &mut self.scratch,
                bad,
            },
        );
    }

    /// (2·j + 1) times the points of vector v.
    #[inline(always)]
    pub fn entry(&self, j: usize, v: usize) -> &Affine<L> {
        &self.entries[j * self.vectors + v]
    }
}

/// Levels of the largest [`OddMultiples`].
const MAX_LEVELS: usize = 4;
