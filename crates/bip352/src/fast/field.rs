//! Elements of the field of p = 2^256 - 2^32 - 977 in five limbs of 52 bits, for any [`Lane`].
//!
//! One rule holds for every [`Fe`] ("weakly reduced"): limbs 0 to 3 are below 2^52, and the value is below 2^256 + 2^247. Sums and
//! differences are [`Loose`] until [`Loose::carry`] or a multiplication that takes them as its addend makes them weakly reduced again.

use zeroize::Zeroize;

use super::lane::{Kernel, Lane, Mask};

/// Bits of a limb.
pub(crate) const LIMB: u32 = 52;
pub(crate) const M52: u64 = (1 << LIMB) - 1;
/// The last limb of a number below 2^256.
pub(crate) const M48: u64 = (1 << 48) - 1;
/// 2^256 mod p.
pub(crate) const R256: u64 = (1 << 32) + 977;
/// 2^260 mod p.
pub(crate) const R260: u64 = R256 << 4;
/// p in limbs.
pub(crate) const P: [u64; 5] = [0xf_fffe_ffff_fc2f, M52, M52, M52, M48];
/// β, a cube root of one: (β·x, y) is λ·(x, y) (Gallant, Lambert, Vanstone; SEC 2 gives the curve).
const BETA: [u64; 5] = [
    0x9_6c28_7195_01ee,
    0x7_512f_5899_5c13,
    0xc_3434_e99c_f049,
    0x7106_e644_79ea,
    0x7ae9_6a2b_657c,
];

/// A weakly reduced element in each lane.
#[derive(Clone, Copy)]
pub(crate) struct Fe<L>(pub(crate) [L; 5]);

impl<L: Zeroize> Zeroize for Fe<L> {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// A sum of elements whose limbs have not been carried: each below 2^58, none below zero.
#[derive(Clone, Copy)]
pub(crate) struct Loose<L>(pub(crate) [L; 5]);

impl<L: Lane> Fe<L> {
    #[inline(always)]
    fn constant(limbs: [u64; 5]) -> Self {
        let [a, b, c, d, e] = limbs;
        Self([L::splat(a), L::splat(b), L::splat(c), L::splat(d), L::splat(e)])
    }

    #[inline(always)]
    pub(crate) fn one() -> Self {
        Self::constant([1, 0, 0, 0, 0])
    }

    #[inline(always)]
    pub(crate) fn beta() -> Self {
        Self::constant(BETA)
    }

    /// From four words of 64 bits, the lowest first.
    #[inline(always)]
    pub(crate) fn from_words(w: [L; 4]) -> Self {
        let m = L::splat(M52);
        Self([
            w[0].and(m),
            w[0].shr::<52>().or(w[1].shl::<12>()).and(m),
            w[1].shr::<40>().or(w[2].shl::<24>()).and(m),
            w[2].shr::<28>().or(w[3].shl::<36>()).and(m),
            w[3].shr::<16>(),
        ])
    }

    /// Four words of 64 bits; the element has to be [normalized](Self::normalize).
    #[inline(always)]
    pub(crate) fn to_words(self) -> [L; 4] {
        let l = self.0;
        [
            l[0].or(l[1].shl::<52>()),
            l[1].shr::<12>().or(l[2].shl::<40>()),
            l[2].shr::<24>().or(l[3].shl::<28>()),
            l[3].shr::<36>().or(l[4].shl::<16>()),
        ]
    }

    #[inline(always)]
    pub(crate) fn loose(&self) -> Loose<L> {
        Loose(self.0)
    }

    /// `self + other`.
    #[inline(always)]
    pub(crate) fn plus(&self, other: &Self) -> Loose<L> {
        self.loose().plus(&other.loose())
    }

    /// `self - other`, as 2p more.
    #[inline(always)]
    pub(crate) fn minus(&self, other: &Self) -> Loose<L> {
        self.loose().plus(&other.negated())
    }

    /// `2p - self`: p's limbs, doubled, are above those of any weakly reduced element.
    #[inline(always)]
    pub(crate) fn negated(&self) -> Loose<L> {
        self.loose().negated::<1>()
    }

    #[inline(always)]
    pub(crate) fn mul(&self, other: &Self) -> Self {
        L::mul_add(self, other, &[L::splat(0); 5])
    }

    #[inline(always)]
    pub(crate) fn mul_add(&self, other: &Self, addend: &Loose<L>) -> Self {
        L::mul_add(self, other, &addend.0)
    }

    #[inline(always)]
    pub(crate) fn square(&self) -> Self {
        L::square_add(self, &[L::splat(0); 5])
    }

    #[inline(always)]
    pub(crate) fn square_add(&self, addend: &Loose<L>) -> Self {
        L::square_add(self, &addend.0)
    }

    #[inline(always)]
    pub(crate) fn select(mask: Mask, yes: &Self, no: &Self) -> Self {
        Self(select(mask, &yes.0, &no.0))
    }

    /// The one representative below p.
    #[inline(always)]
    pub(crate) fn normalize(&self) -> Self {
        // Below 2^256 after one fold; adding 2^256 - p then passes 2^256 exactly where the element is p or more.
        let folded = self.loose().carry();
        let mut more = folded.loose();
        more.0[0] = more.0[0].add(L::splat(R256));
        let more = more.chain();
        let over = !more.0[4].shr::<48>().zeros();
        let mut less = more;
        less.0[4] = less.0[4].and(L::splat(M48));
        Self::select(over, &less, &folded)
    }

