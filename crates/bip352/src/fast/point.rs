//! Points of y² = x³ + 7 in lanes: Jacobian with one schedule for all lanes, and affine with one inversion for many additions.
//!
//! No addition looks for its exceptional cases (equal or opposite points, infinity). They show afterwards: in Jacobian coordinates z
//! becomes and stays zero, in affine ones the difference of the x coordinates is zero. Such lanes are marked, and the rows that they carry
//! are scanned by libsecp256k1.

use zeroize::Zeroize;

use super::field::Fe;
use super::lane::{Kernel, Lane, MAX_LANES, Mask, all};

/// One point as it lies in tables: four words of x and four of y, lowest first, below p.
#[derive(Clone, Copy, Zeroize)]
#[repr(C, align(64))]
pub(crate) struct Packed(pub(crate) [u64; 8]);

impl Packed {
    /// From the big-endian coordinates.
    pub(crate) fn from_bytes(xy: &[u8; 64]) -> Self {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(xy.rchunks_exact(8)) {
            *word = bytes.iter().fold(0, |w, b| w << 8 | u64::from(*b));
        }
        // The bytes run from y's lowest word to x's highest.
        words.rotate_left(4);
        Self(words)
    }

    /// SEC 1, 2.3.3, without compression.
    pub(crate) fn uncompressed(&self) -> [u8; 65] {
        let mut bytes = [4; 65];
        let (x, y) = bytes[1..].split_at_mut(32);
        for (half, words) in [x, y].into_iter().zip(self.0.chunks_exact(4)) {
            for (bytes, word) in half.rchunks_exact_mut(8).zip(words) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
        }
        bytes
    }

    /// SEC 1, 2.3.3, with compression.
    pub(crate) fn compressed(&self) -> [u8; 33] {
        let mut bytes = [2; 33];
        bytes.copy_from_slice(&self.uncompressed()[..33]);
        bytes[0] = 2 | (self.0[4] & 1) as u8;
        bytes
    }
}

/// The generator, and what stands in for a point that is none.
pub(crate) const GENERATOR: Packed = Packed([
    0x59f2_815b_16f8_1798,
    0x029b_fcdb_2dce_28d9,
    0x55a0_6295_ce87_0b07,
    0x79be_667e_f9dc_bbac,
    0x9c47_d08f_fb10_d4b8,
    0xfd17_b448_a685_5419,
    0x5da4_fbfc_0e11_08a8,
    0x483a_da77_26a3_c465,
]);

/// A point with affine coordinates in each lane.
#[derive(Clone, Copy)]
pub(crate) struct Affine<L> {
    pub(crate) x: Fe<L>,
    pub(crate) y: Fe<L>,
}

impl<L: Zeroize> Zeroize for Affine<L> {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
    }
}

impl<L: Lane> Affine<L> {
    #[inline(always)]
    pub(crate) fn gather<'a>(point: impl Fn(usize) -> &'a Packed) -> Self {
        let [a, b, c, d, e, f, g, h] = L::gather(point);
        Self {
            x: Fe::from_words([a, b, c, d]),
            y: Fe::from_words([e, f, g, h]),
        }
    }

    /// As [`Affine::gather`], the points of the lanes in `minus` negated.
    #[inline(always)]
    pub(crate) fn gather_signed<'a>(minus: Mask, point: impl Fn(usize) -> &'a Packed) -> Self {
        let plain = Self::gather(point);
        // Both have limbs below 2^53: one carry serves either sign.
        let y = super::field::Loose::select(minus, &plain.y.negated(), &plain.y.loose()).carry();
        Self { x: plain.x, y }
    }

    /// The generator, to fill a room with.
    pub(crate) fn blank() -> Self {
        let Jacobian { x, y, .. } = Jacobian::blank();
        Self { x, y }
    }

    /// Every lane's point, for tables.
    #[inline(always)]
    pub(crate) fn pack(&self) -> [Packed; MAX_LANES] {
        let (x, y) = (self.x.normalize().to_words(), self.y.normalize().to_words());
        let mut points = [Packed([0; 8]); MAX_LANES];
        for (i, word) in x.into_iter().chain(y).enumerate() {
            for (point, w) in points.iter_mut().zip(word.to_lanes()) {
                point.0[i] = w;
            }
        }
        points
    }

    /// `-self`.
    #[inline(always)]
    pub(crate) fn negate(&self) -> Self {
        Self {
            x: self.x,
            y: self.y.negated().carry(),
        }
    }

    /// λ·self, one multiplication (Gallant, Lambert, Vanstone).
    #[inline(always)]
    pub(crate) fn endomorphism(&self) -> Self {
        Self {
            x: self.x.mul(&Fe::beta()),
            y: self.y,
        }
    }
}

/// A point (x/z², y/z³) in each lane; z is settled and no more, and z = 0 marks a lane that met an exceptional case.
#[derive(Clone, Copy)]
pub(crate) struct Jacobian<L> {
    pub(crate) x: Fe<L>,
    pub(crate) y: Fe<L>,
    pub(crate) z: Fe<L>,
}

