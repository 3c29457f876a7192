//! Eight lanes of AVX-512 with IFMA: products of 52-bit limbs, their low and high halves added to 64-bit columns.

#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_load_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_mask_blend_epi64, _mm512_or_si512, _mm512_permutex2var_epi64, _mm512_set1_epi64, _mm512_setr_epi64,
    _mm512_slli_epi64, _mm512_srli_epi64, _mm512_sub_epi64, _mm512_testn_epi64_mask, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};

use zeroize::Zeroize;

use crate::element::{Fe, LIMB, M48, M52, R256, R260};
use crate::lane::{Kernel, Lane, MAX_LANES, Mask};
use crate::packed::Packed;

/// Eight 64-bit numbers in one register.
#[derive(Clone, Copy)]
pub struct Ifma(__m512i);

token! {
    /// Proof that this machine has AVX-512 (F, DQ, VL, IFMA), AVX2, FMA and BMI2.
    pub HasIfma: "avx512f", "avx512dq", "avx512vl", "avx512ifma", "avx2", "fma", "f16c", "bmi2", "avx", "sse4.2", "sse4.1", "ssse3", "sse3"
}
type Token = HasIfma;

impl Zeroize for Ifma {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl Lane for Ifma {
    type Token = HasIfma;

    const LANES: usize = 8;
    const NAME: &'static str = "avx512-ifma";
    const READS_LOOSE: bool = false;

    fn available() -> Option<HasIfma> {
        HasIfma::available()
    }
    #[inline(always)]
    fn token(self) -> HasIfma {
        // Values of the type are created only in this file, from a token or from another value.
        HasIfma(())
    }

    fn vectorize<K: Kernel<Self>>(token: HasIfma, kernel: K) -> K::Output {
        token.run(token, kernel)
    }

    #[inline(always)]
    fn splat(token: HasIfma, n: u64) -> Self {
        Self(instruction!(token, _mm512_set1_epi64(n.cast_signed())))
    }
    #[inline(always)]
    fn to_lanes(self) -> [u64; MAX_LANES] {
        // SAFETY: both types are 64 bytes of plain numbers, for which every pattern of bits is valid.
        unsafe { std::mem::transmute::<__m512i, [u64; MAX_LANES]>(self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(instruction!(self.token(), _mm512_add_epi64(self.0, other.0)))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(instruction!(self.token(), _mm512_sub_epi64(self.0, other.0)))
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(instruction!(self.token(), _mm512_and_si512(self.0, other.0)))
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self(instruction!(self.token(), _mm512_or_si512(self.0, other.0)))
    }
    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        Self(instruction!(self.token(), _mm512_slli_epi64::<N>(self.0)))
    }
    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        Self(instruction!(self.token(), _mm512_srli_epi64::<N>(self.0)))
    }
    #[inline(always)]
    fn zeros(self) -> Mask {
        instruction!(self.token(), _mm512_testn_epi64_mask(self.0, self.0))
    }
    #[inline(always)]
    fn select(mask: Mask, yes: Self, no: Self) -> Self {
        Self(instruction!(no.token(), _mm512_mask_blend_epi64(mask, no.0, yes.0)))
    }
    #[inline(always)]
    fn fold(self, n: Self) -> Self {
        self.lo(n, Self::splat(self.token(), R256))
    }

    #[inline(always)]
    fn mul_add(a: &Fe<Self>, b: &Fe<Self>, c: &[Self; 5]) -> Fe<Self> {
        let zero = Self::splat(a.token(), 0);
        let mut column = [c[0], c[1], c[2], c[3], c[4], zero, zero, zero, zero, zero];
        for i in 0..5 {
            for j in 0..5 {
                column[i + j] = column[i + j].lo(a.0[i], b.0[j]);
                column[i + j + 1] = column[i + j + 1].hi(a.0[i], b.0[j]);
            }
        }
        reduce(column)
    }

    #[inline(always)]
    fn square_add(a: &Fe<Self>, c: &[Self; 5]) -> Fe<Self> {
        let mut column = [Self::splat(a.token(), 0); 10];
        for i in 0..5 {
            for j in i + 1..5 {
                column[i + j] = column[i + j].lo(a.0[i], a.0[j]);
                column[i + j + 1] = column[i + j + 1].hi(a.0[i], a.0[j]);
            }
        }
        for mixed in &mut column[1..9] {
            *mixed = mixed.shl::<1>();
        }
        for i in 0..5 {
            column[i] = column[i].add(c[i]);
        }
        for i in 0..5 {
            column[2 * i] = column[2 * i].lo(a.0[i], a.0[i]);
            column[2 * i + 1] = column[2 * i + 1].hi(a.0[i], a.0[i]);
        }
        reduce(column)
    }

