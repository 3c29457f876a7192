//! Vectorised arithmetic of secp256k1: many points at a time, in as many lanes as the machine has.
//!
//! | lane type | lanes | instructions |
//! |---|---|---|
//! | [`Ifma`] | 8 | AVX-512 F, DQ, VL and IFMA, AVX2, FMA, BMI2 |
//! | [`Avx2`] | 4 | AVX2, FMA, BMI2 |
//! | `u64` | 1 | any machine; BMI2 if available |
//!
//! All arithmetic is written once, for any [`Lane`]: field elements ([`Fe`]), points ([`Affine`], [`Jacobian`]), tables
//! of multiples ([`OddMultiples`], [`Combs`], [`generator_table`]), digits of scalars ([`Schedule`], [`CombDigits`],
//! [`LockstepDigits`]), and additions that share an inversion ([`Sums`], [`XSums`], [`AnySums`]).
//!
//! # Example
//!
//! Multiplies each point by a scalar of its own, with the fastest lane type of this machine.
//!
//! ```
//! use secp_lanes::{EachScalar, GENERATOR, Lanes, LockstepDigits, Packed, with_lanes};
//!
//! let scalar = |n: u8| {
//!     let mut bytes = [0; 32];
//!     bytes[31] = n;
//!     LockstepDigits::new(&bytes)
//! };
//! let pairs: Vec<_> = (2..12).filter_map(|n| Some((GENERATOR, scalar(n)?))).collect();
//!
//! let products: Vec<Option<Packed>> =
//!     with_lanes!(Lanes::fastest(), L, token => EachScalar::<L>::new(token, pairs.len()).multiply(&pairs));
//!
//! // 7·G. `None` is a lane that met an exceptional case of the group law; compute it by other means.
//! let seven = products[5].map(|point| point.compressed());
//! assert!(seven.is_none_or(|bytes| bytes[..5] == [0x02, 0x5c, 0xbd, 0xf0, 0x64]));
//! ```
//!
//! # Safety
//!
//! A lane type's instructions must not run on a machine without them. [`Lane::available`] is the only function that
//! creates the [token](Lane::Token) of a lane type, and a value of a lane type is created from a token or from another
//! value; so no safe code reaches an instruction that the machine lacks. The features that `available` checks and those
//! that the code is compiled for come from one list.
//!
//! ```compile_fail,E0423
//! # #[cfg(target_arch = "x86_64")]
//! let forged = secp_lanes::HasAvx2(());
//! # #[cfg(not(target_arch = "x86_64"))]
//! # compile_error!("nothing to forge");
//! ```
//!
//! # Limitations
//!
//! - **Not constant-time.** A [`Schedule`] follows the scalar's digits, and tables are read at secret indices. Use it
//!   only if an attacker cannot measure time or caches of the machine.
//! - **Not complete.** No addition handles equal or opposite points, except [`AnySums`]. A lane that meets one is
//!   marked in the [`Mask`] that the operation returns; its result is meaningless.

#[cfg(target_arch = "x86_64")]
#[macro_use]
mod instruction;

#[cfg(target_arch = "x86_64")]
mod avx2;
mod bare;
mod combs;
mod decompress;
mod each;
mod element;
mod field;
mod gather;
mod generator;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod lane;
mod lanes;
mod multiples;
mod packed;
mod point;
mod portable;
mod scalar;
mod sums;

#[cfg(target_arch = "x86_64")]
pub use avx2::{Avx2, HasAvx2};
pub use bare::Bare;
pub use combs::{Combs, comb_entry};
pub use decompress::Decompress;
pub use each::EachScalar;
pub use element::{Fe, Loose};
pub use gather::{Gather, Pack};
pub use generator::{generator_entry, generator_table};
#[cfg(target_arch = "x86_64")]
pub use ifma::{HasIfma, Ifma};
pub use lane::{Kernel, Lane, MAX_LANES, MAX_VECTORS, Mask, all, vectors};
pub use lanes::Lanes;
pub use multiples::OddMultiples;
pub use packed::{GENERATOR, Packed};
pub use point::{Affine, Jacobian};
pub use portable::Portable;
pub use scalar::{
    CombDigits, Digit, HALF_WINDOWS, LockstepDigits, NAF_ENTRIES, Schedule, Step, WINDOWS, generator_digit,
    generator_digits,
};
pub use sums::{AnySums, Scratch, Sums, ToAffine, XSums, erase};

#[cfg(test)]
mod tests;
