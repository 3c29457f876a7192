//! From shared secrets to candidate rows: hash, t·G, the keys of the receiver, comparison.

use secp_lanes::{
    Affine, Kernel, Lane, MAX_LANES, Mask, Packed, Scratch, Sums, WINDOWS, erase, generator_digit, generator_digits,
    generator_entry, generator_table, vectors,
};
use zeroize::{Zeroize as _, Zeroizing};

use super::labels::{Search, Wanted};
use super::rows::Rows;
use super::steps::{Clock, Step};
use crate::hash;

/// Number of parallel sums per row, which share an inversion.
pub(crate) const CHAINS: usize = 4;

/// A row for one receiver, in one lane.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) row: usize,
    /// Index of the receiver.
    pub(crate) receiver: usize,
    /// Padding of a vector; its result is ignored.
    pub(crate) filler: bool,
}

/// Memory of a batch, allocated once and reused.
pub(crate) struct Batch<L: Lane> {
    pub(crate) token: L::Token,
    /// `LANES` for each vector.
    pub(crate) slots: Vec<Slot>,
    /// `b·T`, the shared secrets. They, their inputs and all derived values are zeroised at the end.
    pub(crate) secrets: Vec<Affine<L>>,
    /// Lanes with a hit or an exceptional case: libsecp256k1 scans their rows.
    pub(crate) bad: Vec<Mask>,
    pub(crate) sums: Vec<Affine<L>>,
    pub(crate) addends: Vec<Affine<L>>,
    pub(crate) scratch: Scratch<L>,
    digits: Vec<[u8; WINDOWS]>,
    pub(crate) clock: Clock,
}

impl<L: Lane> Batch<L> {
    pub(crate) fn new(token: L::Token) -> Self {
        let (blank, most) = (Affine::blank(token), vectors::<L>());
        Self {
            token,
            slots: Vec::with_capacity(most * L::LANES),
            secrets: vec![blank; most],
            bad: vec![0; most],
            sums: vec![blank; CHAINS * most],
            addends: vec![blank; CHAINS * most],
            scratch: Scratch::new(token, CHAINS * most),
            digits: vec![[0; WINDOWS]; most * L::LANES],
            clock: Clock::start(),
        }
    }

    pub(crate) fn vectors(&self) -> usize {
        self.slots.len() / L::LANES
    }

    /// Calls `found` for every candidate pair of row and receiver, in the order of the slots.
    pub(crate) fn finish(&mut self, wanted: &[Wanted<'_>], rows: &Rows, mut found: impl FnMut(usize, usize)) {
        let vectors = self.vectors();
        self.clock.lap(Step::ScanKey);
        self.hash();
        self.clock.lap(Step::Hash);
        L::vectorize(
            self.token,
            Generator {
                vectors,
                digits: &self.digits,
                sums: &mut self.sums,
                addends: &mut self.addends,
                scratch: &mut self.scratch,
                bad: &mut self.bad[..vectors],
            },
        );
        self.clock.lap(Step::Generator);
        // R = t·G is now in the first sums.
        self.secrets[..vectors].copy_from_slice(&self.sums[..vectors]);
        let slots = &self.slots;
        let search = Search {
            token: self.token,
            slots,
            wanted,
            rows,
            points: &self.secrets[..vectors],
            sums: &mut self.sums,
            addends: &mut self.addends,
            scratch: &mut self.scratch,
            marks: &mut self.bad[..vectors],
        };
        search.run();
        for (v, lanes) in slots.chunks_exact(L::LANES).enumerate() {
            let marks = self.bad[v];
            if marks == 0 {
                continue;
            }
            for (lane, slot) in lanes.iter().enumerate() {
                if marks >> lane & 1 == 1 && !slot.filler {
                    found(slot.row, slot.receiver);
                }
            }
        }
        self.clock.lap(Step::Keys);
    }

    /// The digits of t_0 for each slot.
    fn hash(&mut self) {
        for v in 0..self.vectors() {
            let mut words = Zeroizing::new([[0; MAX_LANES]; 5]);
            L::vectorize(self.token, Serialize(&self.secrets[v], &mut words));
            for lane in 0..L::LANES {
                let mut secret = Zeroizing::new([0; 33]);
                secret[0] = 2 | (words[4][lane] & 1) as u8;
                for (bytes, word) in secret[1..].rchunks_exact_mut(8).zip(words.iter()) {
                    bytes.copy_from_slice(&word[lane].to_be_bytes());
                }
                let digits = generator_digits(&hash::output_hash(&secret, 0));
                let slot = v * L::LANES + lane;
                match digits {
                    Some(digits) => self.digits[slot] = digits,
                    None => self.bad[v] |= 1 << lane,
                }
            }
        }
    }
}

impl<L: Lane> Drop for Batch<L> {
    fn drop(&mut self) {
        erase(&mut self.secrets);
        erase(&mut self.sums);
        erase(&mut self.addends);
        self.scratch.zeroize();
        erase(&mut self.digits);
    }
}

struct Serialize<'a, L>(&'a Affine<L>, &'a mut [[u64; MAX_LANES]; 5]);

impl<L: Lane> Kernel<L> for Serialize<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: L::Token) {
        let x = self.0.x.normalize().to_words();
        let y = self.0.y.normalize().to_words()[0];
        for (words, lanes) in self.1.iter_mut().zip(x.into_iter().chain([y])) {
            *words = lanes.to_lanes();
        }
    }
}

/// t·G in the first `vectors` sums.
struct Generator<'a, L> {
    vectors: usize,
    digits: &'a [[u8; WINDOWS]],
    sums: &'a mut [Affine<L>],
    addends: &'a mut [Affine<L>],
    scratch: &'a mut Scratch<L>,
    bad: &'a mut [Mask],
}

impl<L: Lane> Kernel<L> for Generator<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, token: L::Token) {
        const STEPS: usize = WINDOWS / CHAINS;
        let vectors = self.vectors;
        let table: &[Packed] = generator_table();
        let digits = self.digits;
        for step in 0..STEPS {
            let into = if step == 0 { &mut *self.sums } else { &mut *self.addends };
            for chain in 0..CHAINS {
                let window = chain * STEPS + step;
                for v in 0..vectors {
                    let byte = |lane: usize| digits[v * L::LANES + lane][window];
                    let minus =
                        (0..L::LANES).fold(0, |m, lane| m | Mask::from(generator_digit(byte(lane)).minus) << lane);
                    into[chain * vectors + v] = Affine::gather_signed(token, minus, |lane| {
                        &table[generator_entry(window, generator_digit(byte(lane)))]
                    });
                }
            }
            if step > 0 {
                L::vectorize(
                    token,
                    Sums {
                        sums: &mut self.sums[..CHAINS * vectors],
                        addends: &self.addends[..CHAINS * vectors],
                        scratch: self.scratch,
                        bad: self.bad,
                    },
                );
            }
        }
        let mut chains = CHAINS;
        while chains > 1 {
            chains /= 2;
            let (sums, addends) = self.sums.split_at_mut(chains * vectors);
            L::vectorize(
                token,
                Sums {
                    sums,
                    addends,
                    scratch: self.scratch,
                    bad: self.bad,
                },
            );
        }
    }
}
