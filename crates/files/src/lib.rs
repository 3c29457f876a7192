//! Files on disk: opened without blocking, private if they contain keys, and replaced atomically: after a kill or a
//! power cut, either the old file or the new one is there.
//!
//! A file that is being written has a fixed name in the directory of its target, and not a random one (`tempfile`): the
//! next write removes what a kill has left. A data directory is used by one relay at a time, so there are no concurrent
//! writers.

mod access;
mod free_space;
mod private;
mod regular;
mod replace;

pub use access::Access;
pub use free_space::free_space;
pub use private::{create_private, exposed};
pub use regular::{check_directory, check_regular, is_absent, make_directory, open_regular};
pub use replace::{beside, publish, remove, replace, sync_directory};