    #[inline(always)]
    fn gather<'a>(token: HasIfma, point: impl Fn(usize) -> &'a Packed) -> [Self; 8] {
        // Three rounds of exchanges transpose eight points of eight words; they are written out so that no loop is
        // left.
        let (a, b) = (load(token, point(0)), load(token, point(1)));
        let (c, d) = (load(token, point(2)), load(token, point(3)));
        let (e, f) = (load(token, point(4)), load(token, point(5)));
        let (g, h) = (load(token, point(6)), load(token, point(7)));
        let ab = exchange(a, b);
        let cd = exchange(c, d);
        let ef = exchange(e, f);
        let gh = exchange(g, h);
        let [w04, w26] = exchange_pairs(ab[0], cd[0]);
        let [w15, w37] = exchange_pairs(ab[1], cd[1]);
        let [x04, x26] = exchange_pairs(ef[0], gh[0]);
        let [x15, x37] = exchange_pairs(ef[1], gh[1]);
        let [w0, w4] = exchange_fours(w04, x04);
        let [w1, w5] = exchange_fours(w15, x15);
        let [w2, w6] = exchange_fours(w26, x26);
        let [w3, w7] = exchange_fours(w37, x37);
        [w0, w1, w2, w3, w4, w5, w6, w7]
    }
}

#[inline(always)]
fn load(_: Token, point: &Packed) -> Ifma {
    // SAFETY: a `Packed` is 64 bytes on an address that 64 divides, and the reference keeps it alive; the token proves
    // AVX-512.
    unsafe { Ifma(_mm512_load_si512(std::ptr::from_ref(point).cast())) }
}

/// The even words of both, and the odd ones.
#[inline(always)]
fn exchange(a: Ifma, b: Ifma) -> [Ifma; 2] {
    instruction!(
        a.token(),
        [
            Ifma(_mm512_unpacklo_epi64(a.0, b.0)),
            Ifma(_mm512_unpackhi_epi64(a.0, b.0)),
        ]
    )
}

#[inline(always)]
fn exchange_pairs(a: Ifma, b: Ifma) -> [Ifma; 2] {
    instruction!(a.token(), {
        let low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
        let high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
        [
            Ifma(_mm512_permutex2var_epi64(a.0, low, b.0)),
            Ifma(_mm512_permutex2var_epi64(a.0, high, b.0)),
        ]
    })
}

#[inline(always)]
fn exchange_fours(a: Ifma, b: Ifma) -> [Ifma; 2] {
    instruction!(a.token(), {
        let low = _mm512_setr_epi64(0, 1, 2, 3, 8, 9, 10, 11);
        let high = _mm512_setr_epi64(4, 5, 6, 7, 12, 13, 14, 15);
        [
            Ifma(_mm512_permutex2var_epi64(a.0, low, b.0)),
            Ifma(_mm512_permutex2var_epi64(a.0, high, b.0)),
        ]
    })
}

impl Ifma {
    /// `self` plus the low 52 bits of `a·b`.
    #[inline(always)]
    fn lo(self, a: Self, b: Self) -> Self {
        Self(instruction!(self.token(), _mm512_madd52lo_epu64(self.0, a.0, b.0)))
    }

    /// `self` plus the high 52 bits of `a·b`.
    #[inline(always)]
    fn hi(self, a: Self, b: Self) -> Self {
        Self(instruction!(self.token(), _mm512_madd52hi_epu64(self.0, a.0, b.0)))
    }
}

/// From ten columns of weight 2^(52·i), each below 2^59, to a weakly reduced element.
///
/// The columns from 2^260 on are carried, as the multiplication by R260 = 2^260 mod p reads 52 bits only. What is then
/// above 2^256 in the last column, not carried yet, is folded with R256 = 2^256 mod p (it is below 2^42), and one chain
/// of carries ends it.
#[inline(always)]
fn reduce(c: [Ifma; 10]) -> Fe<Ifma> {
    const _: () = assert!(LIMB == 52 && M48 >> 48 == 0);
    let token = c[0].token();
    let (m, r) = (Ifma::splat(token, M52), Ifma::splat(token, R260));
    let c6 = c[6].add(c[5].shr::<52>());
    let c7 = c[7].add(c6.shr::<52>());
    let c8 = c[8].add(c7.shr::<52>());
    let c9 = c[9].add(c8.shr::<52>());
    // `lo` and `hi` read the low 52 bits only, which is the mask.
    let l0 = c[0].lo(c[5], r);
    let l1 = c[1].hi(c[5], r).lo(c6, r);
    let l2 = c[2].hi(c6, r).lo(c7, r);
    let l3 = c[3].hi(c7, r).lo(c8, r);
    let l4 = c[4].hi(c8, r).lo(c9, r);
    let l5 = Ifma::splat(token, 0).hi(c9, r);
    let top = l4.shr::<48>().add(l5.shl::<4>());
    let (l4, fold) = (l4.and(Ifma::splat(token, M48)), Ifma::splat(token, R256));
    let l0 = l0.lo(top, fold);
    let l1 = l1.hi(top, fold).add(l0.shr::<52>());
    let l2 = l2.add(l1.shr::<52>());
    let l3 = l3.add(l2.shr::<52>());
    let l4 = l4.add(l3.shr::<52>());
    Fe([l0.and(m), l1.and(m), l2.and(m), l3.and(m), l4])
}
