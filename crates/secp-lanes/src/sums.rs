//! Additions in affine coordinates, many of which share one inversion (Montgomery's trick).

use zeroize::Zeroize;

use crate::element::Fe;
use crate::lane::{Kernel, Lane, Mask, all};
use crate::packed::Packed;
use crate::point::{Affine, Jacobian};

/// Memory for shared inversions, allocated once and reused.
pub struct Scratch<L> {
    factors: Vec<Fe<L>>,
    prefixes: Vec<Fe<L>>,
}

impl<L: Zeroize> Zeroize for Scratch<L> {
    fn zeroize(&mut self) {
        erase(&mut self.factors);
        erase(&mut self.prefixes);
    }
}

/// Zeroises values derived from scan keys.
pub fn erase<T: Zeroize>(all: &mut [T]) {
    all.iter_mut().for_each(T::zeroize);
}

impl<L: Lane> Scratch<L> {
    /// For up to `longest` factors at a time.
    pub fn new(token: L::Token, longest: usize) -> Self {
        let blank = Affine::blank(token).x;
        Self {
            factors: vec![blank; longest],
            prefixes: vec![blank; longest],
        }
    }
}

/// Independent products, interleaved: a single chain would wait for the latency of each multiplication.
const PRODUCTS: usize = 4;

/// Runs `then` on each index (from the last to the first) and the inverse of its factor, for one inversion in all
/// (Montgomery's trick).
///
/// A zero factor becomes one, and its lanes are marked in `bad[index % bad.len()]`.
#[inline(always)]
fn invert_each<L: Lane>(
    token: L::Token,
    count: usize,
    scratch: &mut Scratch<L>,
    bad: &mut [Mask],
    factor: impl Fn(usize) -> Fe<L>,
    mut then: impl FnMut(usize, Fe<L>),
) {
    let factors = &mut scratch.factors[..count];
    let prefixes = &mut scratch.prefixes[..count];
    let mut product = [Fe::one(token); PRODUCTS];
    for (i, (kept, prefix)) in factors.iter_mut().zip(&mut *prefixes).enumerate() {
        let f = factor(i);
        let run = &mut product[i % PRODUCTS];
        *kept = f;
        *prefix = *run;
        *run = run.mul(&f);
    }
    let mut low = product[0].mul(&product[1]);
    let mut high = product[2].mul(&product[3]);
    if low.mul(&high).zeros() & all::<L>() != 0 {
        product = L::vectorize(
            token,
            WithoutZeros {
                factors: &mut *factors,
                prefixes: &mut *prefixes,
                bad,
            },
        );
        low = product[0].mul(&product[1]);
        high = product[2].mul(&product[3]);
    }
    let total = low.mul(&high).invert();
    let (of_low, of_high) = (total.mul(&high), total.mul(&low));
    let mut inverse = [
        of_low.mul(&product[1]),
        of_low.mul(&product[0]),
        of_high.mul(&product[3]),
        of_high.mul(&product[2]),
    ];
    for i in (0..count).rev() {
        let run = &mut inverse[i % PRODUCTS];
        let inverted = run.mul(&prefixes[i]);
        *run = run.mul(&factors[i]);
        then(i, inverted);
    }
}

/// Slow path after a zero product: marks the zeros and recomputes the products without them.
struct WithoutZeros<'a, L> {
    factors: &'a mut [Fe<L>],
    prefixes: &'a mut [Fe<L>],
    bad: &'a mut [Mask],
}

impl<L: Lane> Kernel<L> for WithoutZeros<'_, L> {
    type Output = [Fe<L>; PRODUCTS];

    #[inline(always)]
    fn run(self, token: L::Token) -> Self::Output {
        let mut product = [Fe::one(token); PRODUCTS];
        let rows = self.bad.len().max(1);
        for (i, (factor, prefix)) in self.factors.iter_mut().zip(self.prefixes).enumerate() {
            // Factors are only settled.
            let zeros = factor.loose().carry().zeros() & all::<L>();
            if let Some(row) = self.bad.get_mut(i % rows) {
                *row |= zeros;
            }
            *factor = Fe::select(zeros, &Fe::one(token), factor);
            let run = &mut product[i % PRODUCTS];
            *prefix = *run;
            *run = run.mul(factor);
        }
        product
    }
}

/// `sums[i] += addends[i]` in affine coordinates: five multiplications and a squaring each, and one inversion for all.
pub struct Sums<'a, L> {
    /// The points that are added to.
    pub sums: &'a mut [Affine<L>],
    /// One for each sum.
    pub addends: &'a [Affine<L>],
    /// For as many factors as there are sums.
    pub scratch: &'a mut Scratch<L>,
    /// Marks of exceptional cases, for the sums whose index is the same modulo the length.
    pub bad: &'a mut [Mask],
}

impl<L: Lane> Kernel<L> for Sums<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, token: L::Token) {
        let Self {
            sums,
            addends,
            scratch,
            bad,
        } = self;
        let count = sums.len().min(addends.len());
        let sums = std::cell::Cell::from_mut(&mut sums[..count]).as_slice_of_cells();
        // A closure that is called would be compiled without the vector instructions, and each of them would become a
        // call.
        invert_each(
            token,
            count,
            scratch,
            bad,
            #[inline(always)]
            |i| addends[i].x.minus(&sums[i].get().x).settle(),
            #[inline(always)]
            |i, inverse| {
                let (a, q) = (sums[i].get(), &addends[i]);
                let slope = q.y.minus(&a.y).settle().mul(&inverse);
                let x = slope.square_add(&a.x.plus(&q.x).negated::<2>());
                let y = slope.mul_add(&a.x.minus(&x).settle(), &a.y.negated());
                sums[i].set(Affine { x, y });
            },
        );
    }
}

