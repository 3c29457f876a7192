//! The parts of the configuration, one for each table that has more than single values.

use std::path::PathBuf;

use bitcoin::secp256k1::{PublicKey, SecretKey};

use crate::secret::Secret;

/// The tokens of the HTTP API.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    /// Needed to change things; without one, loopback alone may.
    pub admin_token: Option<Secret>,
    /// Needed to read; without one, anybody may.
    pub read_token: Option<Secret>,
}

/// The tweak index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexConfig {
    /// Where it begins.
    pub start_height: u32,
    /// Threads that build and scan it.
    pub scan_threads: usize,
}

/// Other relays.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// Relays to link to, as [`PeerAddress`](crate::PeerAddress) reads them.
    pub peers: Vec<String>,
    /// Where others reach this relay; `None`: where it listens.
    pub advertise: Option<String>,
    /// Who does not know it does not get in.
    pub secret: Option<Secret>,
    /// Links that are kept.
    pub max_links: usize,
    /// Whether addresses that relays tell of may be private.
    pub allow_private: AllowPrivate,
    /// The file of this relay's own key; `None`: in the data directory.
    pub identity: Option<PathBuf>,
    /// Certificates that `wss://` relays must come from, as PEM; `None`: those that the system trusts.
    pub trust: Option<PathBuf>,
}

/// Whether addresses that relays tell of may be private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowPrivate {
    /// They may.
    Yes,
    /// They may not.
    No,
    /// Those in the networks of configured relays.
    Auto,
}

/// Whence the certificate comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFiles {
    /// From the operator, as PEM files.
    Given {
        /// The chain, the relay's own certificate first.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// From the relay itself, in the data directory: for development.
    SelfSigned,
}

/// Keys of the relay's own wallet, from the configuration.
#[derive(Clone, Debug)]
pub struct WalletKeys {
    /// Finds payments.
    pub scan: SecretKey,
    /// Whose they are.
    pub spend: PublicKey,
}

/// Bounds of the event log; the oldest events go first.
#[derive(Clone, Copy, Debug)]
pub struct RetentionConfig {
    /// Events at most.
    pub events: u64,
    /// Bytes of events at most.
    pub bytes: u64,
}