    /// The lanes that are zero modulo p.
    #[inline(always)]
    pub(crate) fn zeros(&self) -> Mask {
        let n = self.normalize().0;
        n[0].or(n[1]).or(n[2]).or(n[3]).or(n[4]).zeros()
    }

    /// `1/self`, and zero for zero.
    #[inline(always)]
    pub(crate) fn invert(&self) -> Self {
        L::vectorize(Invert(*self))
    }

    /// A square root of each lane that has one; others give some number.
    #[inline(always)]
    pub(crate) fn sqrt(&self) -> Self {
        L::vectorize(SquareRoot(*self))
    }

    #[inline(always)]
    fn squared(&self, times: u32) -> Self {
        let mut n = *self;
        for _ in 0..times {
            n = n.square();
        }
        n
    }

    /// `self` to the powers 2^2 - 1, 2^22 - 1 and 2^223 - 1. Both exponents below begin with 223 ones.
    #[inline(always)]
    fn ones(&self) -> (Self, Self, Self) {
        let x2 = self.squared(1).mul(self);
        let x3 = x2.squared(1).mul(self);
        let x6 = x3.squared(3).mul(&x3);
        let x9 = x6.squared(3).mul(&x3);
        let x11 = x9.squared(2).mul(&x2);
        let x22 = x11.squared(11).mul(&x11);
        let x44 = x22.squared(22).mul(&x22);
        let x88 = x44.squared(44).mul(&x44);
        let x176 = x88.squared(88).mul(&x88);
        let x220 = x176.squared(44).mul(&x44);
        (x2, x22, x220.squared(3).mul(&x3))
    }
}

#[inline(always)]
fn select<L: Lane>(mask: Mask, yes: &[L; 5], no: &[L; 5]) -> [L; 5] {
    let mut chosen = *no;
    for (n, yes) in chosen.iter_mut().zip(yes) {
        *n = L::select(mask, *yes, *n);
    }
    chosen
}

struct Invert<L>(Fe<L>);

impl<L: Lane> Kernel<L> for Invert<L> {
    type Output = Fe<L>;

    /// Fermat: the exponent p - 2 is 223 ones, a zero, 22 ones, 0000, 1, 0, 11, 0, 1.
    #[inline(always)]
    fn run(self) -> Fe<L> {
        let x = self.0;
        let (x2, x22, x223) = x.ones();
        let n = x223.squared(23).mul(&x22);
        let n = n.squared(5).mul(&x);
        let n = n.squared(3).mul(&x2);
        n.squared(2).mul(&x)
    }
}

struct SquareRoot<L>(Fe<L>);

impl<L: Lane> Kernel<L> for SquareRoot<L> {
    type Output = Fe<L>;

    /// p is 3 modulo 4: the exponent is (p + 1)/4, which is 223 ones, a zero, 22 ones, 0000, 11, 00.
    #[inline(always)]
    fn run(self) -> Fe<L> {
        let (x2, x22, x223) = self.0.ones();
        x223.squared(23).mul(&x22).squared(6).mul(&x2).squared(2)
    }
}

impl<L: Lane> Loose<L> {
    #[inline(always)]
    pub(crate) fn plus(&self, other: &Self) -> Self {
        let mut sum = self.0;
        for (n, m) in sum.iter_mut().zip(&other.0) {
            *n = n.add(*m);
        }
        Self(sum)
    }

    /// `2^N·self`.
    #[inline(always)]
    pub(crate) fn times<const N: u32>(&self) -> Self {
        let mut limbs = self.0;
        for n in &mut limbs {
            *n = n.shl::<N>();
        }
        Self(limbs)
    }

    /// `2^N·p - self`, for a sum of fewer than 2^N weakly reduced elements (or of one, with N = 1).
    #[inline(always)]
    pub(crate) fn negated<const N: u32>(&self) -> Self {
        let mut limbs = self.0;
        for (n, p) in limbs.iter_mut().zip(&P) {
            *n = L::splat(p << N).sub(*n);
        }
        Self(limbs)
    }

    #[inline(always)]
    pub(crate) fn select(mask: Mask, yes: &Self, no: &Self) -> Self {
        Self(select(mask, &yes.0, &no.0))
    }

    /// Weakly reduced: what the last limb holds above 2^256 is folded, then every limb is carried.
    ///
    /// The limbs are below 2^58, so that what is folded is below 2^10, and what the carry adds to the last limb below 2^7.
    #[inline(always)]
    pub(crate) fn carry(&self) -> Fe<L> {
        let mut l = self.0;
        let top = l[4].shr::<48>();
        l[4] = l[4].and(L::splat(M48));
        l[0] = l[0].fold(top);
        Self(l).chain()
    }

    /// Fit for multiplications, and for nothing else. The sum is one of eight weakly reduced elements at most, subtracted ones counted twice.
    #[inline(always)]
    pub(crate) fn settle(&self) -> Fe<L> {
        if L::READS_LOOSE { Fe(self.0) } else { self.carry() }
    }

    #[inline(always)]
    fn chain(self) -> Fe<L> {
        let [l0, l1, l2, l3, l4] = self.0;
        let m = L::splat(M52);
        let l1 = l1.add(l0.shr::<52>());
        let l2 = l2.add(l1.shr::<52>());
        let l3 = l3.add(l2.shr::<52>());
        let l4 = l4.add(l3.shr::<52>());
        Fe([l0.and(m), l1.and(m), l2.and(m), l3.and(m), l4])
    }
}
