//! The operations that a machine provides: vectors of 64-bit numbers, and a field multiplication.
//!
//! All arithmetic above this file is written once, for any [`Lane`]. A lane type is one number (`u64`), four
//! (`Avx2`) or eight (`Ifma`).

use zeroize::Zeroize;

use crate::element::Fe;
use crate::packed::Packed;

/// Most lanes that a type may have: the width of the arrays that pass single lanes on.
pub const MAX_LANES: usize = 8;

/// One bit for each lane.
pub type Mask = u8;

/// Work that is compiled for a lane type with all instructions of its machine.
///
/// `run` has to be inlined (`#[inline(always)]`), and so has everything below it that computes: only then is the code
/// compiled as part of the function with the machine's instructions enabled. A called function (a closure passed to
/// `map` or `array::from_fn`, for example) is compiled without them: correct, and ten times slower. `scripts/vectors`
/// detects such calls in the binary.
pub trait Kernel<L: Lane> {
    /// Its result.
    type Output;

    /// Runs the computation. The token creates its first values.
    fn run(self, token: L::Token) -> Self::Output;
}

/// `LANES` unsigned 64-bit numbers; arithmetic wraps.
pub trait Lane: Copy + Send + Sync + Zeroize + 'static {
    /// Proof that this machine has the type's instructions: only [`Lane::available`] creates it.
    ///
    /// Every function that creates a value from plain numbers takes one, so that a value is a proof as well
    /// ([`Lane::token`]).
    type Token: Copy + std::fmt::Debug + Send + Sync + 'static;

    /// Number of lanes.
    const LANES: usize;
    /// Name of the engine, for display.
    const NAME: &'static str;

    /// The token, if the machine has every instruction for which the code of the type is compiled.
    fn available() -> Option<Self::Token>;

    /// The token from which this value was created.
    fn token(self) -> Self::Token;

    /// Runs the kernel with the machine's instructions enabled.
    fn vectorize<K: Kernel<Self>>(token: Self::Token, kernel: K) -> K::Output;

    /// The same number in each lane.
    fn splat(token: Self::Token, n: u64) -> Self;
    /// Each lane's number; zero above [`Lane::LANES`].
    fn to_lanes(self) -> [u64; MAX_LANES];
    /// `self + other`.
    fn add(self, other: Self) -> Self;
    /// `self - other`.
    fn sub(self, other: Self) -> Self;
    /// `self & other`.
    fn and(self, other: Self) -> Self;
    /// `self | other`.
    fn or(self, other: Self) -> Self;
    /// `self << N`.
    fn shl<const N: u32>(self) -> Self;
    /// `self >> N`.
    fn shr<const N: u32>(self) -> Self;
    /// The lanes that are zero.
    fn zeros(self) -> Mask;
    /// `yes` where the mask has a bit, `no` elsewhere.
    fn select(mask: Mask, yes: Self, no: Self) -> Self;

    /// `self + n·(2^32 + 977)`, for `n` below 2^19: what is above 2^256, folded.
    fn fold(self, n: Self) -> Self;
    /// Whether multiplications read limbs above 52 bits, up to 2^56, so that [`crate::element::Loose::settle`] is a
    /// no-op.
    const READS_LOOSE: bool;

    /// `a·b + c`; the limbs of `c` are below 2^58.
    fn mul_add(a: &Fe<Self>, b: &Fe<Self>, c: &[Self; 5]) -> Fe<Self>;
    /// `a² + c`; the limbs of `c` are below 2^58.
    fn square_add(a: &Fe<Self>, c: &[Self; 5]) -> Fe<Self>;
    /// The eight words of one point for each lane, word by word.
    fn gather<'a>(token: Self::Token, point: impl Fn(usize) -> &'a Packed) -> [Self; 8];
}

/// Most [`vectors`] of a batch, for any lane type.
pub const MAX_VECTORS: usize = 256;

/// Vectors of a batch. An inversion costs as much as 270 multiplications, and a batch shares it: with eight lanes 64
/// vectors make it a small part of a row, and all that a batch holds stays in the second-level cache; of smaller
/// vectors more do.
pub const fn vectors<L: Lane>() -> usize {
    let many = 512 / L::LANES;
    if many < MAX_VECTORS { many } else { MAX_VECTORS }
}

/// All lanes of a type.
pub const fn all<L: Lane>() -> Mask {
    (((1_u16 << L::LANES) - 1) & 0xff) as Mask
}
