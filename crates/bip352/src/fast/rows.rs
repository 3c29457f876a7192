//! The rows of a call: tweak points in words, and the outputs' first eight bytes for a quick comparison.

use secp_lanes::{Decompress, Lane, MAX_LANES, Packed};

/// Up to this many outputs, a look-up compares with all of them.
const FEW: usize = 8;

#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) tweaks: Vec<Packed>,
    /// The first eight bytes of the outputs, sorted within a row.
    words: Vec<u64>,
    /// Start of the words of each row, and the end.
    starts: Vec<usize>,
    /// The outputs compressed as if their y coordinates were even, in the rows' order; empty if not requested.
    keys: Vec<[u8; 33]>,
    keeps_keys: bool,
    /// The outputs that are points on the curve, after lifting, with the start of each row, and the end.
    lifted: Vec<Packed>,
    lifted_starts: Vec<usize>,
}

impl Rows {
    /// `keeps_keys`: the outputs may have to be [lifted](Self::lift).
    pub(crate) fn with_capacity(rows: usize, keeps_keys: bool) -> Self {
        let mut starts = Vec::with_capacity(rows + 1);
        starts.push(0);
        Self {
            tweaks: Vec::with_capacity(rows),
            words: Vec::new(),
            starts,
            keeps_keys,
            ..Self::default()
        }
    }

    pub(crate) fn push<'k>(&mut self, tweak: Packed, outputs: impl Iterator<Item = &'k [u8; 32]>) {
        let start = self.words.len();
        for key in outputs {
            self.words.push(first_word(key));
            if self.keeps_keys {
                let mut even = [2; 33];
                even[1..].copy_from_slice(key);
                self.keys.push(even);
            }
        }
        self.words[start..].sort_unstable();
        self.starts.push(self.words.len());
        self.tweaks.push(tweak);
    }

    pub(crate) fn len(&self) -> usize {
        self.tweaks.len()
    }

    /// Number of outputs of all rows.
    pub(crate) fn outputs(&self) -> usize {
        self.words.len()
    }

    /// Finds the y coordinates of all outputs, eight square roots at a time.
    pub(crate) fn lift<L: Lane>(&mut self, token: L::Token) {
        let mut points = Vec::with_capacity(self.keys.len());
        for some in self.keys.chunks(L::LANES) {
            let keys: [&[u8; 33]; MAX_LANES] = std::array::from_fn(|lane| &some[lane.min(some.len() - 1)]);
            let (found, good) = L::vectorize(token, Decompress { keys: &keys });
            let found = found.into_iter().take(some.len()).enumerate();
            points.extend(found.map(|(lane, point)| (good >> lane & 1 == 1).then_some(point)));
        }
        self.lifted_starts.push(0);
        for row in self.starts.windows(2) {
            self.lifted
                .extend(points.get(row[0]..row[1]).into_iter().flatten().flatten());
            self.lifted_starts.push(self.lifted.len());
        }
    }

    /// The row's outputs that are points; their sign is that of an even y coordinate.
    pub(crate) fn lifted(&self, row: usize) -> &[Packed] {
        let range = self.lifted_starts.get(row).zip(self.lifted_starts.get(row + 1));
        range.map_or(&[], |(start, end)| &self.lifted[*start..*end])
    }

    /// Whether an output of the row has this prefix. A false positive has a probability of 2^-64, and costs only a scan
    /// by the reference.
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
