//! Zeroises secrets on the stack of a long-running thread.

use zeroize::Zeroize as _;

/// Words of one zeroised frame, and number of frames: 64 KiB below the caller, several times the stack use of a search.
const WORDS: usize = 1_024;
const FRAMES: usize = 8;

/// Zeroises the stack below the caller. Moves of an output tweak leave copies there that `Drop` does not reach, and a
/// waiting thread would keep them.
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
