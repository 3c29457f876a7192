//! One point, in the format of tables.

use zeroize::Zeroize;

/// One point in the format of tables: four words of x and four of y, lowest first, below p.
#[derive(Clone, Copy, Zeroize)]
#[repr(C, align(64))]
pub struct Packed(pub [u64; 8]);

impl Packed {
    /// From the big-endian coordinates.
    #[inline]
    pub fn from_bytes(xy: &[u8; 64]) -> Self {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(xy.rchunks_exact(8)) {
            *word = bytes.iter().fold(0, |w, b| w << 8 | u64::from(*b));
        }
        // The bytes run from y's lowest word to x's highest.
        words.rotate_left(4);
        Self(words)
    }

    /// SEC 1, 2.3.3, without compression.
    #[inline]
    pub fn uncompressed(&self) -> [u8; 65] {
        let mut bytes = [4; 65];
        let (x, y) = bytes[1..].split_at_mut(32);
        for (half, words) in [x, y].into_iter().zip(self.0.chunks_exact(4)) {
            for (bytes, word) in half.rchunks_exact_mut(8).zip(words) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
        }
        bytes
    }

    /// SEC 1, 2.3.3, with compression.
    #[inline]
    pub fn compressed(&self) -> [u8; 33] {
        let mut bytes = [2; 33];
        bytes.copy_from_slice(&self.uncompressed()[..33]);
        bytes[0] = 2 | (self.0[4] & 1) as u8;
        bytes
    }
}

/// The generator, also the replacement of an invalid point.
pub const GENERATOR: Packed = Packed([
    0x59f2_815b_16f8_1798,
    0x029b_fcdb_2dce_28d9,
    0x55a0_6295_ce87_0b07,
    0x79be_667e_f9dc_bbac,
    0x9c47_d08f_fb10_d4b8,
    0xfd17_b448_a685_5419,
    0x5da4_fbfc_0e11_08a8,
    0x483a_da77_26a3_c465,
]);
