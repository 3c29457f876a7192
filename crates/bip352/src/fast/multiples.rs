//! Tables of odd multiples, in affine coordinates: of the generator (fixed), of a point that meets many scalars, of points that meet one.

use std::sync::LazyLock;

use bitcoin::secp256k1::SecretKey;

use super::labels::Gather;
use super::lane::{Kernel, Lane, Mask};
use super::point::{Affine, GENERATOR, Jacobian, Packed, Scratch, Sums, ToAffine};
use super::scalar::{Digit, HALF_WINDOWS, LAST_WINDOW_ENTRIES, WINDOW_ENTRIES, WINDOWS};
use crate::curve::SECP;

/// Bits of a window.
const WINDOW: usize = 8;

/// Grows tables of odd multiples side by side: entry `j·columns + c` becomes (2·j + 1) times column c's point.
///
/// The first `columns` entries hold the points. Each level doubles a table by adding 2^(level + 1) times the point, so that an inversion
/// serves as many additions as there are entries already.
pub(crate) struct Grow<'a, L, P> {
    pub(crate) columns: usize,
    pub(crate) levels: usize,
    /// `(n, c)`: 2^n times column c's point.
    pub(crate) power: P,
    pub(crate) entries: &'a mut [Affine<L>],
    /// At least half as long as the entries.
    pub(crate) addends: &'a mut [Affine<L>],
    pub(crate) scratch: &'a mut Scratch<L>,
    /// Marks of exceptional cases, by column.
    pub(crate) bad: &'a mut [Mask],
}

impl<L: Lane, P: Fn(usize, usize) -> Affine<L>> Kernel<L> for Grow<'_, L, P> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for level in 0..self.levels {
            let count = self.columns << level;
            for i in 0..count {
                self.addends[i] = (self.power)(level + 1, i % self.columns);
            }
            self.entries.copy_within(..count, count);
            L::vectorize(Sums {
                sums: &mut self.entries[count..2 * count],
                addends: &self.addends[..count],
                scratch: self.scratch,
                bad: self.bad,
            });
        }
    }
}

/// p, 2·p, 4·p and so on, as many as there is room for.
pub(crate) struct Powers<'a, L> {
    pub(crate) of: Affine<L>,
    pub(crate) powers: &'a mut [Jacobian<L>],
}

impl<L: Lane> Kernel<L> for Powers<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut point = Jacobian::from_affine(&self.of);
        for power in self.powers {
            *power = point;
            point = point.double();
        }
    }
}

/// Tables of the odd multiples of a point in each lane, for many vectors at a time: 1 to 2^(levels + 1) - 1.
pub(crate) struct OddMultiples<L> {
    levels: usize,
    vectors: usize,
    jacobian: Vec<Jacobian<L>>,
    powers: Vec<Affine<L>>,
    entries: Vec<Affine<L>>,
    addends: Vec<Affine<L>>,
    scratch: Scratch<L>,
}

impl<L: Lane> OddMultiples<L> {
    /// Room for tables of so many vectors.
    pub(crate) fn new(levels: usize, vectors: usize) -> Self {
        let (powers, entries) = ((levels + 1) * vectors, vectors << levels);
        Self {
            levels,
            vectors: 0,
            jacobian: vec![Jacobian::blank(); powers],
            powers: vec![Affine::blank(); powers],
            entries: vec![Affine::blank(); entries],
            addends: vec![Affine::blank(); entries / 2],
            scratch: Scratch::new(powers.max(entries)),
        }
    }

    /// Makes the tables of `bad.len()` vectors, whose lanes with exceptional cases are marked. `point` has the vector and the lane.
    pub(crate) fn fill<'a>(&mut self, bad: &mut [Mask], point: impl Fn(usize, usize) -> &'a Packed) {
        let vectors = bad.len();
        self.vectors = vectors;
        let mut column = [Jacobian::blank(); MAX_LEVELS + 1];
        for v in 0..vectors {
            let of = L::vectorize(Gather(|lane| point(v, lane)));
            let powers = &mut column[..=self.levels];
            L::vectorize(Powers {
                of,
                powers: &mut *powers,
            });
            for (n, power) in powers.iter().enumerate() {
                self.jacobian[n * vectors + v] = *power;
            }
        }
        L::vectorize(ToAffine {
            jacobian: &self.jacobian[..(self.levels + 1) * vectors],
            affine: &mut self.powers,
            scratch: &mut self.scratch,
            bad: &mut *bad,
        });
        self.entries[..vectors].copy_from_slice(&self.powers[..vectors]);
        let powers = &self.powers;
        L::vectorize(Grow {
            columns: vectors,
            levels: self.levels,
            power: |n, v| powers[n * vectors + v],
            entries: &mut self.entries,
            addends: &mut self.addends,
            scratch: &mut self.scratch,
            bad,
        });
    }

    /// (2·j + 1) times the points of vector v.
    #[inline(always)]
    pub(crate) fn entry(&self, j: usize, v: usize) -> &Affine<L> {
        &self.entries[j * self.vectors + v]
    }
}

/// Levels of the largest [`OddMultiples`].
const MAX_LEVELS: usize = 4;

