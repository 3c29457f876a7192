//! Multiplies each point by its own scalar: the lanes are points, each with its table; nonzero digits keep the lanes in
//! lockstep.
//!
//! Points and scalars are public here (a transaction's keys and its input hash).

use crate::gather::Pack;
use crate::lane::{Kernel, Lane, MAX_VECTORS, Mask, vectors};
use crate::multiples::OddMultiples;
use crate::packed::{GENERATOR, Packed};
use crate::point::{Affine, Jacobian};
use crate::scalar::{Digit, LOCKSTEP_ENTRIES, LOCKSTEP_WIDTH, LOCKSTEP_WINDOWS, LockstepDigits};
use crate::sums::{Scratch, ToAffine};

/// Levels in which a table of [`LOCKSTEP_ENTRIES`] grows from one entry.
const LEVELS: usize = 4;

/// Memory for batches, allocated once and reused.
pub struct EachScalar<L: Lane> {
    token: L::Token,
    multiples: OddMultiples<L>,
    /// One vector's table, each lane's multiples side by side for the look-ups.
    table: Vec<Packed>,
    products: Vec<Jacobian<L>>,
    affine: Vec<Affine<L>>,
    scratch: Scratch<L>,
}

impl<L: Lane> EachScalar<L> {
    /// For up to `pairs` pairs at a time, or a batch if that is less: memory that is not used costs as much to
    /// initialise as memory that is.
    pub fn new(token: L::Token, pairs: usize) -> Self {
        let vectors = pairs.div_ceil(L::LANES).min(vectors::<L>());
        Self {
            token,
            multiples: OddMultiples::new(token, LEVELS, vectors),
            table: vec![GENERATOR; LOCKSTEP_ENTRIES * L::LANES],
            products: vec![Jacobian::blank(token); vectors],
            affine: vec![Affine::blank(token); vectors],
            scratch: Scratch::new(token, vectors),
        }
    }

    /// Each scalar times its point, in order; `None` if a lane met an exceptional case.
    pub fn multiply(&mut self, pairs: &[(Packed, LockstepDigits)]) -> Vec<Option<Packed>> {
        let mut results = Vec::with_capacity(pairs.len());
        for pairs in pairs.chunks(self.products.len().max(1) * L::LANES) {
            let vectors = pairs.len().div_ceil(L::LANES);
            // The last vector is filled up with the last pair.
            let pair = |v: usize, lane: usize| &pairs[(v * L::LANES + lane).min(pairs.len() - 1)];
            let mut bad = [0 as Mask; MAX_VECTORS];
            let bad = &mut bad[..vectors];
            self.multiples.fill(bad, |v, lane| &pair(v, lane).0);
            for v in 0..vectors {
                self.products[v] = L::vectorize(
                    self.token,
                    Walk {
                        multiples: &self.multiples,
                        v,
                        table: &mut self.table,
                        digits: |lane: usize| &pair(v, lane).1,
                    },
                );
            }
            L::vectorize(
                self.token,
                ToAffine {
                    jacobian: &self.products[..vectors],
                    affine: &mut self.affine,
                    scratch: &mut self.scratch,
                    bad: &mut *bad,
                },
            );
            for (v, of_vector) in pairs.chunks(L::LANES).enumerate() {
                let points = L::vectorize(self.token, Pack(&self.affine[v]));
                let lanes = points.into_iter().take(of_vector.len()).enumerate();
                results.extend(lanes.map(|(lane, point)| (bad[v] >> lane & 1 == 0).then_some(point)));
            }
        }
        results
    }
}

/// 125 doublings, and an addition for each half and window.
struct Walk<'a, L: Lane, D> {
    multiples: &'a OddMultiples<L>,
    v: usize,
    table: &'a mut [Packed],
    digits: D,
}

impl<'a, L: Lane, D: Fn(usize) -> &'a LockstepDigits> Kernel<L> for Walk<'_, L, D> {
    type Output = Jacobian<L>;

    #[inline(always)]
    fn run(self, token: L::Token) -> Jacobian<L> {
        for j in 0..LOCKSTEP_ENTRIES {
            let points = self.multiples.entry(j, self.v).pack();
            for (lane, point) in points.into_iter().take(L::LANES).enumerate() {
                self.table[lane * LOCKSTEP_ENTRIES + j] = point;
            }
        }
        let last = LOCKSTEP_WINDOWS - 1;
        let mut sum = Jacobian::from_affine(&self.addend(token, 0, last)).add(&self.addend(token, 1, last));
        for window in (0..last).rev() {
            for _ in 0..LOCKSTEP_WIDTH {
                sum = sum.double();
            }
            sum = sum.add(&self.addend(token, 0, window));
            sum = sum.add(&self.addend(token, 1, window));
        }
        sum
    }
}

impl<'a, L: Lane, D: Fn(usize) -> &'a LockstepDigits> Walk<'_, L, D> {
    /// The table entry of each lane's digit. Not a closure: one that is not inlined would be compiled without the
    /// vector instructions.
    #[inline(always)]
    fn addend(&self, token: L::Token, half: usize, window: usize) -> Affine<L> {
        let digit = |lane: usize| -> Digit { (self.digits)(lane).halves[half][window] };
        let minus = (0..L::LANES).fold(0, |m, lane| m | Mask::from(digit(lane).minus) << lane);
        let plain = Affine::gather_signed(token, minus, |lane| {
            let entry = usize::from(digit(lane).entry) % LOCKSTEP_ENTRIES;
            &self.table[lane * LOCKSTEP_ENTRIES + entry]
        });
        if half == 1 { plain.endomorphism() } else { plain }
    }
}
