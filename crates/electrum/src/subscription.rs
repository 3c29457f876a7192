//! A subscription to the silent payments of one wallet: when which notification is sent. No I/O, and no clock.
//!
//! | after | notification |
//! |---|---|
//! | [`Timeouts::first_notification`] after the answer | the first: no transactions |
//! | transactions are found | pages of them, with a progress below 1 while they are of the history |
//! | [`Timeouts::progress`] without one, while the history is scanned | no transactions |
//! | the end of the history | progress 1, no transactions |
//!
//! | last reported of a transaction | now | |
//! |---|---|---|
//! | nothing | in the mempool, or in a block | reported |
//! | in the mempool | in a block | not reported: the notification of `blockchain.scripthash` does it |
//! | anything | replaced, or evicted from the mempool | reported when it comes again |
//! | in a block | the block is disconnected | reported when it is in the mempool, and when it is in a block again |

use std::collections::{HashMap, VecDeque};

use bitcoin::hex::DisplayHex;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, Txid};
use sdk_relay_protocol::Payment;
use sdk_relay_store::format::KEPT_BLOCKS;
use tokio::time::Instant;

use crate::limits::{FOUND_AHEAD, PAGE};
use crate::methods::SUBSCRIBE;
use crate::reply::{Text, notification, text};
use crate::timeouts::Timeouts;

/// The highest progress before the end.
const ALMOST: f64 = 0.9999;

/// Memory of a transaction that was reported, of a map that may be half full.
pub(crate) const REPORTED_BYTES: usize = 2 * size_of::<(Txid, Reported)>();

/// A subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// The first block that the watch scans.
    pub(crate) start_height: u32,
    /// The JSON object in the answer and in each notification, byte by byte the same.
    object: Text,
    /// When the answer was written.
    answered: Option<Instant>,
    last_sent: Option<Instant>,
    progress: f64,
    /// All of the history is found.
    is_scanned: bool,
    waiting: VecDeque<Item>,
    reported: HashMap<Txid, Reported>,
    /// The last final transaction, which may have further outputs.
    last_final: Option<Txid>,
    /// Transactions above which old ones are forgotten.
    forget_above: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    Mempool,
    Block(u32),
    /// Reported in a block that is disconnected.
    Disconnected,
    /// The same, and reported in the mempool since.
    Returned,
}

#[derive(Debug)]
enum Item {
    Transaction {
        height: u32,
        txid: Txid,
        tweak_key: PublicKey,
    },
    /// The end of the history.
    End,
}

impl Subscription {
    /// A subscription that is not answered yet.
    pub(crate) fn new(address: &str, labels: &[u32], start_height: u32) -> Self {
        let labels: Vec<_> = labels.iter().map(u32::to_string).collect();
        let object = format!(
            r#"{{"address":{},"labels":[{}],"start_height":{start_height}}}"#,
            text(address),
            labels.join(",")
        );
        Self {
            start_height,
            object,
            answered: None,
            last_sent: None,
            progress: 0.0,
            is_scanned: false,
            waiting: VecDeque::new(),
            reported: HashMap::new(),
            last_final: None,
            forget_above: 2 * PAGE,
        }
    }

    /// The result of the request.
    pub(crate) fn object(&self) -> &str {
        &self.object
    }

    /// The answer was written.
    pub(crate) fn set_answered(&mut self, now: Instant) {
        self.answered.get_or_insert(now);
    }

    /// Memory of what was reported.
    pub(crate) fn bytes(&self) -> usize {
        self.reported.len() * REPORTED_BYTES
    }

