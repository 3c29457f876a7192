//! Choices and jitter: SplitMix64, seeded by the driver, so that a run can be repeated. No secret depends on it.

use std::time::Duration;

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `end`; 0 where `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        match end as u64 {
            0 => 0,
            end => (self.next() % end) as usize,
        }
    }

    /// `mean`, give or take a fifth: relays that started together do not stay in step.
    pub(crate) fn around(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(0.8 + 0.4 * (self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// Spreads the bits.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
