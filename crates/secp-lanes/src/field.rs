//! Arithmetic of field elements, written once for any [`Lane`].

use crate::element::{Fe, Loose, M48, M52, P, R256};
use crate::lane::{Kernel, Lane, Mask};

/// β, a cube root of one: (β·x, y) is λ·(x, y) (Gallant, Lambert, Vanstone; SEC 2 gives the curve).
const BETA: [u64; 5] = [
    0x9_6c28_7195_01ee,
    0x7_512f_5899_5c13,
    0xc_3434_e99c_f049,
    0x7106_e644_79ea,
    0x7ae9_6a2b_657c,
];

impl<L: Lane> Fe<L> {
    #[inline(always)]
    pub(crate) fn token(&self) -> L::Token {
        self.0[0].token()
    }

    #[inline(always)]
    fn constant(token: L::Token, limbs: [u64; 5]) -> Self {
        let [a, b, c, d, e] = limbs;
        Self([
            L::splat(token, a),
            L::splat(token, b),
            L::splat(token, c),
            L::splat(token, d),
            L::splat(token, e),
        ])
    }

    /// One in each lane.
    #[inline(always)]
    pub fn one(token: L::Token) -> Self {
        Self::constant(token, [1, 0, 0, 0, 0])
    }

    #[inline(always)]
    pub(crate) fn beta(token: L::Token) -> Self {
        Self::constant(token, BETA)
    }

    /// From four words of 64 bits, the lowest first.
    #[inline(always)]
    pub fn from_words(w: [L; 4]) -> Self {
        let m = L::splat(w[0].token(), M52);
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
    pub fn to_words(self) -> [L; 4] {
        let l = self.0;
        [
            l[0].or(l[1].shl::<52>()),
            l[1].shr::<12>().or(l[2].shl::<40>()),
            l[2].shr::<24>().or(l[3].shl::<28>()),
            l[3].shr::<36>().or(l[4].shl::<16>()),
        ]
    }

    /// The same limbs, to be added to.
    #[inline(always)]
    pub fn loose(&self) -> Loose<L> {
        Loose(self.0)
    }

    /// `self + other`.
    #[inline(always)]
    pub fn plus(&self, other: &Self) -> Loose<L> {
        self.loose().plus(&other.loose())
    }

    /// `self - other`, as 2p more.
    #[inline(always)]
    pub fn minus(&self, other: &Self) -> Loose<L> {
        self.loose().plus(&other.negated())
    }

    /// `2p - self`: p's limbs, doubled, are above those of any weakly reduced element.
    #[inline(always)]
    pub fn negated(&self) -> Loose<L> {
        self.loose().negated::<1>()
    }

    /// `self·other`.
    #[inline(always)]
    pub fn mul(&self, other: &Self) -> Self {
        L::mul_add(self, other, &[L::splat(self.token(), 0); 5])
    }

    /// `self·other + addend`.
    #[inline(always)]
    pub fn mul_add(&self, other: &Self, addend: &Loose<L>) -> Self {
        L::mul_add(self, other, &addend.0)
    }

    /// `self²`.
    #[inline(always)]
    pub fn square(&self) -> Self {
        L::square_add(self, &[L::splat(self.token(), 0); 5])
    }

    /// `self² + addend`.
    #[inline(always)]
    pub fn square_add(&self, addend: &Loose<L>) -> Self {
        L::square_add(self, &addend.0)
    }

    /// `yes` in the lanes of the mask, `no` elsewhere.
    #[inline(always)]
    pub fn select(mask: Mask, yes: &Self, no: &Self) -> Self {
        Self(select(mask, &yes.0, &no.0))
    }

    /// The one representative below p.
    #[inline(always)]
    pub fn normalize(&self) -> Self {
        // Below 2^256 after one fold; adding 2^256 - p then passes 2^256 exactly where the element is p or more.
        let folded = self.loose().carry();
        let mut more = folded.loose();
        more.0[0] = more.0[0].add(L::splat(self.token(), R256));
        let more = more.chain();
        let over = !more.0[4].shr::<48>().zeros();
        let mut less = more;
        less.0[4] = less.0[4].and(L::splat(self.token(), M48));
        Self::select(over, &less, &folded)
    }

    /// The lanes that are zero modulo p.
    #[inline(always)]
    pub fn zeros(&self) -> Mask {
        let n = self.normalize().0;
        n[0].or(n[1]).or(n[2]).or(n[3]).or(n[4]).zeros()
    }

    /// `1/self`, and zero for zero.
    #[inline(always)]
    pub fn invert(&self) -> Self {
        L::vectorize(self.token(), Invert(*self))
    }

    /// A square root of each lane that has one; others give some number.
    #[inline(always)]
    pub fn sqrt(&self) -> Self {
        L::vectorize(self.token(), SquareRoot(*self))
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
    fn run(self, _: L::Token) -> Fe<L> {
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
    fn run(self, _: L::Token) -> Fe<L> {
        let (x2, x22, x223) = self.0.ones();
        x223.squared(23).mul(&x22).squared(6).mul(&x2).squared(2)
    }
}

impl<L: Lane> Loose<L> {
    #[inline(always)]
    fn token(&self) -> L::Token {
        self.0[0].token()
    }

    /// `self + other`, limb by limb.
    #[inline(always)]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = self.0;
        for (n, m) in sum.iter_mut().zip(&other.0) {
            *n = n.add(*m);
        }
        Self(sum)
    }

    /// `2^N·self`.
    #[inline(always)]
    pub fn times<const N: u32>(&self) -> Self {
        let mut limbs = self.0;
        for n in &mut limbs {
            *n = n.shl::<N>();
        }
        Self(limbs)
    }

    /// `2^N·p - self`, for a sum of fewer than 2^N weakly reduced elements (or of one, with N = 1).
    #[inline(always)]
    pub fn negated<const N: u32>(&self) -> Self {
        let token = self.token();
        let mut limbs = self.0;
        for (n, p) in limbs.iter_mut().zip(&P) {
            *n = L::splat(token, p << N).sub(*n);
        }
        Self(limbs)
    }

    /// `yes` in the lanes of the mask, `no` elsewhere.
    #[inline(always)]
    pub fn select(mask: Mask, yes: &Self, no: &Self) -> Self {
        Self(select(mask, &yes.0, &no.0))
    }

    /// Weakly reduced: what the last limb holds above 2^256 is folded, then every limb is carried.
    ///
    /// The limbs are below 2^58, so that what is folded is below 2^10, and what the carry adds to the last limb below
    /// 2^7.
    #[inline(always)]
    pub fn carry(&self) -> Fe<L> {
        let mut l = self.0;
        let top = l[4].shr::<48>();
        l[4] = l[4].and(L::splat(self.token(), M48));
        l[0] = l[0].fold(top);
        Self(l).chain()
    }

    /// Valid as an input of multiplications only. The sum is one of eight weakly reduced elements at most, subtracted
    /// ones counted twice.
    #[inline(always)]
    pub fn settle(&self) -> Fe<L> {
        if L::READS_LOOSE { Fe(self.0) } else { self.carry() }
    }

    #[inline(always)]
    fn chain(self) -> Fe<L> {
        let [l0, l1, l2, l3, l4] = self.0;
        let m = L::splat(l0.token(), M52);
        let l1 = l1.add(l0.shr::<52>());
        let l2 = l2.add(l1.shr::<52>());
        let l3 = l3.add(l2.shr::<52>());
        let l4 = l4.add(l3.shr::<52>());
        Fe([l0.and(m), l1.and(m), l2.and(m), l3.and(m), l4])
    }
}
