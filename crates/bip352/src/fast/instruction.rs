//! Calls of single vector instructions.

/// An instruction that computes on registers alone.
macro_rules! instruction {
    ($call:expr) => {{
        // SAFETY: the instruction touches no memory, and the machine has it: a vector type's `available` was asked before its first value
        // was made.
        unsafe { $call }
    }};
}
