//! What a request needs beyond its connection.

use bitcoin::{Transaction, Txid};
use serde_json::Value;

use crate::error::RpcError;
use crate::methods::{END_SCRIPTS, SCRIPTS};
use crate::order::{EarlierScans, Keys, Order, Subscribed};
use crate::outputs::{Place, ScriptHash};
use crate::reply::Text;

/// How a request is answered.
#[derive(Debug)]
pub(crate) enum Step {
    /// At once.
    Done(Result<Text, RpcError>),
    /// By the node, the backend or detection.
    Ask(Ask),
}

/// A question.
#[derive(Debug)]
pub(crate) enum Ask {
    Features {
        /// Whether silent payments are offered on this connection.
        silent: bool,
    },
    Tip,
    Header(u32),
    Headers {
        start: u32,
        count: u32,
    },
    Transaction {
        txid: Txid,
        /// Where it is, if it is one of a watch: then it is not asked for elsewhere.
        found: Option<Place>,
    },
    Merkle {
        txid: Txid,
        height: u32,
    },
    FromPosition {
        height: u32,
        position: u32,
        with_merkle: bool,
    },
    Broadcast(Box<Transaction>),
    Estimate(u32),
    RelayFee,
    Subscribe(Box<Order>),
    Unsubscribe(Box<Keys>),
    /// Watches of the blocks before the start of subscriptions. No request asks for them.
    EarlierScans,
    /// The scans that may find this script.
    Script {
        method: &'static str,
        script: ScriptHash,
    },
    Backend(BackendCall),
}

/// A request that the backend answers.
#[derive(Debug)]
pub(crate) struct BackendCall {
    /// One of the methods that may be passed on.
    pub(crate) method: &'static str,
    pub(crate) params: Vec<Value>,
}

/// A request about a script that the backend has answered, or not.
#[derive(Debug)]
pub(crate) struct OfBackend {
    pub(crate) script: ScriptHash,
    /// Whether it begins a subscription, and the backend has accepted it.
    pub(crate) is_subscribed: bool,
    pub(crate) outcome: Result<Text, RpcError>,
}

/// The answer to a question.
#[derive(Debug)]
pub(crate) enum Answer {
    Text(Result<Text, RpcError>),
    /// The tip, whose successors are notified from now on.
    Tip(Text),
    Subscribed(Box<Subscribed>),
    Unsubscribed {
        address: String,
    },
    EarlierScans(EarlierScans),
    /// A scan has found this script.
    Script {
        method: &'static str,
        script: ScriptHash,
    },
    /// A subscription to a script at the backend.
    OfBackend(OfBackend),
}

impl BackendCall {
    /// The script to whose changes it subscribes.
    pub(crate) fn subscribes_to(&self) -> Option<ScriptHash> {
        self.script().filter(|_| self.method == SCRIPTS)
    }

    /// The script whose subscription it begins or ends.
    pub(crate) fn script(&self) -> Option<ScriptHash> {
        let script = self.params.first().and_then(Value::as_str)?;
        let is_of_scripts = [SCRIPTS, END_SCRIPTS].contains(&self.method);
        script.parse().ok().filter(|_| is_of_scripts)
    }
}

impl Ask {
    /// Whether it changes the watches of the connection: one such question at a time.
    pub(crate) fn is_of_watches(&self) -> bool {
        matches!(self, Self::Subscribe(_) | Self::Unsubscribe(_) | Self::EarlierScans)
    }

    /// Whether it waits for what needs no turn: for scans, or for the backend.
    pub(crate) fn waits_for_others(&self) -> bool {
        matches!(self, Self::Script { .. } | Self::Backend(_))
    }
}

impl Answer {
    /// Whether the watches of the connection have changed.
    pub(crate) fn is_of_watches(&self) -> bool {
        matches!(
            self,
            Self::Subscribed(_) | Self::Unsubscribed { .. } | Self::EarlierScans(_)
        )
    }
}
