//! The fixed table of the generator.

use std::sync::LazyLock;

use crate::lane::Lane;
use crate::multiples::{Grow, Powers, WINDOW};
use crate::packed::Packed;
use crate::point::{Affine, Jacobian};
use crate::portable::Portable;
use crate::scalar::{Digit, WINDOW_ENTRIES, WINDOWS};
use crate::sums::{Scratch, ToAffine};

/// G/2, which is (n + 1)/2 times the generator.
const HALF_GENERATOR: Packed = Packed([
    0xad0d_96d6_795f_9c63,
    0x89a0_ed94_14f5_aa28,
    0x0000_003b_78ce_563f,
    0,
    0xf8ff_35ee_f1a6_1e3c,
    0xd126_e422_9631_fd03,
    0x67c2_3676_5138_0d00,
    0xc0c6_8640_8d51_7dfd,
]);

/// Odd multiples of G/2 for each window of a scalar: 256 KiB, which a core's second-level cache holds. Computed at
/// first use.
pub fn generator_table() -> &'static [Packed] {
    &GENERATOR_TABLE
}

static GENERATOR_TABLE: LazyLock<Vec<Packed>> = LazyLock::new(|| {
    let (token, point) = (Portable, HALF_GENERATOR);
    let count = WINDOWS * WINDOW_ENTRIES;
    let mut jacobian = vec![Jacobian::<u64>::blank(token); WINDOWS * WINDOW];
    let mut powers = vec![Affine::blank(token); WINDOWS * WINDOW];
    let (mut entries, mut addends) = (vec![Affine::blank(token); count], vec![Affine::blank(token); count / 2]);
    let (mut scratch, mut bad) = (Scratch::new(token, count), [0; WINDOWS]);
    u64::vectorize(
        token,
        Powers {
            of: Affine::gather(token, |_| &point),
            powers: &mut jacobian,
        },
    );
    u64::vectorize(
        token,
        ToAffine {
            jacobian: &jacobian,
            affine: &mut powers,
            scratch: &mut scratch,
            bad: &mut bad,
        },
    );
    for (column, entry) in entries.iter_mut().take(WINDOWS).enumerate() {
        *entry = powers[WINDOW * column];
    }
    u64::vectorize(
        token,
        Grow {
            columns: WINDOWS,
            levels: 7,
            power: |n, column| powers[WINDOW * column + n],
            entries: &mut entries,
            addends: &mut addends,
            scratch: &mut scratch,
            bad: &mut bad,
        },
    );
    entries.iter().map(|entry| entry.pack()[0]).collect()
});

/// Where `(2·digit.entry + 1)·2^(8·window)·G/2` lies in [`generator_table`].
#[inline(always)]
pub fn generator_entry(window: usize, digit: Digit) -> usize {
    usize::from(digit.entry) * WINDOWS + window
}
