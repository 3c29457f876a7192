//! Random choices and jitter: SplitMix64 with a seed from the driver, so that a run is reproducible. No secret depends
//! on it.

use std::time::Duration;

/// The generator.
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends: callers want a number, not an option"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        match end as u64 {
            0 => 0,
            end => (self.next() % end) as usize,
        }
    }

    /// `mean` ± 20 %, so that relays that started together do not act at the same time.
    pub fn jittered(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(0.8 + 0.4 * (self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// The mixing function of SplitMix64.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
