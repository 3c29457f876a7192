//! One lane of plain 64-bit code: every machine has it. On x86-64 it is compiled a second time for processors with BMI2, whose
//! multiplication leaves flags and registers alone.

use super::field::{Fe, LIMB, M48, M52, R256, R260};
use super::lane::{Kernel, Lane, MAX_LANES, Mask};
use super::point::Packed;

impl Lane for u64 {
    const LANES: usize = 1;
    const NAME: &'static str = "portable";

    fn vectorize<K: Kernel<Self>>(kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("bmi2") {
            #[allow(unsafe_code)]
            // SAFETY: the processor has just said that it has what the function enables.
            return unsafe { with_bmi2(kernel) };
        }
        kernel.run()
    }

    #[inline(always)]
    fn splat(n: u64) -> Self {
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
        reduce([
            wide(a[0], b[0]) + u128::from(c[0]),
            wide(a[0], b[1]) + wide(a[1], b[0]) + u128::from(c[1]),
            wide(a[0], b[2]) + wide(a[1], b[1]) + wide(a[2], b[0]) + u128::from(c[2]),
            wide(a[0], b[3]) + wide(a[1], b[2]) + wide(a[2], b[1]) + wide(a[3], b[0]) + u128::from(c[3]),
            wide(a[0], b[4])
                + wide(a[1], b[3])
                + wide(a[2], b[2])
                + wide(a[3], b[1])
                + wide(a[4], b[0])
                + u128::from(c[4]),
            wide(a[1], b[4]) + wide(a[2], b[3]) + wide(a[3], b[2]) + wide(a[4], b[1]),
            wide(a[2], b[4]) + wide(a[3], b[3]) + wide(a[4], b[2]),
            wide(a[3], b[4]) + wide(a[4], b[3]),
            wide(a[4], b[4]),
        ])
    }

    #[inline(always)]
    fn square_add(a: &Fe<Self>, c: &[Self; 5]) -> Fe<Self> {
        let a = &a.0;
        let (d0, d1, d2, d3) = (a[0] << 1, a[1] << 1, a[2] << 1, a[3] << 1);
        reduce([
            wide(a[0], a[0]) + u128::from(c[0]),
            wide(d0, a[1]) + u128::from(c[1]),
            wide(d0, a[2]) + wide(a[1], a[1]) + u128::from(c[2]),
            wide(d0, a[3]) + wide(d1, a[2]) + u128::from(c[3]),
            wide(d0, a[4]) + wide(d1, a[3]) + wide(a[2], a[2]) + u128::from(c[4]),
            wide(d1, a[4]) + wide(d2, a[3]),
            wide(d2, a[4]) + wide(a[3], a[3]),
            wide(d3, a[4]),
            wide(a[4], a[4]),
        ])
    }

    #[inline(always)]
    fn gather<'a>(point: impl Fn(usize) -> &'a Packed) -> [Self; 8] {
        point(0).0
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "bmi2")]
fn with_bmi2<K: Kernel<u64>>(kernel: K) -> K::Output {
    kernel.run()
}

#[inline(always)]
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// The low limb of a column.
#[inline(always)]
fn low(column: u128) -> u64 {
    column as u64 & M52
}

/// From nine columns of weight 2^(52·i), each below 2^107, to a weakly reduced element.
///
/// A column from 2^260 on counts R260 = 2^260 mod p in the column five below: its low 64 bits there, and what is above them, which is worth
/// 2^64 = 2^52·2^12, one column higher. So no carry runs through these columns. Then all but the low 48 bits of the last limb is folded with
/// R256 = 2^256 mod p.
#[inline(always)]
fn reduce(c: [u128; 9]) -> Fe<u64> {
    const ABOVE: u64 = R260 << 12;
    let low64 = |n: u128| n as u64;
    let high64 = |n: u128| (n >> 64) as u64;
    let c0 = c[0] + wide(low64(c[5]), R260);
    let c1 = c[1] + wide(high64(c[5]), ABOVE) + wide(low64(c[6]), R260) + (c0 >> LIMB);
    let c2 = c[2] + wide(high64(c[6]), ABOVE) + wide(low64(c[7]), R260) + (c1 >> LIMB);
    let c3 = c[3] + wide(high64(c[7]), ABOVE) + wide(low64(c[8]), R260) + (c2 >> LIMB);
    let c4 = c[4] + wide(high64(c[8]), ABOVE) + (c3 >> LIMB);
    let top = (c4 >> 48) as u64;
    let l0 = u128::from(low(c0)) + wide(top, R256);
    let l1 = low(c1) + (l0 >> LIMB) as u64;
    let l2 = low(c2) + (l1 >> LIMB);
    let l3 = low(c3) + (l2 >> LIMB);
    let l4 = (c4 as u64 & M48) + (l3 >> LIMB);
    Fe([low(l0), l1 & M52, l2 & M52, l3 & M52, l4])
}