    /// Whether more found transactions should wait elsewhere.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= FOUND_AHEAD
    }

    /// An output was found, in the mempool or in a block.
    pub(crate) fn detected(&mut self, outpoint: OutPoint, payment: &Payment, tweak_key: PublicKey) {
        let txid = outpoint.txid;
        let height = payment.block_height;
        let is_new = if payment.historical && payment.confirmations > KEPT_BLOCKS {
            // It is not reverted any more. Outputs of one transaction come one after the other.
            self.last_final.replace(txid) != Some(txid)
        } else {
            self.tell(txid, height)
        };
        if is_new {
            self.waiting.push_back(Item::Transaction {
                height: height.unwrap_or(0),
                txid,
                tweak_key,
            });
        }
    }

    /// Whether a transaction is reported, now that it is at this height, or in the mempool.
    fn tell(&mut self, txid: Txid, height: Option<u32>) -> bool {
        let before = self.reported.get(&txid).copied();
        let (now, is_told) = match (before, height) {
            (None, None) => (Reported::Mempool, true),
            (Some(Reported::Disconnected), None) => (Reported::Returned, true),
            (Some(before), None) => (before, false),
            (Some(Reported::Mempool), Some(height)) => (Reported::Block(height), false),
            (Some(Reported::Block(before)), Some(height)) if before == height => (Reported::Block(height), false),
            (_, Some(height)) => (Reported::Block(height), true),
        };
        self.reported.insert(txid, now);
        if let Some(height) = height {
            self.forget_below(height.saturating_sub(KEPT_BLOCKS));
        }
        is_told
    }

    /// Forgets transactions that are final.
    fn forget_below(&mut self, lowest: u32) {
        if self.reported.len() > self.forget_above {
            self.reported
                .retain(|_, reported| !matches!(reported, Reported::Block(height) if *height < lowest));
            self.forget_above = 2 * self.reported.len().max(PAGE);
        }
    }

    /// The transaction of an output left its block, or the mempool.
    pub(crate) fn reverted(&mut self, outpoint: OutPoint, was_in_block: bool) {
        let txid = outpoint.txid;
        if was_in_block {
            self.reported.insert(txid, Reported::Disconnected);
        } else {
            self.reported.remove(&txid);
        }
    }

    /// The history is scanned to this share; 1 at its end.
    pub(crate) fn progressed(&mut self, share: f64) {
        if share >= 1.0 {
            self.is_scanned = true;
            self.waiting.push_back(Item::End);
        } else {
            self.progress = share.clamp(self.progress, ALMOST.max(self.progress));
        }
    }

    /// Whether all of its history is found.
    pub(crate) fn is_scanned(&self) -> bool {
        self.is_scanned
    }

    fn is_live(&self) -> bool {
        self.progress >= 1.0
    }

    /// When [`Self::due`] has something to send, if nothing happens before.
    pub(crate) fn next(&self, timeouts: &Timeouts) -> Option<Instant> {
        let answered = self.answered?;
        let Some(last_sent) = self.last_sent else {
            return Some(answered + timeouts.first_notification);
        };
        if !self.waiting.is_empty() {
            return Some(last_sent);
        }
        (!self.is_live()).then(|| last_sent + timeouts.progress)
    }

    /// The notifications to send now.
    pub(crate) fn due(&mut self, now: Instant, timeouts: &Timeouts, is_positional: bool) -> Vec<String> {
        let Some(answered) = self.answered else {
            return Vec::new();
        };
        if now < answered + timeouts.first_notification {
            return Vec::new();
        }
        let mut lines = Vec::new();
        if self.last_sent.is_none() {
            lines.push(self.notification(&[], is_positional));
        }
        while !self.waiting.is_empty() {
            let page = self.page();
            if !page.is_empty() {
                lines.push(self.notification(&page, is_positional));
            }
            if let Some(Item::End) = self.waiting.front() {
                self.waiting.pop_front();
                self.progress = 1.0;
                lines.push(self.notification(&[], is_positional));
            }
        }
        let is_silent = self.last_sent.is_some_and(|last| now >= last + timeouts.progress);
        if lines.is_empty() && is_silent && !self.is_live() {
            lines.push(self.notification(&[], is_positional));
        }
        if !lines.is_empty() {
            self.last_sent = Some(now);
        }
        lines
    }

    /// The next transactions up to the end of the history, as JSON objects.
    fn page(&mut self) -> Vec<Text> {
        let mut page = Vec::new();
        while page.len() < PAGE
            && let Some(Item::Transaction {
                height,
                txid,
                tweak_key,
            }) = self.waiting.front()
        {
            let tweak_key = tweak_key.serialize();
            page.push(format!(
                r#"{{"height":{height},"tx_hash":"{txid}","tweak_key":"{}"}}"#,
                tweak_key.as_hex()
            ));
            self.waiting.pop_front();
        }
        page
    }

    fn notification(&self, history: &[Text], is_positional: bool) -> String {
        let (object, history) = (&self.object, history.join(","));
        // With its decimal point: 0.0, 0.42, 1.0.
        let progress = format!("{:?}", self.progress);
        let params = if is_positional {
            format!("[{object},{progress},[{history}]]")
        } else {
            format!(r#"{{"subscription":{object},"progress":{progress},"history":[{history}]}}"#)
        };
        notification(SUBSCRIBE, &params)
    }
}

#[cfg(test)]
mod tests;
