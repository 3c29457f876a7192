//! Files on disk: opened without blocking, and replaced atomically: after a kill or a power cut, either the old file or
//! the new one is there.
//!
//! Every file that is created here has the mode 0600 from its first moment, and every directory 0700, whatever the
//! umask: the files of a relay hold payments, tokens and keys, and a list of those that hold none would have to be
//! right. There is no way to create one with a wider mode.
//!
//! A file that is being written has a fixed name in the directory of its target, and not a random one (`tempfile`): the
//! next write removes what a kill has left. A data directory is used by one relay at a time, so there are no concurrent
//! writers.
//!
//! Each error names the file, and what was tried with it: "cannot read /x/wallet.key: Permission denied". [`reason`]
//! returns the reason alone.
//!
//! The rest of the code opens files here and never by `std::fs`, which `scripts/layers` checks: a thread that has
//! entered a simulation with a [`Disk`] has its files in memory, with the faults of that disk.

mod disk;
mod error;
mod file;
mod free_space;
mod metadata;
mod names;
mod open_in_memory;
mod options;
mod private;
mod regular;
mod replace;
mod text;

pub use std::fs::TryLockError;

pub use disk::{Disk, Fault, Mounted, Operation};
pub use error::reason;
pub use file::File;
pub use free_space::free_space;
pub use metadata::{Kind, Metadata};
pub use names::{entries, exists, is_link, metadata, size_of_tree, sync_directory};
pub use options::Open;
pub use private::{create_private, exposed, make_private};
pub use regular::{check_directory, check_regular, is_absent, make_directory, open_regular};
pub use replace::{beside, publish, remove, replace};
pub use text::read_text;
