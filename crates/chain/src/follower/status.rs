//! Status of the follower, for the log and for `/health`.

use std::mem::{Discriminant, discriminant};

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::event::BlockRef;
use crate::source::SourceError;

/// Status of the follower.
#[derive(Clone, Debug)]
pub struct FollowStatus {
    /// Current state.
    pub state: FollowState,
    /// Since when it is in this state. Progress within a state does not change it.
    pub since: Instant,
    /// The local tip: the last emitted block, or the tip of the consumer at the start.
    pub tip: Option<BlockRef>,
    /// When the source last answered. A change does not notify the receivers.
    pub last_contact: Option<Instant>,
    /// Whether the signals of the source arrive and cover its changes; otherwise it is polled.
    pub signalled: bool,
    /// Since when changes are found by polling only; `None` after the next signal.
    pub unsignalled: Option<Instant>,
}

/// State of the follower.
#[derive(Clone, Debug)]
pub enum FollowState {
    /// The source has not answered yet.
    Connecting,
    /// The source does not answer, refuses the credentials, or sends an invalid answer; the follower retries every few
    /// seconds.
    Unreachable {
        /// The last error.
        error: SourceError,
    },
    /// The node is in its initial block download and has not reached the local tip.
    WaitingForNode {
        /// Number of blocks that the node has connected.
        blocks: u32,
        /// Number of headers that it knows.
        headers: u32,
    },
    /// Blocks are missing between the local tip and the tip of the source.
    CatchingUp {
        /// Height of the local tip.
        at: u32,
        /// Height of the source's tip.
        target: u32,
    },
    /// The local tip equals the tip of the source.
    Following,
}

type Kind = (Discriminant<FollowState>, Option<Discriminant<SourceError>>);

impl FollowState {
    /// A new log line is written when this changes: not for another text of the same kind of error.
    fn kind(&self) -> Kind {
        let error = match self {
            Self::Unreachable { error } => Some(discriminant(error)),
            _ => None,
        };
        (discriminant(self), error)
    }

    fn log(&self, tip: Option<BlockRef>) {
        match self {
            Self::Connecting => {}
            Self::Unreachable { error } => warn!(%error, "cannot follow the chain of the node; retrying"),
            Self::WaitingForNode { blocks, headers } => info!(blocks, headers, "waiting for the node to synchronise"),
            Self::CatchingUp { at, target } => info!(at, target, "catching up with the chain"),
            Self::Following => {
                info!(height = tip.map(|t| t.height), hash = %Shown(tip), "following the chain");
            }
        }
    }
}

/// Writes the status.
#[derive(Debug)]
pub(super) struct Reporter {
    status: watch::Sender<FollowStatus>,
}

impl Reporter {
    pub(super) fn new(tip: Option<BlockRef>) -> (Self, watch::Receiver<FollowStatus>) {
        let first = FollowStatus {
            state: FollowState::Connecting,
            since: Instant::now(),
            tip,
            last_contact: None,
            signalled: false,
            unsignalled: None,
        };
        let (status, receiver) = watch::channel(first);
        (Self { status }, receiver)
    }

    pub(super) fn state(&self, state: FollowState) {
        self.status.send_if_modified(|status| {
            let news = status.state.kind() != state.kind();
            let was_and_is_following = !news && matches!(state, FollowState::Following);
            if news {
                state.log(status.tip);
                status.since = Instant::now();
            }
            status.state = state;
            !was_and_is_following
        });
    }

    pub(super) fn tip(&self, tip: BlockRef) {
        self.status
            .send_if_modified(|status| status.tip.replace(tip) != Some(tip));
    }

    pub(super) fn contact(&self) {
        self.status.send_if_modified(|status| {
            status.last_contact = Some(Instant::now());
            false
        });
    }

    pub(super) fn signalled(&self, signalled: bool) {
        self.status
            .send_if_modified(|status| std::mem::replace(&mut status.signalled, signalled) != signalled);
    }

    /// Records a change found without a signal (`true`), or a signal (`false`).
    pub(super) fn unsignalled(&self, unsignalled: bool) {
        self.status.send_if_modified(|status| {
            let since = unsignalled.then(|| status.unsignalled.unwrap_or_else(Instant::now));
            std::mem::replace(&mut status.unsignalled, since).is_some() != unsignalled
        });
    }
}

struct Shown(Option<BlockRef>);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |at| write!(f, "{}", at.hash))
    }
}
