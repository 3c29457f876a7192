//! Every bound, with its reason.

use std::time::Duration;

pub use sdk_relay_mesh_table::BUCKETS;
pub use sdk_relay_mesh_table::distance::MAX_NEAR;

/// Most relays that are known. Four times the largest mesh that is simulated; their entries take a few megabytes.
pub const MAX_RELAYS: usize = 4096;

/// Most relays that are remembered only in order not to learn them again from those who forget them later.
pub const MAX_FORGOTTEN: usize = 4096;

/// Most links of all kinds, passing ones included, beyond `max_links`: a newcomer needs one for a moment, and a flood of them must wait.
pub const MAX_PASSING: usize = 16;

/// Most dials of relays that were learned of, at a time. Configured addresses have their own bound.
pub const MAX_DIALS: usize = 18;

/// Of these, most dials of relays that nobody here has ever heard from: addresses that were invented and do not answer must not delay the others.
pub const MAX_UNPROVEN_DIALS: usize = 4;

/// Of these, most dials of such relays whose names other keys claim.
pub const MAX_CONTESTED_DIALS: usize = 8;

/// Of these, most dials of such relays that stand accused. The peers by whose word they are known take turns.
pub const MAX_ACCUSED_DIALS: usize = 4;

/// Names known by hearsay that one link may claim for other keys at a time: each is settled by a dial.
pub const MAX_CLAIMS: usize = 4;

/// Most dials of configured addresses at a time: all that the configuration can have, so that those that do not answer delay none that does.
pub const MAX_SEED_DIALS: usize = 64;

/// Relays that one peer may introduce, that is, of which this relay knows by its word alone: at first, and more for each interval that the link
/// has lasted. Eight links and an entrance bring a thousand relays at once; one hostile peer brings this many inventions.
pub const INTRODUCED_AT_FIRST: usize = 128;

/// See [`INTRODUCED_AT_FIRST`].
pub const INTRODUCED_PER_INTERVAL: usize = 32;

/// The most that one peer may introduce, however long its link lasts; and what a configured relay may introduce at once.
pub const MAX_INTRODUCED: usize = MAX_RELAYS / 4;

/// A dial without a result for so long has failed.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Most names that one message tells. An ordinary one has 45 bytes, the longest 180.
pub const MAX_HAVE: usize = 1024;

/// Most entries that one message asks for, or brings.
pub const MAX_ENTRIES: usize = 256;

/// Bytes of the entries that one message brings. An ordinary entry has 420 bytes, one with everything at its limit 2.6 KB.
pub const MAX_ENTRY_BYTES: usize = 240 << 10;

/// Bytes of all lists of one message that grow with the mesh. No message exceeds 512 KiB: the rest is for the short lists (4 KiB at most) and for what carries
/// the gossip. Names, what is asked for, and entries fit in it together whatever they are; accusations that do not go with the next message.
pub const MAX_LIST_BYTES: usize = 500 << 10;

/// Most accusations that one message brings.
pub const MAX_ACCUSATIONS: usize = 256;

/// Relays that a message may ask about, or answer for.
pub const MAX_PROBES: usize = 8;

/// Others that are asked about a silent relay (SWIM's k).
pub const HELPERS: usize = 3;

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

/// Up to so many rows are told without a comparison: it would cost more than it saves.
pub(crate) const NEWCOMER: u16 = 16;

/// A full relay tells those that it sends away of so many others; so many are taken from it unasked.
pub(crate) const HINTS: usize = 1;

/// Signatures that a link may have checked per interval. More than a full exchange needs.
pub(crate) const MAX_CHECKED: usize = 2 * MAX_RELAYS;

pub(crate) const PARDON: u32 = 20;
