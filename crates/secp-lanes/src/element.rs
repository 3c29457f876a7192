//! Elements of the field of p = 2^256 - 2^32 - 977 in five limbs of 52 bits, and the constants for the reduction in
//! every lane type.
//!
//! Invariant of every [`Fe`] ("weakly reduced"): limbs 0 to 3 are below 2^52, and the value is below 2^256 + 2^247.
//! Sums and differences are [`Loose`] until [`Loose::carry`] or a multiplication that takes them as its addend makes
//! them weakly reduced again.

use zeroize::Zeroize;

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
/// A weakly reduced element in each lane.
#[derive(Clone, Copy)]
pub struct Fe<L>(pub(crate) [L; 5]);

impl<L: Zeroize> Zeroize for Fe<L> {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// A sum of elements whose limbs have not been carried: each below 2^58, none below zero.
#[derive(Clone, Copy)]
pub struct Loose<L>(pub(crate) [L; 5]);
