//! Four lanes of AVX2 with FMA, for the processors without AVX-512 IFMA: products of 52-bit limbs by fused
//! multiplications of doubles.
//!
//! Doubles round to nearest here, as Rust requires in every thread.

#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256d, __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_blendv_epi8, _mm256_castpd_si256, _mm256_castsi256_pd,
    _mm256_cmpeq_epi64, _mm256_fmadd_pd, _mm256_fmsub_pd, _mm256_load_si256, _mm256_movemask_pd, _mm256_mul_epu32,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi64x, _mm256_set1_pd, _mm256_setr_epi64x,
    _mm256_sllv_epi64, _mm256_srlv_epi64, _mm256_sub_epi64, _mm256_sub_pd, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi64,
};

use zeroize::Zeroize;

use crate::element::{Fe, LIMB, M48, M52, P, R256, R260};
use crate::lane::{Kernel, Lane, MAX_LANES, Mask};
use crate::packed::Packed;

/// Four 64-bit numbers in one register.
#[derive(Clone, Copy)]
pub struct Avx2(__m256i);

token! {
    /// Proof that this machine has AVX2, FMA and BMI2.
    pub HasAvx2: "avx2", "fma", "bmi2", "avx", "sse4.2", "sse4.1", "ssse3", "sse3"
}
type Token = HasAvx2;

impl Zeroize for Avx2 {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl Lane for Avx2 {
    type Token = HasAvx2;

    const LANES: usize = 4;
    const NAME: &'static str = "avx2";
    const READS_LOOSE: bool = false;

    fn available() -> Option<HasAvx2> {
        HasAvx2::available()
    }
    #[inline(always)]
    fn token(self) -> HasAvx2 {
        // Values of the type are created only in this file, from a token or from another value.
        HasAvx2(())
    }

    fn vectorize<K: Kernel<Self>>(token: HasAvx2, kernel: K) -> K::Output {
        token.run(token, kernel)
    }

    #[inline(always)]
    fn splat(token: HasAvx2, n: u64) -> Self {
        Self(instruction!(token, _mm256_set1_epi64x(n.cast_signed())))
    }
    #[inline(always)]
    fn to_lanes(self) -> [u64; MAX_LANES] {
        // SAFETY: both types are 32 bytes of plain numbers, for which every pattern of bits is valid.
        let [a, b, c, d] = unsafe { std::mem::transmute::<__m256i, [u64; 4]>(self.0) };
        [a, b, c, d, 0, 0, 0, 0]
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(instruction!(self.token(), _mm256_add_epi64(self.0, other.0)))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(instruction!(self.token(), _mm256_sub_epi64(self.0, other.0)))
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(instruction!(self.token(), _mm256_and_si256(self.0, other.0)))
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self(instruction!(self.token(), _mm256_or_si256(self.0, other.0)))
    }
    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        // Compiles to the shift by a constant, whose intrinsic requires an `i32` constant.
        Self(instruction!(
            self.token(),
            _mm256_sllv_epi64(self.0, _mm256_set1_epi64x(i64::from(N)))
        ))
    }
    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        Self(instruction!(
            self.token(),
            _mm256_srlv_epi64(self.0, _mm256_set1_epi64x(i64::from(N)))
        ))
    }
    #[inline(always)]
    fn zeros(self) -> Mask {
        instruction!(self.token(), {
            let zeros = _mm256_cmpeq_epi64(self.0, _mm256_set1_epi64x(0));
            _mm256_movemask_pd(_mm256_castsi256_pd(zeros)) as Mask
        })
    }
    #[inline(always)]
    fn select(mask: Mask, yes: Self, no: Self) -> Self {
        Self(instruction!(no.token(), {
            let bits = _mm256_setr_epi64x(1, 2, 4, 8);
            let chosen = _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_set1_epi64x(i64::from(mask)), bits), bits);
            _mm256_blendv_epi8(no.0, yes.0, chosen)
        }))
    }
    #[inline(always)]
    fn fold(self, n: Self) -> Self {
        const LOW: i64 = R256.cast_signed() - (1 << 32);
        let product = Self(instruction!(n.token(), _mm256_mul_epu32(n.0, _mm256_set1_epi64x(LOW))));
        self.add(n.shl::<32>()).add(product)
    }

    #[inline(always)]
    fn mul_add(a: &Fe<Self>, b: &Fe<Self>, c: &[Self; 5]) -> Fe<Self> {
        let token = a.token();
        let (a, b) = (doubles(a), doubles(b));
        let mut column = [Self::splat(token, 0); 10];
        for (i, a) in a.into_iter().enumerate() {
            for (j, b) in b.into_iter().enumerate() {
                Self::product(&mut column, i + j, a, b);
            }
        }
        reduce(column, c)
    }

    #[inline(always)]
    fn square_add(a: &Fe<Self>, c: &[Self; 5]) -> Fe<Self> {
        let token = a.token();
        let a = doubles(a);
        let mut column = [Self::splat(token, 0); 10];
        for i in 0..5 {
            for j in i + 1..5 {
                Self::product(&mut column, i + j, a[i], a[j]);
            }
        }
        for mixed in &mut column[1..9] {
            *mixed = mixed.shl::<1>();
        }
        for (i, a) in a.into_iter().enumerate() {
            Self::product(&mut column, 2 * i, a, a);
        }
        reduce(column, c)
    }

    #[inline(always)]
    fn gather<'a>(token: HasAvx2, point: impl Fn(usize) -> &'a Packed) -> [Self; 8] {
        let ([a, e], [b, f]) = (load(token, point(0)), load(token, point(1)));
        let ([c, g], [d, h]) = (load(token, point(2)), load(token, point(3)));
        let [w0, w1, w2, w3] = transpose(a, b, c, d);
        let [w4, w5, w6, w7] = transpose(e, f, g, h);
        [w0, w1, w2, w3, w4, w5, w6, w7]
    }
}

