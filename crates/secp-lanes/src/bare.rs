//! Field multiplications and nothing else: what any step costs at least.

use std::hint::black_box;

use crate::element::Fe;
use crate::lane::{Kernel, Lane};
use crate::point::Affine;

/// Independent products, so that none waits for another.
const CHAINS: usize = 8;

/// Multiplies so many times in each chain.
pub struct Bare {
    /// Multiplications of each chain.
    pub rounds: usize,
}

impl Bare {
    /// Multiplications that [`Bare`] makes, in all lanes.
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
