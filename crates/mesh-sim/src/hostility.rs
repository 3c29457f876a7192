//! The attacks of hostile relays.

/// What a hostile relay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostility {
    /// It tells of a thousand relays that do not exist, each with a key of its own.
    Invents,
    /// It tells of entries in others' names, with its own key and larger numbers than theirs.
    Squats,
    /// It accuses all others of silence.
    Accuses,
    /// It has links and says nothing.
    Mute,
    /// Its digests, its parts, its counts and what it has heard of others are made up.
    Lies,
}