/// x and y.
#[inline(always)]
fn load(_: Token, point: &Packed) -> [Avx2; 2] {
    let halves = point.0.as_ptr().cast::<__m256i>();
    // SAFETY: a `Packed` is 64 bytes on an address that 64 divides, and the reference keeps it alive; the token proves
    // AVX2.
    unsafe { [Avx2(_mm256_load_si256(halves)), Avx2(_mm256_load_si256(halves.add(1)))] }
}

/// Four vectors of four words, word by word.
#[inline(always)]
fn transpose(a: Avx2, b: Avx2, c: Avx2, d: Avx2) -> [Avx2; 4] {
    instruction!(a.token(), {
        let (ab02, ab13) = (_mm256_unpacklo_epi64(a.0, b.0), _mm256_unpackhi_epi64(a.0, b.0));
        let (cd02, cd13) = (_mm256_unpacklo_epi64(c.0, d.0), _mm256_unpackhi_epi64(c.0, d.0));
        [
            Avx2(_mm256_permute2x128_si256::<0x20>(ab02, cd02)),
            Avx2(_mm256_permute2x128_si256::<0x20>(ab13, cd13)),
            Avx2(_mm256_permute2x128_si256::<0x31>(ab02, cd02)),
            Avx2(_mm256_permute2x128_si256::<0x31>(ab13, cd13)),
        ]
    })
}

/// 2^52: its last place is one, so that the bits of `2^52 + n` are those of 2^52 with n added.
const TWO_52: f64 = (1_u64 << LIMB) as f64;
/// 2^104: its last place is 2^52.
const TWO_104: f64 = TWO_52 * TWO_52;
/// Two factors of 2^104 + 2^52 + 2^51, which is not a double itself.
const ABOVE_104: (f64, f64) = (5.0, 1_801_439_850_948_199.0 * (1_u64 << 51) as f64);
/// Bits that the high and the low part of a product add to a column besides their value: the bits of 2^104 and of
/// 2^52 + 2^51.
const HIGH: u64 = TWO_104.to_bits();
const LOW: u64 = (TWO_52 * 1.5).to_bits();

/// The limbs.
#[inline(always)]
fn doubles(fe: &Fe<Avx2>) -> [__m256d; 5] {
    let [a, b, c, d, e] = fe.0;
    [a.double(), b.double(), c.double(), d.double(), e.double()]
}

impl Avx2 {
    /// A number below 2^52.
    #[inline(always)]
    fn double(self) -> __m256d {
        instruction!(self.token(), {
            let two_52 = _mm256_set1_pd(TWO_52);
            _mm256_sub_pd(
                _mm256_castsi256_pd(_mm256_or_si256(self.0, _mm256_castpd_si256(two_52))),
                two_52,
            )
        })
    }

