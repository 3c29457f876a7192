//! Keys without cryptography: a signature is a hash that anybody can compute. The simulation is about time and bytes;
//! real keys are tested in `mesh-net`.

use sdk_relay_mesh::Keys;
use sdk_relay_mesh_table::random::mix;

/// The key of one simulated relay.
pub struct SimulatedKeys(String);

impl SimulatedKeys {
    /// The key with this number.
    pub fn new(number: u64) -> Self {
        Self(hex(mix(number), 4))
    }
}

impl Keys for SimulatedKeys {
    fn public_key(&self) -> String {
        self.0.clone()
    }

    fn sign(&self, message: &[u8]) -> String {
        hex(hash(&self.0, message), 8)
    }

    fn verify(&self, public_key: &str, message: &[u8], signature: &str) -> bool {
        signature == hex(hash(public_key, message), 8)
    }
}

fn hash(key: &str, message: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for chunk in key.as_bytes().chunks(8).chain(message.chunks(8)) {
        let word = chunk.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        hash = mix(hash ^ word);
    }
    hash
}

fn hex(mut seed: u64, words: usize) -> String {
    let mut text = String::with_capacity(words * 16);
    for _ in 0..words {
        for shift in (0..16).rev() {
            let digit = (seed >> (shift * 4)) & 15;
            text.push(char::from_digit(digit as u32, 16).unwrap_or('0'));
        }
        seed = mix(seed);
    }
    text
}
