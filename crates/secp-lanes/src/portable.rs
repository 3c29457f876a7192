//! One lane of plain 64-bit code: supported by every machine. On x86-64 it is compiled a second time for processors
//! with BMI2, whose multiplication leaves flags and registers alone.

#![allow(unsafe_code)]

use crate::element::{Fe, LIMB, M48, M52, R256, R260};
use crate::lane::{Kernel, Lane, MAX_LANES, Mask};
use crate::packed::Packed;

/// The token of `u64`: it proves nothing and may be created freely.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

#[cfg(target_arch = "x86_64")]
token! {
    /// Proof that this machine has BMI2.
    HasBmi2: "bmi2"
}

impl Lane for u64 {
    type Token = Portable;

    const LANES: usize = 1;
    const NAME: &'static str = "portable";
    const READS_LOOSE: bool = true;

    fn available() -> Option<Portable> {
        Some(Portable)
    }
    #[inline(always)]
    fn token(self) -> Portable {
        Portable
    }

    fn vectorize<K: Kernel<Self>>(token: Portable, kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        if let Some(bmi2) = HasBmi2::available() {
            return bmi2.run(token, kernel);
        }
        kernel.run(token)
    }

    #[inline(always)]
    fn splat(_: Portable, n: u64) -> Self {
        n
    }
    #[inline(always)]
    fn to_lanes(self) -> [u64; MAX_LANES] {
        [self, 0, 0, 0, 0, 0, 0, 0]
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self | other
    }
    #[inline(always)]
    fn shl<const N: u32>(self) -> Self {
        self << N
    }
    #[inline(always)]
    fn shr<const N: u32>(self) -> Self {
        self >> N
    }
    #[inline(always)]
    fn zeros(self) -> Mask {
        Mask::from(self == 0)
    }
    #[inline(always)]
    fn select(mask: Mask, yes: Self, no: Self) -> Self {
        if mask & 1 == 1 { yes } else { no }
    }
    #[inline(always)]
    fn fold(self, n: Self) -> Self {
        self.wrapping_add(n.wrapping_mul(R256))
    }

    #[inline(always)]
    fn mul_add(a: &Fe<Self>, b: &Fe<Self>, c: &[Self; 5]) -> Fe<Self> {
        let (a, b) = (&a.0, &b.0);
        reduce(Columns {
            c3: wide(a[0], b[3]) + wide(a[1], b[2]) + wide(a[2], b[1]) + wide(a[3], b[0]) + u128::from(c[3]),
            c8: wide(a[4], b[4]),
            c4: wide(a[0], b[4])
                + wide(a[1], b[3])
                + wide(a[2], b[2])
                + wide(a[3], b[1])
                + wide(a[4], b[0])
                + u128::from(c[4]),
            c5: wide(a[1], b[4]) + wide(a[2], b[3]) + wide(a[3], b[2]) + wide(a[4], b[1]),
            c0: wide(a[0], b[0]) + u128::from(c[0]),
            c6: wide(a[2], b[4]) + wide(a[3], b[3]) + wide(a[4], b[2]),
            c1: wide(a[0], b[1]) + wide(a[1], b[0]) + u128::from(c[1]),
            c7: wide(a[3], b[4]) + wide(a[4], b[3]),
            c2: wide(a[0], b[2]) + wide(a[1], b[1]) + wide(a[2], b[0]) + u128::from(c[2]),
        })
    }

    #[inline(always)]
    fn square_add(a: &Fe<Self>, c: &[Self; 5]) -> Fe<Self> {
        let a = &a.0;
        let (d0, d1, d2, d3) = (a[0] << 1, a[1] << 1, a[2] << 1, a[3] << 1);
        reduce(Columns {
            c3: wide(d0, a[3]) + wide(d1, a[2]) + u128::from(c[3]),
            c8: wide(a[4], a[4]),
            c4: wide(d0, a[4]) + wide(d1, a[3]) + wide(a[2], a[2]) + u128::from(c[4]),
            c5: wide(d1, a[4]) + wide(d2, a[3]),
            c0: wide(a[0], a[0]) + u128::from(c[0]),
            c6: wide(d2, a[4]) + wide(a[3], a[3]),
            c1: wide(d0, a[1]) + u128::from(c[1]),
            c7: wide(d3, a[4]),
            c2: wide(d0, a[2]) + wide(a[1], a[1]) + u128::from(c[2]),
        })
    }

    #[inline(always)]
    fn gather<'a>(_: Portable, point: impl Fn(usize) -> &'a Packed) -> [Self; 8] {
        point(0).0
    }
}

#[inline(always)]
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// Columns of weight 2^(52·i), each below 2^107, in the order in which they are requested.
struct Columns {
    c3: u128,
    c8: u128,
    c4: u128,
    c5: u128,
    c0: u128,
    c6: u128,
    c1: u128,
    c7: u128,
    c2: u128,
}

/// To a weakly reduced element, in the order of libsecp256k1 (`field_5x52_int128_impl.h`, Pieter Wuille and Peter
/// Dettman): two sums of 128 bits at a time, one for the low columns and one for those that fold into them with R260 =
/// 2^260 mod p, so that all stays in registers.
///
/// Column 4 is cut at bit 48 before column 5 folds: what is above counts R256 = R260/2^4 in column 0.
#[inline(always)]
fn reduce(c: Columns) -> Fe<u64> {
    const ABOVE: u64 = R260 << 12;
    let low64 = |n: u128| n as u64;
    let limb = |n: u128| n as u64 & M52;
    let d = c.c3 + wide(low64(c.c8), R260);
    let t3 = limb(d);
    let d = (d >> LIMB) + c.c4 + wide((c.c8 >> 64) as u64, ABOVE);
    let t4 = limb(d);
    let d = (d >> LIMB) + c.c5;
    let low = c.c0 + wide(limb(d) << 4 | t4 >> 48, R256);
    let r0 = limb(low);
    let d = (d >> LIMB) + c.c6;
    let low = (low >> LIMB) + c.c1 + wide(limb(d), R260);
    let r1 = limb(low);
    let d = (d >> LIMB) + c.c7;
    let low = (low >> LIMB) + c.c2 + wide(low64(d), R260);
    let r2 = limb(low);
    let low = (low >> LIMB) + wide((d >> 64) as u64, ABOVE) + u128::from(t3);
    let r3 = limb(low);
    Fe([r0, r1, r2, r3, (low >> LIMB) as u64 + (t4 & M48)])
}
