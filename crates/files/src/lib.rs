//! Files on disk: opened so that no thread waits for them, private where they hold keys, and replaced so that a kill or
//! a power cut leaves the old file or the new one.
//!
//! A file that is being written has a fixed name beside its target, and not a random one (`tempfile`): a kill leaves it
//! behind, and the next write removes it. One relay at a time uses a data directory, so two writers never meet.

mod access;
mod private;
mod regular;
mod replace;

pub use access::Access;
pub use private::{create_private, exposed};
pub use regular::{check_regular, is_absent, make_directory, open_regular};
pub use replace::{beside, publish, remove, replace, sync_directory};
