//! Detached watches, for edges: their tokens, what they ask for, and who wakes their clients.
//!
//! A detached watch has an owner of its own in the scheduler, charged to the address that made it, and a buffer of its
//! own ([`kept`](super::kept)). A connection that attaches to it reads from this buffer. The watch thus changes nothing
//! when its connection ends, or when another one attaches.

use std::fmt;
use std::sync::Arc;

use bitcoin::hashes::cmp::fixed_time_eq;
use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::hex::{DisplayHex as _, FromHex as _};
use bitcoin::secp256k1::rand::RngCore;
use sdk_relay_platform::random;
use sdk_relay_protocol::{HistoryState, SecretHex};
use zeroize::Zeroizing;

use super::wake::Wake;

/// Largest id of a watch in a request, in bytes: those of this relay have 22.
pub(super) const WATCH_ID_BYTES: usize = 64;

/// Bounds of detached watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetachedLimits {
    /// Detached watches of all clients.
    pub watches: usize,
    /// Detached watches of one client address; loopback addresses count only in the total.
    pub per_address: usize,
    /// Matches that a watch keeps.
    pub matches: usize,
    /// Bytes of the matches that all of them keep. Beyond it, the address with the most loses its newest ones.
    pub memory: usize,
}

impl Default for DetachedLimits {
    /// Those of a relay without settings of its own.
    fn default() -> Self {
        Self {
            watches: 5_000,
            per_address: 100,
            matches: 1_000,
            memory: 64 << 20,
        }
    }
}

/// What a `watch` with `detach` asks for.
#[derive(Debug)]
pub struct Detach {
    /// How long the watch goes on without a connection, in seconds.
    pub seconds: u32,
    /// Who is told of matches while no connection is attached.
    pub wakers: Vec<Arc<dyn Wake>>,
}

/// The secret of a detached watch: 256 random bits.
pub struct WatchToken(Zeroizing<[u8; 32]>);

/// What the relay keeps of a [`WatchToken`]: its SHA-256.
#[derive(Clone, Copy)]
pub(super) struct TokenHash([u8; 32]);

/// Matches that are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// `watch_seq` of the first.
    pub first: u64,
    /// `watch_seq` of the last.
    pub last: u64,
    /// A watch with this `from_height` finds them again.
    pub from_height: u32,
}

/// The state of a detached watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachedState {
    /// Whether a connection is attached.
    pub is_attached: bool,
    /// When it ends without one, Unix seconds; `None` with one.
    pub expires_at: Option<u64>,
    /// Kept matches.
    pub buffered: usize,
    /// The first `watch_seq` that is not released; `None` if all are.
    pub first_seq: Option<u64>,
    /// The newest `watch_seq`; 0 before the first.
    pub last_seq: u64,
    /// Lost matches that are not released.
    pub gap: Option<Gap>,
    /// State of its history.
    pub history: HistoryState,
    /// All blocks up to this one are scanned, from the first of the history on.
    pub height: Option<u32>,
}

/// Why a request about a detached watch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachRefused {
    /// There is no such watch, or its token is another one.
    #[error(
        "no detached watch has this watch_id and this watch_token: it has ended, or one of them is wrong; watch again with from_height"
    )]
    NotFound,
    /// The client has a match that was not sent.
    #[error("after: the last match of this watch is {last}")]
    After {
        /// The newest `watch_seq`.
        last: u64,
    },
    /// Too many wrong tokens came from the address of the client.
    #[error("too many requests with a wrong watch_id or watch_token from this address: try again in {seconds} s")]
    TooManyFailures {
        /// When to try again.
        seconds: u64,
    },
    /// Detection takes no commands.
    #[error("the relay cannot attach to watches at the moment (GET /health may say why): try again in a minute")]
    Stalled,
    /// Detection is ending.
    #[error("the relay is shutting down")]
    Ending,
}

impl WatchToken {
    /// A new one.
    pub(super) fn random() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        random::rng().fill_bytes(&mut *bytes);
        Self(bytes)
    }

    /// As clients send it; `None` unless it has 64 lower-case hex digits.
    fn parse(text: &str) -> Option<Self> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        <[u8; 32]>::from_hex(text).ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// As clients send it.
    pub fn to_hex(&self) -> SecretHex {
        SecretHex::new(self.0.to_lower_hex_string())
    }

    pub(super) fn hash(&self) -> TokenHash {
        TokenHash(sha256::Hash::hash(&*self.0).to_byte_array())
    }
}

impl fmt::Debug for WatchToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchToken(…)")
    }
}

impl TokenHash {
    /// The hash of a token as a client has sent it. One that is no token has a hash that no token has.
    pub(super) fn of_text(text: &str) -> Self {
        WatchToken::parse(text).map_or(Self([0; 32]), |token| token.hash())
    }

    /// Compares in constant time.
    pub(super) fn is(&self, other: &Self) -> bool {
        fixed_time_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_text_and_never_shown() {
        let (token, other) = (WatchToken::random(), WatchToken::random());
        let text = token.to_hex();
        assert_eq!(text.expose().len(), 64);
        assert!(token.hash().is(&TokenHash::of_text(text.expose())));
        assert!(!token.hash().is(&TokenHash::of_text(other.to_hex().expose())));
        for wrong in ["", "00", &text.expose()[..63], &format!("{}0", text.expose()), "é"] {
            assert!(!token.hash().is(&TokenHash::of_text(wrong)), "{wrong}");
        }
        let upper = "AB".repeat(32);
        let of_lower = TokenHash::of_text(&upper.to_lowercase());
        assert!(!of_lower.is(&TokenHash::of_text(&upper)), "lower-case only");
        let shown = format!("{token:?} {:?}", token.hash());
        assert_eq!(shown, "WatchToken(…) TokenHash(…)");
    }
}
