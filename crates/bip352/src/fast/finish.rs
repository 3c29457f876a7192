//! From shared secrets to rows that need a closer look: hash, t·G, the receiver's keys, comparison.

use super::lane::{Kernel, Lane, MAX_LANES, Mask};
use super::multiples::{GENERATOR_TABLE, generator_entry};
use super::point::{Affine, GENERATOR, Packed, Scratch, Sums};
use super::rows::Rows;
use super::scalar::{WINDOWS, generator_digit, generator_digits};
use super::steps::{Clock, Step};
use crate::hash;
use zeroize::{Zeroize as _, Zeroizing};

/// Vectors of a batch. An inversion costs as much as 270 multiplications: shared by so many, it is a small part of a row; and all that a
/// batch holds stays in the second-level cache.
pub(crate) const VECTORS: usize = 64;
/// Sums that grow side by side for one row, so that an inversion serves as many.
pub(crate) const CHAINS: usize = 4;

/// A row for one receiver, in one lane.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) row: usize,
    /// Index of the receiver.
    pub(crate) receiver: usize,
    /// Fills up a vector; nobody asks for its answer.
    pub(crate) filler: bool,
}

/// The room of a batch, allocated once for many.
pub(crate) struct Batch<L> {
    /// `LANES` for each vector.
    pub(crate) slots: Vec<Slot>,
    /// `b·T`; erased at the end, as far as they are secrets at all: they are never more than what a shared secret is.
    pub(crate) secrets: Vec<Affine<L>>,
    /// Lanes that met an exceptional case: libsecp256k1 scans their rows.
    pub(crate) bad: Vec<Mask>,
    pub(crate) sums: Vec<Affine<L>>,
    pub(crate) addends: Vec<Affine<L>>,
    pub(crate) scratch: Scratch<L>,
    digits: Vec<[u8; WINDOWS]>,
    pub(crate) clock: Clock,
}

impl<L: Lane> Batch<L> {
    pub(crate) fn new() -> Self {
        let blank = Affine::gather(|_| &GENERATOR);
        Self {
            slots: Vec::with_capacity(VECTORS * L::LANES),
            secrets: vec![blank; VECTORS],
            bad: vec![0; VECTORS],
            sums: vec![blank; CHAINS * VECTORS],
            addends: vec![blank; CHAINS * VECTORS],
            scratch: Scratch::new(2 * CHAINS * VECTORS),
            digits: vec![[0; WINDOWS]; VECTORS * L::LANES],
            clock: Clock::start(),
        }
    }

    pub(crate) fn vectors(&self) -> usize {
        self.slots.len() / L::LANES
    }

