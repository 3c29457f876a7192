//! All limits, with their reasons.

use std::time::Duration;

pub use sdk_relay_mesh_table::BUCKETS;
pub use sdk_relay_mesh_table::distance::MAX_NEAR;

/// Most known relays. Four times the largest mesh that is simulated; their entries use a few megabytes.
pub const MAX_RELAYS: usize = 4096;

/// Most removed relays that are remembered, so that they are not learned again from relays that remove them later.
pub const MAX_FORGOTTEN: usize = 4096;

/// Most links beyond `max_links`, passing ones included: a newcomer needs one for a moment, and a flood of them has to
/// wait.
pub const MAX_PASSING: usize = 16;

/// Most dials of learned addresses at a time. Configured addresses have a limit of their own.
pub const MAX_DIALS: usize = 18;

/// Of these, most dials of relays from which nothing was received first hand: invented addresses that do not answer
/// must not delay the others.
pub const MAX_UNPROVEN_DIALS: usize = 4;

/// In addition, most dials of such relays whose names other keys claim.
pub const MAX_CONTESTED_DIALS: usize = 8;

/// In addition, most dials of such relays that are accused. Introducers take turns.
pub const MAX_ACCUSED_DIALS: usize = 4;

/// Names from hearsay that one link may claim for other keys at a time: each is settled by a dial.
pub const MAX_CLAIMS: usize = 4;

/// Most dials of configured addresses at a time: as many as can be configured, so that unreachable ones delay no other.
pub const MAX_SEED_DIALS: usize = 64;

/// Relays from hearsay that one peer may introduce at first; more for each interval that the link has lasted. Eight
/// links and a bootstrap peer introduce a thousand relays at once; one hostile peer introduces this many inventions.
pub const INTRODUCED_AT_FIRST: usize = 128;

/// See [`INTRODUCED_AT_FIRST`].
pub const INTRODUCED_PER_INTERVAL: usize = 32;

/// The most that one peer may introduce, however long its link lasts; a configured relay may introduce as many at once.
pub const MAX_INTRODUCED: usize = MAX_RELAYS / 4;

/// A dial without a result after this time has failed.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Most names that one message announces. A typical one has 45 bytes, the longest 180.
pub const MAX_HAVE: usize = 1024;

/// Most entries that one message requests or contains.
pub const MAX_ENTRIES: usize = 256;

/// Bytes of the entries of one message. A typical entry has 420 bytes, the longest 2.6 KB.
pub const MAX_ENTRY_BYTES: usize = 240 << 10;

/// Bytes of all lists of one message that grow with the mesh. No message exceeds 512 KiB: the rest is for the short
/// lists (4 KiB at most) and for the message around the gossip. Announcements, requests and entries always fit
/// together; accusations that do not fit are sent with the next message.
pub const MAX_LIST_BYTES: usize = 500 << 10;

/// Most accusations of one message.
pub const MAX_ACCUSATIONS: usize = 256;

/// Relays that a message may ask about, or answer for.
pub const MAX_PROBES: usize = 8;

/// Relays that are asked to probe a suspected one (SWIM's k).
pub const INDIRECT_PROBES: usize = 3;

/// Longest advertised address: a host name has 253 characters at most.
pub const MAX_ADDRESS: usize = 300;

/// Longest software version.
pub const MAX_SOFTWARE_VERSION: usize = 64;

/// Most capabilities of an entry.
pub const MAX_CAPABILITIES: usize = 16;

/// Longest capability.
pub const MAX_CAPABILITY: usize = 32;

/// Characters of a public key: 32 bytes in hex.
pub const PUBLIC_KEY: usize = 64;

/// Characters of a signature: 64 bytes in hex.
pub const SIGNATURE: usize = 128;

/// Up to this many rows are announced without a comparison, which would cost more than it saves.
pub(crate) const NEWCOMER: u16 = 16;

/// Entries of other relays with which a full relay redirects a newcomer; as many are accepted without having been
/// requested.
pub(crate) const HINTS: usize = 1;

/// Signatures verified per link and interval. More than a full exchange needs.
pub(crate) const MAX_CHECKED: usize = 2 * MAX_RELAYS;

pub(crate) const STRIKE_HALF_LIFE: u32 = 20;
