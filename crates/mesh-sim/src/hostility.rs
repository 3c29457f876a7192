//! The attacks of hostile relays.

/// What a hostile relay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostility {
    /// It announces a thousand relays that do not exist, each with a key of its own.
    Invents,
    /// It announces entries in others' names, with its own key and higher versions.
    Squats,
    /// It accuses all others.
    Accuses,
    /// It keeps its links open and sends nothing.
    Mute,
    /// It falsifies digests, buckets, counts and answers to probes.
    Lies,
}