    /// Adds `a·b = high·2^52 + low` to two columns, `low` from -2^51 to 2^51, plus the bits of [`HIGH`] and [`LOW`].
    ///
    /// The first sum is rounded to a multiple of 2^52 by its size, which takes `a·b` to the nearest. What this has
    /// changed is subtracted exactly, and the second sum is exact as a number from 2^52 to 2^53 (after N. Emmart, F.
    /// Zheng and C. Weems, "Faster Modular Exponentiation Using Double Precision Floating Point Arithmetic on the GPU",
    /// ARITH 2018, who round towards zero instead).
    #[inline(always)]
    fn product(column: &mut [Self], low: usize, a: __m256d, b: __m256d) {
        let (high_part, low_part) = instruction!(column[low].token(), {
            let high = _mm256_fmadd_pd(a, b, _mm256_set1_pd(TWO_104));
            let rest = _mm256_fmsub_pd(_mm256_set1_pd(ABOVE_104.0), _mm256_set1_pd(ABOVE_104.1), high);
            let low = _mm256_fmadd_pd(a, b, rest);
            (Self(_mm256_castpd_si256(high)), Self(_mm256_castpd_si256(low)))
        });
        column[low] = column[low].add(low_part);
        column[low + 1] = column[low + 1].add(high_part);
    }
}

/// How many products `a[i]·b[j]` have `i + j = k`.
const fn products(k: usize) -> u64 {
    if k > 8 {
        0
    } else {
        (if k < 5 { k + 1 } else { 9 - k }) as u64
    }
}

/// Addend that removes the bits of [`HIGH`] and [`LOW`] from a column of a multiplication.
const fn without_bits(column: usize) -> u64 {
    let high = if column == 0 { 0 } else { products(column - 1) };
    (products(column).wrapping_mul(LOW).wrapping_add(high.wrapping_mul(HIGH))).wrapping_neg()
}

/// Makes columns 5 to 8 positive: each borrows 2^56 of the next, which counts 2^4 there. Column 9 is positive by
/// itself, as all together are.
const POSITIVE: [u64; 5] = {
    let mut n = [0; 5];
    let mut i = 0;
    while i < 5 {
        n[i] = without_bits(i + 5);
        if i < 4 {
            n[i] = n[i].wrapping_add(1 << 56);
        }
        if i > 0 {
            n[i] = n[i].wrapping_sub(1 << 4);
        }
        i += 1;
    }
    n
};

/// Makes columns 0 to 4 positive with 2^7·p, whose limbs are above all that is below zero, and takes out the bits of
/// what folds into them.
const FOLDED: [u64; 6] = {
    let mut n = [0_u64; 6];
    let mut i = 0;
    while i < 5 {
        n[i] = n[i]
            .wrapping_add(without_bits(i))
            .wrapping_add(P[i] << 7)
            .wrapping_sub(LOW);
        n[i + 1] = n[i + 1].wrapping_sub(HIGH);
        i += 1;
    }
    n[0] = n[0].wrapping_sub(LOW);
    n[1] = n[1].wrapping_sub(HIGH);
    n
};

/// From ten columns of weight 2^(52·i), with the bits of the products in them, and an addend to a weakly reduced
/// element.
///
/// The parts of the products below zero reach -5·2^51 in a column. Columns 5 to 9 are carried and fold with R260 =
/// 2^260 mod p; what is then above 2^256 (below 2^35) folds with R256, as in `ifma.rs`, and one chain of carries ends
/// it. The columns that it begins with are below 2^61, so that the last carry is below 2^9.
#[inline(always)]
fn reduce(column: [Avx2; 10], addend: &[Avx2; 5]) -> Fe<Avx2> {
    let token = column[0].token();
    let m = Avx2::splat(token, M52);
    let mut fold = [Avx2::splat(token, FOLDED[5]); 6];
    for i in 0..5 {
        fold[i] = column[i].add(Avx2::splat(token, FOLDED[i])).add(addend[i]);
    }
    let mut carry = Avx2::splat(token, 0);
    for i in 0..5 {
        let high = column[i + 5].add(Avx2::splat(token, POSITIVE[i])).add(carry);
        carry = high.shr::<52>();
        Avx2::product(&mut fold, i, high.and(m).double(), Avx2::splat(token, R260).double());
    }
    let top = fold[4].shr::<48>().add(fold[5].shl::<4>());
    fold[4] = fold[4].and(Avx2::splat(token, M48));
    Avx2::product(&mut fold, 0, top.double(), Avx2::splat(token, R256).double());
    let [l0, l1, l2, l3, l4, _] = fold;
    let l1 = l1.add(l0.shr::<52>());
    let l2 = l2.add(l1.shr::<52>());
    let l3 = l3.add(l2.shr::<52>());
    let l4 = l4.add(l3.shr::<52>());
    Fe([l0.and(m), l1.and(m), l2.and(m), l3.and(m), l4])
}
