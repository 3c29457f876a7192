//! Points of y² = x³ + 7 in lanes: Jacobian with one schedule for all lanes, and affine with one inversion for many
//! additions.
//!
//! No addition checks for its exceptional cases (equal or opposite points, infinity). They are detected afterwards: in
//! Jacobian coordinates z becomes and stays zero, in affine ones the difference of the x coordinates is zero. Such
//! lanes are marked, and the rows that they carry are scanned by libsecp256k1.

use zeroize::Zeroize;

use crate::element::{Fe, Loose};
use crate::lane::{Kernel, Lane, MAX_LANES, Mask};
use crate::packed::{GENERATOR, Packed};

/// A point with affine coordinates in each lane.
#[derive(Clone, Copy)]
pub struct Affine<L> {
    /// The x coordinate.
    pub x: Fe<L>,
    /// The y coordinate.
    pub y: Fe<L>,
}

impl<L: Zeroize> Zeroize for Affine<L> {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
    }
}

impl<L: Lane> Affine<L> {
    /// Each lane's point.
    #[inline(always)]
    pub fn gather<'a>(token: L::Token, point: impl Fn(usize) -> &'a Packed) -> Self {
        let [a, b, c, d, e, f, g, h] = L::gather(token, point);
        Self {
            x: Fe::from_words([a, b, c, d]),
            y: Fe::from_words([e, f, g, h]),
        }
    }

    /// As [`Affine::gather`], the points of the lanes in `minus` negated.
    #[inline(always)]
    pub fn gather_signed<'a>(token: L::Token, minus: Mask, point: impl Fn(usize) -> &'a Packed) -> Self {
        let plain = Self::gather(token, point);
        // Both have limbs below 2^53: one carry serves either sign.
        let y = Loose::select(minus, &plain.y.negated(), &plain.y.loose()).carry();
        Self { x: plain.x, y }
    }

    /// The generator in each lane, to initialise memory with.
    pub fn blank(token: L::Token) -> Self {
        let Jacobian { x, y, .. } = Jacobian::blank(token);
        Self { x, y }
    }

    /// Every lane's point, for tables.
    #[inline(always)]
    pub fn pack(&self) -> [Packed; MAX_LANES] {
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
    pub fn negate(&self) -> Self {
        Self {
            x: self.x,
            y: self.y.negated().carry(),
        }
    }

    /// λ·self, one multiplication (Gallant, Lambert, Vanstone).
    #[inline(always)]
    pub fn endomorphism(&self) -> Self {
        Self {
            x: self.x.mul(&Fe::beta(self.x.token())),
            y: self.y,
        }
    }
}

/// A point (x/z², y/z³) in each lane; z is only settled, and z = 0 marks a lane that met an exceptional case.
#[derive(Clone, Copy)]
pub struct Jacobian<L> {
    /// The x coordinate times z².
    pub x: Fe<L>,
    /// The y coordinate times z³.
    pub y: Fe<L>,
    /// Only settled; zero marks a lane.
    pub z: Fe<L>,
}

impl<L: Zeroize> Zeroize for Jacobian<L> {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
        self.z.zeroize();
    }
}

impl<L: Lane> Jacobian<L> {
    /// With z = 1.
    #[inline(always)]
    pub fn from_affine(p: &Affine<L>) -> Self {
        Self {
            x: p.x,
            y: p.y,
            z: Fe::one(p.x.token()),
        }
    }

    /// As [`Affine::blank`].
    pub fn blank(token: L::Token) -> Self {
        L::vectorize(token, Blank)
    }

    /// 2·self, three multiplications and four squarings (Explicit-Formulas Database, a = 0: dbl-2009-l, with D =
    /// 4·X·B).
    #[inline(always)]
    pub fn double(&self) -> Self {
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

    /// self + q, eight multiplications and three squarings (Explicit-Formulas Database: madd, after Cohen, Miyaji and
    /// Ono).
    #[inline(always)]
    pub fn add(&self, q: &Affine<L>) -> Self {
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
    fn run(self, token: L::Token) -> Jacobian<L> {
        Jacobian::from_affine(&Affine::gather(token, |_| &GENERATOR))
    }
}
