//! `[mesh]`: other relays.

use std::path::PathBuf;

use super::checker::Checker;
use crate::error::ConfigError;
use crate::file::File;
use crate::peer_address::{PeerAddress, url_of};
use crate::secret::Secret;

/// Most configured relays: the mesh finds the others.
const MAX_PEERS: usize = 64;
/// Most links: the mesh keeps a bit for each.
const MAX_LINKS: u64 = 48;

/// Other relays.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// Relays to link to, as [`PeerAddress`] reads them.
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

impl MeshConfig {
    pub(super) fn check(at: &Checker<'_>, file: &File) -> Result<Self, ConfigError> {
        let mesh = &file.mesh;
        if let Some(wrong) = mesh.peers.iter().find(|p| PeerAddress::parse(p).is_none()) {
            let why =
                "expected ws://HOST:PORT or wss://HOST:PORT, optionally followed by #KEY (64 hex digits in lower case)";
            return Err(at.wrong("mesh.peers", wrong, why));
        }
        if mesh.peers.len() > MAX_PEERS {
            let why = format!("expected at most {MAX_PEERS}: the relay discovers the others through them");
            return Err(at.wrong("mesh.peers", &format!("{} entries", mesh.peers.len()), &why));
        }
        if file.standalone && !mesh.peers.is_empty() {
            let why = "expected none: a standalone relay has its own chain, and no mesh";
            return Err(at.wrong("mesh.peers", &mesh.peers.join(","), why));
        }
        if !mesh.advertise.is_empty() && url_of(&mesh.advertise).is_none() {
            let why = "expected ws://HOST:PORT, wss://HOST:PORT or HOST:PORT";
            return Err(at.wrong("mesh.advertise", &mesh.advertise, why));
        }
        Ok(Self {
            peers: mesh.peers.clone(),
            advertise: (!mesh.advertise.is_empty()).then(|| mesh.advertise.clone()),
            secret: at.token("mesh.secret", &mesh.secret)?,
            max_links: usize::try_from(at.within("mesh.max_links", mesh.max_links, 1, MAX_LINKS)?).unwrap_or(1),
            allow_private: match mesh.allow_private.as_str() {
                "yes" => AllowPrivate::Yes,
                "no" => AllowPrivate::No,
                "auto" => AllowPrivate::Auto,
                other => return Err(at.wrong("mesh.allow_private", other, "expected yes, no or auto")),
            },
            identity: (!mesh.identity.is_empty()).then(|| PathBuf::from(&mesh.identity)),
            trust: (!mesh.trust.is_empty()).then(|| PathBuf::from(&mesh.trust)),
        })
    }
}
