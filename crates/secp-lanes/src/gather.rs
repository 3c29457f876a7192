//! Kernels that read and write one vector of points.

use crate::lane::{Kernel, Lane, MAX_LANES};
use crate::packed::Packed;
use crate::point::Affine;

/// A point for each lane.
pub struct Gather<P>(pub P);

impl<'a, L: Lane, P: Fn(usize) -> &'a Packed> Kernel<L> for Gather<P> {
    type Output = Affine<L>;

    #[inline(always)]
    fn run(self, token: L::Token) -> Affine<L> {
        Affine::gather(token, self.0)
    }
}

/// The point of each lane.
pub struct Pack<'a, L>(pub &'a Affine<L>);

impl<L: Lane> Kernel<L> for Pack<'_, L> {
    type Output = [Packed; MAX_LANES];

    #[inline(always)]
    fn run(self, _: L::Token) -> Self::Output {
        self.0.pack()
    }
}
