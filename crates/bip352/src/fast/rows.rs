//! The rows of a call: tweak points in words, and the outputs' first eight bytes for a quick look.

use super::point::Packed;

/// Up to so many outputs a look goes through all of them.
const FEW: usize = 8;

#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) tweaks: Vec<Packed>,
    /// The first eight bytes of the outputs, sorted within a row.
    words: Vec<u64>,
    /// Where each row's words begin, and the end.
    starts: Vec<usize>,
}

impl Rows {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        let mut starts = Vec::with_capacity(rows + 1);
        starts.push(0);
        Self {
            tweaks: Vec::with_capacity(rows),
            words: Vec::new(),
            starts,
        }
    }

    pub(crate) fn push<'k>(&mut self, tweak: Packed, outputs: impl Iterator<Item = &'k [u8; 32]>) {
        let start = self.words.len();
        self.words.extend(outputs.map(first_word));
        self.words[start..].sort_unstable();
        self.starts.push(self.words.len());
        self.tweaks.push(tweak);
    }

    pub(crate) fn len(&self) -> usize {
        self.tweaks.len()
    }

    /// Whether an output of the row begins so. One in 2^64 does by chance, which costs a closer look.
    #[inline(always)]
    pub(crate) fn has(&self, row: usize, word: u64) -> bool {
        let words = &self.words[self.starts[row]..self.starts[row + 1]];
        if words.len() <= FEW {
            words.contains(&word)
        } else {
            words.binary_search(&word).is_ok()
        }
    }
}

fn first_word(key: &[u8; 32]) -> u64 {
    key.iter().take(8).fold(0, |w, b| w << 8 | u64::from(*b))
}
