//! What an operator and `/health` want to know of the follower.

use std::mem::{Discriminant, discriminant};

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::event::BlockRef;
use crate::source::SourceError;

/// Where the follower stands.
#[derive(Clone, Debug)]
pub struct FollowStatus {
    /// What it does.
    pub state: FollowState,
    /// Since when it does that. Progress within a state does not change it.
    pub since: Instant,
    /// The last block that the stream has told, or what the consumer knew at the start.
    pub tip: Option<BlockRef>,
    /// When the source last answered. Moves without waking the watchers.
    pub last_contact: Option<Instant>,
    /// Whether the source's signals come and tell its changes; otherwise it is polled.
    pub signalled: bool,
    /// Since when changes are found by looking that no signal has told of; `None` once a signal comes.
    pub unsignalled: Option<Instant>,
}

/// What the follower does.
#[derive(Clone, Debug)]
pub enum FollowState {
    /// The source has not answered yet.
    Connecting,
    /// The source does not answer, refuses us, or answers nonsense; it is asked again every few seconds.
    Unreachable {
        /// The last error; its text says what to do.
        error: SourceError,
    },
    /// The node is busy with its initial block download, and has not reached the place from which we follow.
    WaitingForNode {
        /// Blocks that the node has connected.
        blocks: u32,
        /// Headers that it knows.
        headers: u32,
    },
    /// Blocks are missing between the told tip and the source's.
    CatchingUp {
        /// Height of the told tip.
        at: u32,
        /// Height of the source's tip.
        target: u32,
    },
    /// The told tip is the source's tip.
    Following,
}

type Kind = (Discriminant<FollowState>, Option<Discriminant<SourceError>>);

impl FollowState {
    /// What must change for a new log line: an error of the same kind in other words is no news.
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

/// The writing end of the status.
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

    /// A change was found without a signal (`true`), or a signal has come.
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