impl<L: Zeroize> Zeroize for Jacobian<L> {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
        self.z.zeroize();
    }
}

impl<L: Lane> Jacobian<L> {
    #[inline(always)]
    pub(crate) fn from_affine(p: &Affine<L>) -> Self {
        Self {
            x: p.x,
            y: p.y,
            z: Fe::one(),
        }
    }

    /// As [`Affine::blank`].
    pub(crate) fn blank() -> Self {
        L::vectorize(Blank)
    }

    /// 2·self, three multiplications and four squarings (Explicit-Formulas Database, a = 0: dbl-2009-l, with D = 4·X·B).
    #[inline(always)]
    pub(crate) fn double(&self) -> Self {
        let a = self.x.square();
        let b = self.y.square();
        let c = b.square();
        let xb = self.x.mul(&b).loose();
        let e = a.plus(&a).plus(&a.loose()).settle();
        let x = e.square_add(&xb.times::<3>().negated::<4>());
        let d_x = xb.times::<2>().plus(&x.negated()).settle();
        let y = e.mul_add(&d_x, &c.loose().times::<3>().negated::<4>());
        let z = self.y.mul(&self.z).loose().times::<1>().settle();
        Self { x, y, z }
    }

    /// self + q, eight multiplications and three squarings (Explicit-Formulas Database: madd, after Cohen, Miyaji and Ono).
    #[inline(always)]
    pub(crate) fn add(&self, q: &Affine<L>) -> Self {
        let zz = self.z.square();
        let h = q.x.mul_add(&zz, &self.x.negated());
        let r = q.y.mul_add(&zz.mul(&self.z), &self.y.negated());
        let hh = h.square();
        let hhh = h.mul(&hh);
        let v = self.x.mul(&hh);
        let x = r.square_add(&v.plus(&v).plus(&hhh.loose()).negated::<2>());
        let v_x = v.minus(&x).settle();
        let y = r.mul_add(&v_x, &self.y.mul(&hhh).negated());
        let z = self.z.mul(&h);
        Self { x, y, z }
    }
}

struct Blank;

impl<L: Lane> Kernel<L> for Blank {
    type Output = Jacobian<L>;

    #[inline(always)]
    fn run(self) -> Jacobian<L> {
        Jacobian::from_affine(&Affine::gather(|_| &GENERATOR))
    }
}

/// Room for inversions that are shared, allocated once for many batches.
pub(crate) struct Scratch<L> {
    factors: Vec<Fe<L>>,
    prefixes: Vec<Fe<L>>,
}

impl<L: Zeroize> Zeroize for Scratch<L> {
    fn zeroize(&mut self) {
        erase(&mut self.factors);
        erase(&mut self.prefixes);
    }
}

/// Overwrites what scan keys have led to.
pub(crate) fn erase<T: Zeroize>(all: &mut [T]) {
    all.iter_mut().for_each(T::zeroize);
}

impl<L: Lane> Scratch<L> {
    pub(crate) fn new(longest: usize) -> Self {
        let blank = Affine::blank().x;
        Self {
            factors: vec![blank; longest],
            prefixes: vec![blank; longest],
        }
    }
}

/// Independent products that run side by side: one alone would wait for each multiplication to end before it begins the next.
const PRODUCTS: usize = 4;

/// Runs `then` on each index (from the last to the first) and the inverse of its factor, for one inversion in all (Montgomery's trick).
///
/// A zero factor becomes one, and its lanes are marked in `bad[index % bad.len()]`.
#[inline(always)]
fn invert_each<L: Lane>(
    count: usize,
    scratch: &mut Scratch<L>,
    bad: &mut [Mask],
    factor: impl Fn(usize) -> Fe<L>,
    mut then: impl FnMut(usize, Fe<L>),
) {
    let factors = &mut scratch.factors[..count];
    let prefixes = &mut scratch.prefixes[..count];
    let mut product = [Fe::one(); PRODUCTS];
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
        product = L::vectorize(WithoutZeros {
            factors: &mut *factors,
            prefixes: &mut *prefixes,
            bad,
        });
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

/// The rare way, once a product was zero: marks the zeros and makes the products anew without them.
struct WithoutZeros<'a, L> {
    factors: &'a mut [Fe<L>],
    prefixes: &'a mut [Fe<L>],
    bad: &'a mut [Mask],
}

impl<L: Lane> Kernel<L> for WithoutZeros<'_, L> {
    type Output = [Fe<L>; PRODUCTS];

    #[inline(always)]
    fn run(self) -> Self::Output {
        let mut product = [Fe::one(); PRODUCTS];
        let rows = self.bad.len().max(1);
        for (i, (factor, prefix)) in self.factors.iter_mut().zip(self.prefixes).enumerate() {
            // Factors are settled and no more.
            let zeros = factor.loose().carry().zeros() & all::<L>();
            if let Some(row) = self.bad.get_mut(i % rows) {
                *row |= zeros;
            }
            *factor = Fe::select(zeros, &Fe::one(), factor);
            let run = &mut product[i % PRODUCTS];
            *prefix = *run;
            *run = run.mul(factor);
        }
        product
    }
}

