//! What the arithmetic asks of a machine: 64-bit numbers side by side, and a field multiplication over them.
//!
//! All arithmetic above this file is written once, for any [`Lane`]. A lane type is one number ([`super::portable`]), four
//! ([`super::avx2`]) or eight ([`super::ifma`]).

use zeroize::Zeroize;

use super::field::Fe;
use super::point::Packed;

/// Most lanes that a type may have: the width of the arrays that pass single lanes on.
pub(crate) const MAX_LANES: usize = 8;

/// One bit for each lane.
pub(crate) type Mask = u8;

/// Work that is compiled for a lane type with all that its machine offers.
///
/// `run` has to be inlined (`#[inline(always)]`), and so has everything below it that computes: only then does the code become part of the
/// function in which the machine's instructions are switched on. What is called instead (closures given to `map` or `array::from_fn`, say)
/// computes without them, right and ten times slower; `scripts/vectors` finds it in the finished program.
pub(crate) trait Kernel<L: Lane> {
    type Output;
    fn run(self) -> Self::Output;
}

/// `LANES` unsigned 64-bit numbers; arithmetic wraps.
pub(crate) trait Lane: Copy + Send + Sync + Zeroize + 'static {
    const LANES: usize;
    /// The engine's name, for a person.
    const NAME: &'static str;

    /// Runs the kernel with the machine's instructions switched on.
    fn vectorize<K: Kernel<Self>>(kernel: K) -> K::Output;

    fn splat(n: u64) -> Self;
    fn to_lanes(self) -> [u64; MAX_LANES];
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn shl<const N: u32>(self) -> Self;
    fn shr<const N: u32>(self) -> Self;
    /// The lanes that are zero.
    fn zeros(self) -> Mask;
    /// `yes` where the mask has a bit, `no` elsewhere.
    fn select(mask: Mask, yes: Self, no: Self) -> Self;

    /// `self + n·(2^32 + 977)`, for `n` below 2^19: what is above 2^256, folded.
    fn fold(self, n: Self) -> Self;
    /// Whether multiplications read limbs above 52 bits, up to 2^56, so that [`super::field::Loose::settle`] has nothing to do.
    const READS_LOOSE: bool;

    /// `a·b + c`; the limbs of `c` are below 2^58.
    fn mul_add(a: &Fe<Self>, b: &Fe<Self>, c: &[Self; 5]) -> Fe<Self>;
    /// `a² + c`; the limbs of `c` are below 2^58.
    fn square_add(a: &Fe<Self>, c: &[Self; 5]) -> Fe<Self>;
    /// The eight words of one point for each lane, word by word.
    fn gather<'a>(point: impl Fn(usize) -> &'a Packed) -> [Self; 8];
}

/// Most [`vectors`] of a batch, for any lane type.
pub(crate) const MAX_VECTORS: usize = 256;

/// Vectors of a batch. An inversion costs as much as 270 multiplications, and a batch shares it: with eight lanes 64 vectors make it a small
/// part of a row, and all that a batch holds stays in the second-level cache; of smaller vectors more do.
pub(crate) const fn vectors<L: Lane>() -> usize {
    let many = 512 / L::LANES;
    if many < MAX_VECTORS { many } else { MAX_VECTORS }
}

/// All lanes of a type.
pub(crate) const fn all<L: Lane>() -> Mask {
    (((1_u16 << L::LANES) - 1) & 0xff) as Mask
}
