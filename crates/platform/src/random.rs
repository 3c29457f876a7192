//! Randomness for keys, ids, and the jitter of waits.

use bitcoin::secp256k1::rand::rngs::OsRng;
use bitcoin::secp256k1::rand::{CryptoRng, Error, RngCore};

use crate::simulation;

/// The generator: the system's, or the seeded one of the simulation on this thread.
pub fn rng() -> Random {
    Random(())
}

/// See [`rng`].
#[derive(Debug)]
pub struct Random(());

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        simulation::with_rng(RngCore::next_u32).unwrap_or_else(|| OsRng.next_u32())
    }

    fn next_u64(&mut self) -> u64 {
        simulation::with_rng(RngCore::next_u64).unwrap_or_else(|| OsRng.next_u64())
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        if simulation::with_rng(|rng| rng.fill_bytes(bytes)).is_none() {
            OsRng.fill_bytes(bytes);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        match simulation::with_rng(|rng| rng.try_fill_bytes(bytes)) {
            Some(filled) => filled,
            None => OsRng.try_fill_bytes(bytes),
        }
    }
}

// Both generators are.
impl CryptoRng for Random {}
