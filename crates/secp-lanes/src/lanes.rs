//! Selects a lane type at run time.

use crate::lane::Lane;
#[cfg(target_arch = "x86_64")]
use crate::{
    avx2::{Avx2, HasAvx2},
    ifma::{HasIfma, Ifma},
};

/// A lane type that this machine can run: [`with_lanes!`](crate::with_lanes) makes a type of it.
#[derive(Clone, Copy, Debug)]
pub enum Lanes {
    /// `u64`.
    Portable,
    /// [`Avx2`].
    #[cfg(target_arch = "x86_64")]
    Avx2(HasAvx2),
    /// [`Ifma`].
    #[cfg(target_arch = "x86_64")]
    Ifma(HasIfma),
}

impl Lanes {
    /// All lane types of this machine, the slowest first: plain 64-bit code, which every machine supports.
    pub fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = [Avx2::available().map(Self::Avx2), Ifma::available().map(Self::Ifma)];
        #[cfg(not(target_arch = "x86_64"))]
        let vectors: [Option<Self>; 0] = [];
        std::iter::once(Self::Portable)
            .chain(vectors.into_iter().flatten())
            .collect()
    }

    /// The fastest lane type of this machine.
    pub fn fastest() -> Self {
        Self::all().last().copied().unwrap_or(Self::Portable)
    }

    /// Name of the lane type, for display.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => u64::NAME,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Avx2::NAME,
            #[cfg(target_arch = "x86_64")]
            Self::Ifma(_) => Ifma::NAME,
        }
    }
}

/// Evaluates an expression with a type name bound to the lane type of a [`Lanes`], and a variable to its token.
///
/// ```
/// use secp_lanes::{Lane, Lanes, with_lanes};
///
/// for lanes in Lanes::all() {
///     let sum = with_lanes!(lanes, L, token => L::splat(token, 2).add(L::splat(token, 3)).to_lanes());
///     assert_eq!(sum[0], 5);
/// }
/// ```
#[macro_export]
macro_rules! with_lanes {
    ($lanes:expr, $lane:ident, $token:ident => $call:expr) => {
        match $lanes {
            $crate::Lanes::Portable => {
                type $lane = u64;
                let $token = $crate::Portable;
                $call
            }
            #[cfg(target_arch = "x86_64")]
            $crate::Lanes::Avx2($token) => {
                type $lane = $crate::Avx2;
                $call
            }
            #[cfg(target_arch = "x86_64")]
            $crate::Lanes::Ifma($token) => {
                type $lane = $crate::Ifma;
                $call
            }
        }
    };
}