/// x(p + q) for each of two lists, and x(q - p) as well if `difference` is set: three multiplications for a share of
/// the inversion, then a multiplication and a squaring for each.
pub struct XSums<'a, L, S> {
    /// The first points.
    pub p: &'a [Affine<L>],
    /// The second points.
    pub q: &'a [Affine<L>],
    /// Whether x(q - p) is computed as well.
    pub difference: bool,
    /// For as many factors as there are pairs.
    pub scratch: &'a mut Scratch<L>,
    /// As in [`Sums`].
    pub bad: &'a mut [Mask],
    /// Called with `(index, lane, highest word of x)`.
    pub seen: S,
}

impl<L: Lane, S: FnMut(usize, usize, u64)> Kernel<L> for XSums<'_, L, S> {
    type Output = ();

    #[inline(always)]
    fn run(self, token: L::Token) {
        let Self {
            p,
            q,
            difference,
            scratch,
            bad,
            mut seen,
        } = self;
        invert_each(
            token,
            p.len().min(q.len()),
            scratch,
            bad,
            #[inline(always)]
            |i| q[i].x.minus(&p[i].x).settle(),
            #[inline(always)]
            |i, inverse| {
                let minus_both = p[i].x.plus(&q[i].x).negated::<2>();
                let slope = q[i].y.minus(&p[i].y).settle().mul(&inverse);
                emit(i, &slope.square_add(&minus_both), &mut seen);
                if difference {
                    let slope = q[i].y.plus(&p[i].y).settle().mul(&inverse);
                    emit(i, &slope.square_add(&minus_both), &mut seen);
                }
            },
        );
    }
}

#[inline(always)]
fn emit<L: Lane>(i: usize, x: &Fe<L>, seen: &mut impl FnMut(usize, usize, u64)) {
    let words = x.normalize().to_words()[3].to_lanes();
    for (lane, word) in words.iter().take(L::LANES).enumerate() {
        seen(i, lane, *word);
    }
}

/// Sums of any two points of a list, including equal ones; only a point and its opposite are excluded.
pub struct AnySums<'a, L, P> {
    /// The list.
    pub points: &'a mut [Packed],
    /// `(vector, lane)`: the place of a sum, where its first point lies, and that of the second. Lanes may repeat a
    /// pair of their vector.
    pub pairs: P,
    /// Scratch for the sums, a vector each.
    pub sums: &'a mut [Affine<L>],
    /// Scratch for the slopes' denominators (x) and numerators (y).
    pub slopes: &'a mut [Affine<L>],
    /// For as many factors as there are vectors.
    pub scratch: &'a mut Scratch<L>,
    /// The sums at infinity; their positions hold no valid point.
    pub bad: &'a mut [Mask],
}

impl<L: Lane, P: Fn(usize, usize) -> (usize, usize)> Kernel<L> for AnySums<'_, L, P> {
    type Output = ();

    /// The slope is (y₂ - y₁)/(x₂ - x₁), and 3x²/2y for equal points (SEC 1, 2.2.1). No point on the curve has y = 0.
    #[inline(always)]
    fn run(self, token: L::Token) {
        let Self {
            points,
            pairs,
            sums,
            slopes,
            scratch,
            bad,
        } = self;
        let vectors = bad.len();
        for v in 0..vectors {
            let p = Affine::<L>::gather(token, |lane| &points[pairs(v, lane).0]);
            let q = Affine::<L>::gather(token, |lane| &points[pairs(v, lane).1]);
            let (x, y) = (q.x.minus(&p.x).carry(), q.y.minus(&p.y).carry());
            let same = x.zeros() & y.zeros();
            let square = p.x.square();
            let tripled = square.plus(&square).plus(&square.loose()).carry();
            sums[v] = p;
            slopes[v] = Affine {
                x: Fe::select(same, &p.y.plus(&p.y).carry(), &x),
                y: Fe::select(same, &tripled, &y),
            };
        }
        invert_each(
            token,
            vectors,
            scratch,
            bad,
            #[inline(always)]
            |v| slopes[v].x,
            #[inline(always)]
            |v, inverse| {
                let p = sums[v];
                let q = Affine::<L>::gather(token, |lane| &points[pairs(v, lane).1]);
                let slope = slopes[v].y.mul(&inverse);
                let x = slope.square_add(&p.x.plus(&q.x).negated::<2>());
                let y = slope.mul_add(&p.x.minus(&x).settle(), &p.y.negated());
                sums[v] = Affine { x, y };
            },
        );
        for (v, sum) in sums.iter().take(vectors).enumerate() {
            for (lane, sum) in sum.pack().into_iter().take(L::LANES).enumerate() {
                points[pairs(v, lane).0] = sum;
            }
        }
    }
}

/// `affine[i] = jacobian[i]`, one inversion for all.
pub struct ToAffine<'a, L> {
    /// The points.
    pub jacobian: &'a [Jacobian<L>],
    /// The results.
    pub affine: &'a mut [Affine<L>],
    /// For as many factors as there are points.
    pub scratch: &'a mut Scratch<L>,
    /// As in [`Sums`]: the lanes whose z is zero.
    pub bad: &'a mut [Mask],
}

impl<L: Lane> Kernel<L> for ToAffine<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, token: L::Token) {
        let Self {
            jacobian,
            affine,
            scratch,
            bad,
        } = self;
        let count = jacobian.len().min(affine.len());
        invert_each(
            token,
            count,
            scratch,
            bad,
            #[inline(always)]
            |i| jacobian[i].z,
            #[inline(always)]
            |i, inverse| {
                let p = &jacobian[i];
                let square = inverse.square();
                affine[i] = Affine {
                    x: p.x.mul(&square),
                    y: p.y.mul(&square.mul(&inverse)),
                };
            },
        );
    }
}