/// Odd multiples of G/2 for each window of a scalar: 256 KiB, which a core's second-level cache holds.
pub(crate) static GENERATOR_TABLE: LazyLock<Vec<Packed>> = LazyLock::new(|| {
    // (n + 1)/2, the half of one.
    let mut half = [0xff; 32];
    half[0] = 0x7f;
    half[16..].copy_from_slice(&[
        0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa1,
    ]);
    let point = SecretKey::from_slice(&half).map(|half| half.public_key(&SECP).serialize_uncompressed());
    let mut coordinates = [0; 64];
    if let Ok(bytes) = &point {
        coordinates.copy_from_slice(&bytes[1..]);
    }
    let point = Packed::from_bytes(&coordinates);
    let count = WINDOWS * WINDOW_ENTRIES;
    let mut jacobian = vec![Jacobian::<u64>::blank(); WINDOWS * WINDOW];
    let mut powers = vec![Affine::blank(); WINDOWS * WINDOW];
    let (mut entries, mut addends) = (vec![Affine::blank(); count], vec![Affine::blank(); count / 2]);
    let (mut scratch, mut bad) = (Scratch::new(count), [0; WINDOWS]);
    u64::vectorize(Powers {
        of: Affine::gather(|_| &point),
        powers: &mut jacobian,
    });
    u64::vectorize(ToAffine {
        jacobian: &jacobian,
        affine: &mut powers,
        scratch: &mut scratch,
        bad: &mut bad,
    });
    for (column, entry) in entries.iter_mut().take(WINDOWS).enumerate() {
        *entry = powers[WINDOW * column];
    }
    u64::vectorize(Grow {
        columns: WINDOWS,
        levels: 7,
        power: |n, column| powers[WINDOW * column + n],
        entries: &mut entries,
        addends: &mut addends,
        scratch: &mut scratch,
        bad: &mut bad,
    });
    entries.iter().map(|entry| entry.pack()[0]).collect()
});

/// Where `(2·digit.entry + 1)·2^(8·window)·G/2` lies in [`GENERATOR_TABLE`].
pub(crate) fn generator_entry(window: usize, digit: Digit) -> usize {
    usize::from(digit.entry) * WINDOWS + window
}

/// Entries of a [`Combs`] table.
const COMB_ENTRIES: usize = (HALF_WINDOWS - 1) * WINDOW_ENTRIES + LAST_WINDOW_ENTRIES;

/// Tables of as many points as there are lanes, each for any number of scalars: odd multiples of 2^(8·i)·T, 130 KiB a point.
pub(crate) struct Combs<L> {
    /// One table after the other.
    tables: Vec<Packed>,
    /// The lanes whose point brought an exceptional case.
    pub(crate) bad: Mask,
    jacobian: Vec<Jacobian<L>>,
    powers: Vec<Affine<L>>,
    entries: Vec<Affine<L>>,
    addends: Vec<Affine<L>>,
    scratch: Scratch<L>,
}

impl<L: Lane> Combs<L> {
    pub(crate) fn new() -> Self {
        let powers = HALF_WINDOWS * WINDOW + 1;
        Self {
            tables: vec![GENERATOR; COMB_ENTRIES * L::LANES],
            bad: 0,
            jacobian: vec![Jacobian::blank(); powers],
            powers: vec![Affine::blank(); powers],
            entries: vec![Affine::blank(); COMB_ENTRIES],
            addends: vec![Affine::blank(); COMB_ENTRIES / 2],
            scratch: Scratch::new(COMB_ENTRIES),
        }
    }

    pub(crate) fn fill(&mut self, points: &Affine<L>) {
        let mut bad = [0; HALF_WINDOWS];
        L::vectorize(Powers {
            of: *points,
            powers: &mut self.jacobian,
        });
        L::vectorize(ToAffine {
            jacobian: &self.jacobian,
            affine: &mut self.powers,
            scratch: &mut self.scratch,
            bad: &mut bad,
        });
        let powers = &self.powers;
        for (column, entry) in self.entries.iter_mut().take(HALF_WINDOWS).enumerate() {
            *entry = powers[WINDOW * column];
        }
        L::vectorize(Grow {
            columns: HALF_WINDOWS,
            levels: 7,
            power: |n, column| powers[WINDOW * column + n],
            entries: &mut self.entries,
            addends: &mut self.addends,
            scratch: &mut self.scratch,
            bad: &mut bad,
        });
        // The last window goes on beyond 255.
        let (whole, more) = self.entries.split_at_mut(HALF_WINDOWS * WINDOW_ENTRIES);
        let last = powers[HALF_WINDOWS * WINDOW];
        for (i, entry) in more.iter_mut().enumerate() {
            *entry = whole[i * HALF_WINDOWS + HALF_WINDOWS - 1];
        }
        self.addends[..more.len()].fill(last);
        L::vectorize(Sums {
            sums: more,
            addends: &self.addends,
            scratch: &mut self.scratch,
            bad: &mut bad,
        });
        L::vectorize(Store {
            entries: &self.entries,
            tables: &mut self.tables,
        });
        self.bad = bad.into_iter().fold(0, |all, lanes| all | lanes);
    }

    /// The table of one lane's point.
    #[inline(always)]
    pub(crate) fn table(&self, lane: usize) -> &[Packed] {
        &self.tables[lane * COMB_ENTRIES..(lane + 1) * COMB_ENTRIES]
    }
}

/// Where `(2·digit.entry + 1)·2^(8·window)·T` lies in a table.
#[inline(always)]
pub(crate) fn comb_entry(window: usize, digit: Digit) -> usize {
    let entry = usize::from(digit.entry);
    if entry < WINDOW_ENTRIES {
        entry * HALF_WINDOWS + window
    } else {
        HALF_WINDOWS * WINDOW_ENTRIES + entry - WINDOW_ENTRIES
    }
}

struct Store<'a, L> {
    entries: &'a [Affine<L>],
    tables: &'a mut [Packed],
}

impl<L: Lane> Kernel<L> for Store<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (i, entry) in self.entries.iter().enumerate() {
            for (table, point) in self.tables.chunks_exact_mut(COMB_ENTRIES).zip(entry.pack()) {
                table[i] = point;
            }
        }
    }
}
