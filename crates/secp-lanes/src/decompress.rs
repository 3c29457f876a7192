//! Points from their compressed form, a square root for all lanes at a time.

use crate::element::Fe;
use crate::lane::{Kernel, Lane, MAX_LANES, Mask, all};
use crate::packed::{GENERATOR, Packed};
use crate::point::Affine;

/// As many points as there are lanes. Lanes without a mark are not points on the curve; they hold the generator.
pub struct Decompress<'a> {
    /// Compressed points, one for each lane; lanes beyond those of the type are not read.
    pub keys: &'a [&'a [u8; 33]; MAX_LANES],
}

impl<L: Lane> Kernel<L> for Decompress<'_> {
    type Output = ([Packed; MAX_LANES], Mask);

    /// y² = x³ + 7, and the root with the parity of the first byte (SEC 1, 2.3.4).
    #[inline(always)]
    fn run(self, token: L::Token) -> Self::Output {
        let mut given = [GENERATOR; MAX_LANES];
        let mut odd: Mask = 0;
        let mut valid: Mask = 0;
        for (lane, (point, key)) in given.iter_mut().zip(self.keys).enumerate() {
            for (word, bytes) in point.0[..4].iter_mut().zip(key[1..].rchunks_exact(8)) {
                *word = bytes.iter().fold(0, |w, b| w << 8 | u64::from(*b));
            }
            odd |= Mask::from(key[0] == 3) << lane;
            valid |= Mask::from(key[0] == 2 || key[0] == 3) << lane;
        }
        let x = Affine::<L>::gather(token, |lane| &given[lane]).x;
        let mut seven = Fe::one(token).loose();
        seven.0[0] = L::splat(token, 7);
        let square = x.square().mul_add(&x, &seven);
        let root = square.sqrt();
        let on_curve = root.square().minus(&square).carry().zeros();
        let y = root.normalize();
        let is_even = y.0[0].and(L::splat(token, 1)).zeros();
        let y = Fe::select(is_even ^ odd, &y, &y.negated().carry());
        let mut points = Affine { x, y }.pack();
        let mut good = on_curve & valid & all::<L>();
        for (lane, (point, given)) in points.iter_mut().zip(&given).enumerate() {
            // Packing wrote x below p: a coordinate of p or more is invalid.
            if point.0[..4] != given.0[..4] {
                good &= !(1 << lane);
            }
            if good >> lane & 1 == 0 {
                *point = GENERATOR;
            }
        }
        (points, good)
    }
}