    /// Tells `found` of every row and receiver that libsecp256k1 has to look at, in the order of the slots.
    pub(crate) fn finish(&mut self, keys: &[&[Packed]], rows: &Rows, mut found: impl FnMut(usize, usize)) {
        let vectors = self.vectors();
        self.clock.lap(Step::ScanKey);
        self.hash();
        self.clock.lap(Step::Hash);
        L::vectorize(Generator {
            vectors,
            digits: &self.digits,
            sums: &mut self.sums,
            addends: &mut self.addends,
            scratch: &mut self.scratch,
            bad: &mut self.bad[..vectors],
        });
        self.clock.lap(Step::Generator);
        // R = t·G is now in the first sums; the receiver's outputs are R plus each of its keys.
        self.secrets[..vectors].copy_from_slice(&self.sums[..vectors]);
        let slots = &self.slots;
        let most = slots.iter().map(|slot| keys[slot.receiver].len()).max().unwrap_or(0);
        let mut hit = [0 as Mask; VECTORS];
        let mut next = 0;
        while next < most {
            let some = CHAINS.min(most - next);
            L::vectorize(Keys {
                vectors,
                some,
                points: &self.secrets,
                // A receiver with fewer keys than the others repeats its last.
                key: |i: usize, slot: usize| {
                    let keys = keys[slots[slot].receiver];
                    &keys[(next + i).min(keys.len() - 1)]
                },
                sums: &mut self.sums,
                addends: &mut self.addends,
                scratch: &mut self.scratch,
                bad: &mut self.bad[..vectors],
                seen: |v: usize, lane: usize, word: u64| {
                    if rows.has(slots[v * L::LANES + lane].row, word) {
                        hit[v] |= 1 << lane;
                    }
                },
            });
            next += some;
        }
        for (v, lanes) in slots.chunks_exact(L::LANES).enumerate() {
            let marks = hit[v] | self.bad[v];
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
            L::vectorize(Serialize(&self.secrets[v], &mut words));
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

impl<L> Drop for Batch<L> {
    fn drop(&mut self) {
        for digits in &mut self.digits {
            digits.zeroize();
        }
    }
}

struct Serialize<'a, L>(&'a Affine<L>, &'a mut [[u64; MAX_LANES]; 5]);

impl<L: Lane> Kernel<L> for Serialize<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let x = self.0.x.normalize().to_words();
        let y = self.0.y.normalize().0[0];
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
    fn run(self) {
        const STEPS: usize = WINDOWS / CHAINS;
        let vectors = self.vectors;
        let table: &[Packed] = &GENERATOR_TABLE;
        let digits = self.digits;
        for step in 0..STEPS {
            let into = if step == 0 { &mut *self.sums } else { &mut *self.addends };
            for chain in 0..CHAINS {
                let window = chain * STEPS + step;
                for v in 0..vectors {
                    let byte = |lane: usize| digits[v * L::LANES + lane][window];
                    let minus =
                        (0..L::LANES).fold(0, |m, lane| m | Mask::from(generator_digit(byte(lane)).minus) << lane);
                    into[chain * vectors + v] = Affine::gather_signed(minus, |lane| {
                        &table[generator_entry(window, generator_digit(byte(lane)))]
                    });
                }
            }
            if step > 0 {
                L::vectorize(Sums {
                    sums: &mut self.sums[..CHAINS * vectors],
                    addends: &self.addends[..CHAINS * vectors],
                    scratch: self.scratch,
                    bad: self.bad,
                });
            }
        }
        let mut chains = CHAINS;
        while chains > 1 {
            chains /= 2;
            let (sums, addends) = self.sums.split_at_mut(chains * vectors);
            L::vectorize(Sums {
                sums,
                addends,
                scratch: self.scratch,
                bad: self.bad,
            });
        }
    }
}

/// The highest word of the x coordinates of each point plus `some` keys.
struct Keys<'a, L, K, S> {
    vectors: usize,
    some: usize,
    points: &'a [Affine<L>],
    /// `(i, slot)`: the i-th of the keys.
    key: K,
    sums: &'a mut [Affine<L>],
    addends: &'a mut [Affine<L>],
    scratch: &'a mut Scratch<L>,
    bad: &'a mut [Mask],
    /// `(vector, lane, word)`.
    seen: S,
}

impl<'a, L: Lane, K: Fn(usize, usize) -> &'a Packed, S: FnMut(usize, usize, u64)> Kernel<L> for Keys<'a, L, K, S> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let vectors = self.vectors;
        for i in 0..self.some {
            self.sums[i * vectors..(i + 1) * vectors].copy_from_slice(&self.points[..vectors]);
            for v in 0..vectors {
                self.addends[i * vectors + v] = Affine::gather(|lane| (self.key)(i, v * L::LANES + lane));
            }
        }
        let count = self.some * vectors;
        L::vectorize(Sums {
            sums: &mut self.sums[..count],
            addends: &self.addends[..count],
            scratch: self.scratch,
            bad: self.bad,
        });
        for i in 0..count {
            let words = self.sums[i].x.normalize().to_words()[3].to_lanes();
            for (lane, word) in words.iter().take(L::LANES).enumerate() {
                (self.seen)(i % vectors, lane, *word);
            }
        }
    }
}