/// `sums[i] += addends[i]` in affine coordinates: five multiplications and a squaring each, and one inversion for all.
pub(crate) struct Sums<'a, L> {
    pub(crate) sums: &'a mut [Affine<L>],
    pub(crate) addends: &'a [Affine<L>],
    pub(crate) scratch: &'a mut Scratch<L>,
    /// Marks of exceptional cases, for the sums whose index is the same modulo the length.
    pub(crate) bad: &'a mut [Mask],
}

impl<L: Lane> Kernel<L> for Sums<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self {
            sums,
            addends,
            scratch,
            bad,
        } = self;
        let count = sums.len().min(addends.len());
        let sums = std::cell::Cell::from_mut(&mut sums[..count]).as_slice_of_cells();
        // A closure that were called would leave the machine's instructions behind, and each of them become a call.
        invert_each(
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

/// x(p + q) for each of two lists, and x(q - p) as well where `difference` says so: three multiplications for a share of the inversion, then a
/// multiplication and a squaring for each.
pub(crate) struct XSums<'a, L, S> {
    pub(crate) p: &'a [Affine<L>],
    pub(crate) q: &'a [Affine<L>],
    pub(crate) difference: bool,
    pub(crate) scratch: &'a mut Scratch<L>,
    /// As in [`Sums`].
    pub(crate) bad: &'a mut [Mask],
    /// `(index, lane, highest word of x)`.
    pub(crate) seen: S,
}

impl<L: Lane, S: FnMut(usize, usize, u64)> Kernel<L> for XSums<'_, L, S> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self {
            p,
            q,
            difference,
            scratch,
            bad,
            mut seen,
        } = self;
        invert_each(
            p.len().min(q.len()),
            scratch,
            bad,
            #[inline(always)]
            |i| q[i].x.minus(&p[i].x).settle(),
            #[inline(always)]
            |i, inverse| {
                let minus_both = p[i].x.plus(&q[i].x).negated::<2>();
                let slope = q[i].y.minus(&p[i].y).settle().mul(&inverse);
                tell(i, &slope.square_add(&minus_both), &mut seen);
                if difference {
                    let slope = q[i].y.plus(&p[i].y).settle().mul(&inverse);
                    tell(i, &slope.square_add(&minus_both), &mut seen);
                }
            },
        );
    }
}

#[inline(always)]
fn tell<L: Lane>(i: usize, x: &Fe<L>, seen: &mut impl FnMut(usize, usize, u64)) {
    let words = x.normalize().to_words()[3].to_lanes();
    for (lane, word) in words.iter().take(L::LANES).enumerate() {
        seen(i, lane, *word);
    }
}

/// Sums of any two points of a list, equal ones included: what is not added is only a point and its opposite.
pub(crate) struct AnySums<'a, L, P> {
    pub(crate) points: &'a mut [Packed],
    /// `(vector, lane)`: the place of a sum, where its first point lies, and that of the second. Lanes may repeat a pair of their vector.
    pub(crate) pairs: P,
    pub(crate) sums: &'a mut [Affine<L>],
    /// Room for the slopes' denominators (x) and numerators (y).
    pub(crate) slopes: &'a mut [Affine<L>],
    pub(crate) scratch: &'a mut Scratch<L>,
    /// The sums at infinity; their places hold no point any more.
    pub(crate) bad: &'a mut [Mask],
}

impl<L: Lane, P: Fn(usize, usize) -> (usize, usize)> Kernel<L> for AnySums<'_, L, P> {
    type Output = ();

    /// The slope is (y₂ - y₁)/(x₂ - x₁), and 3x²/2y where both points are one (SEC 1, 2.2.1). No point of the curve has y = 0.
    #[inline(always)]
    fn run(self) {
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
            let p = Affine::<L>::gather(|lane| &points[pairs(v, lane).0]);
            let q = Affine::<L>::gather(|lane| &points[pairs(v, lane).1]);
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
            vectors,
            scratch,
            bad,
            #[inline(always)]
            |v| slopes[v].x,
            #[inline(always)]
            |v, inverse| {
                let p = sums[v];
                let q = Affine::<L>::gather(|lane| &points[pairs(v, lane).1]);
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
pub(crate) struct ToAffine<'a, L> {
    pub(crate) jacobian: &'a [Jacobian<L>],
    pub(crate) affine: &'a mut [Affine<L>],
    pub(crate) scratch: &'a mut Scratch<L>,
    /// As in [`Sums`]: the lanes whose z is zero.
    pub(crate) bad: &'a mut [Mask],
}

impl<L: Lane> Kernel<L> for ToAffine<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self {
            jacobian,
            affine,
            scratch,
            bad,
        } = self;
        let count = jacobian.len().min(affine.len());
        invert_each(
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
