//! Field multiplications only: a lower bound of the cost of any step.

use std::hint::black_box;

use crate::element::Fe;
use crate::lane::{Kernel, Lane};
use crate::point::Affine;

/// Independent products, to hide the latency of a multiplication.
const CHAINS: usize = 8;

/// Kernel that multiplies `rounds` times in each chain.
pub struct Bare {
    /// Multiplications of each chain.
    pub rounds: usize,
}

impl Bare {
    /// Number of multiplications of [`Bare`] in all lanes.
    pub fn count<L: Lane>(&self) -> usize {
        self.rounds * CHAINS * L::LANES
    }
}

impl<L: Lane> Kernel<L> for Bare {
    type Output = ();

    #[inline(always)]
    fn run(self, token: L::Token) {
        let Affine { x, y } = black_box(Affine::<L>::blank(token));
        let mut products: [Fe<L>; CHAINS] = [x; CHAINS];
        for _ in 0..self.rounds {
            for product in &mut products {
                *product = product.mul(&y);
            }
        }
        black_box(products);
    }
}
