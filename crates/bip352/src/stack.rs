//! What secrets leave on the stack of a thread that lives on.

use zeroize::Zeroize as _;

/// Words of one frame that is wiped, and frames: 64 KiB below the caller, several times what the search of a
/// transaction takes.
const WORDS: usize = 1_024;
const FRAMES: usize = 8;

/// Wipes the stack below the caller. Moves of an output tweak leave copies there which no type wipes, and a thread that
/// waits for work keeps them.
pub fn wipe_stack_below() {
    wipe(FRAMES);
}

#[inline(never)]
fn wipe(frames: usize) {
    let mut words = [0_u64; WORDS];
    words.zeroize();
    if frames > 1 {
        wipe(frames - 1);
    }
    // The frame is in use until here, so that the next one lies below it.
    std::hint::black_box(&words);
}
