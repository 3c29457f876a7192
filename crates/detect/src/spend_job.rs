//! A look-up of spends that goes on in steps. No I/O.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use bitcoin::{BlockHash, OutPoint};
use sdk_relay_chain::BlockRef;
use sdk_relay_scheduler::Owner;
use sdk_relay_store::index::Spender;
use tokio::time::Instant;

use super::history_scan::{ChainSpend, Found, Scan, ScannedRange};
use super::look_up::{LookUp, Of};
use super::unnamed::NameLookUp;

/// Poll interval of an index that is behind, or on another chain than detection.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Outputs whose spends are looked up, and what is known of them so far.
pub(super) struct Job {
    pub(super) work: Work,
    client: (Owner, IpAddr),
    /// Each after the height of its block; those before `next` are looked up.
    pub(super) outputs: Vec<(u32, OutPoint)>,
    pub(super) next: usize,
    /// The tip of the index at the first of its steps: the spends up to it are of its chain.
    pub(super) tip: Option<BlockRef>,
    pub(super) spends: HashMap<OutPoint, ChainSpend>,
    /// Blocks of the node that have the transactions which the index does not name.
    pub(super) unnamed: BTreeMap<BlockHash, Vec<OutPoint>>,
    pub(super) failures: u8,
    /// How long the node was asked for blocks.
    pub(super) reading: Duration,
    not_before: Instant,
}

/// What the job is for.
pub(super) enum Work {
    /// Payments that scans of one connection have found.
    Found(Vec<(Scan, ScannedRange)>),
    /// Outputs that were reported before.
    Reported(LookUp),
    /// Spends that were reported without their transactions.
    Named(NameLookUp),
}

/// What is looked up: at most one job of each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Payments that the scans of one connection have found.
    Found(Owner),
    Reported(Of),
    /// Of this watch.
    Named(String),
}

impl Job {
    pub(super) fn of_found(owner: Owner, address: IpAddr, found: Vec<(Scan, ScannedRange)>) -> Self {
        let outputs = found
            .iter()
            .flat_map(|(_, range)| &range.found)
            .flat_map(Found::outputs);
        let mut outputs: Vec<_> = outputs.collect();
        outputs.sort_unstable();
        // Equal keys of several watches.
        outputs.dedup();
        Self::new((owner, address), outputs, Work::Found(found), Duration::ZERO)
    }

    pub(super) fn of_reported(look_up: LookUp) -> Self {
        let pause = if look_up.is_retry {
            POLL_INTERVAL
        } else {
            Duration::ZERO
        };
        let (client, outputs) = (look_up.client(), look_up.chunk.outputs.clone());
        Self::new(client, outputs, Work::Reported(look_up), pause)
    }

    /// It waits, as the node has just failed.
    pub(super) fn of_names(look_up: NameLookUp) -> Self {
        let client = (look_up.mailbox.owner(), look_up.mailbox.address());
        let (outputs, pause) = (look_up.outputs.clone(), look_up.pause);
        Self::new(client, outputs, Work::Named(look_up), pause)
    }

    fn new(client: (Owner, IpAddr), outputs: Vec<(u32, OutPoint)>, work: Work, pause: Duration) -> Self {
        Self {
            work,
            client,
            outputs,
            next: 0,
            tip: None,
            spends: HashMap::new(),
            unnamed: BTreeMap::new(),
            failures: 0,
            reading: Duration::ZERO,
            not_before: Instant::now() + pause,
        }
    }

    pub(super) fn key(&self) -> Key {
        match &self.work {
            Work::Found(_) => Key::Found(self.client.0),
            Work::Reported(look_up) => Key::Reported(look_up.of.clone()),
            Work::Named(look_up) => Key::Named(look_up.watch_id.clone()),
        }
    }

    /// Who is charged for it.
    pub(super) fn client(&self) -> (Owner, IpAddr) {
        self.client
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_dead(&self) -> bool {
        match &self.work {
            Work::Found(found) => found.iter().all(|(scan, _)| scan.mailbox.is_dead()),
            Work::Reported(look_up) => look_up.is_dead(),
            Work::Named(look_up) => look_up.mailbox.is_dead(),
        }
    }

    /// Whether it can continue, with an index that has this tip.
    pub(super) fn is_ready(&self, tip: Option<u32>) -> bool {
        let may_continue = match &self.work {
            Work::Found(_) => tip.is_some(),
            Work::Named(look_up) => look_up.mailbox.has_capacity() && tip.is_some(),
            Work::Reported(look_up) => look_up.has_capacity() && tip.is_some_and(|tip| tip >= look_up.chunk.through()),
        };
        may_continue && self.not_before <= Instant::now()
    }

    /// Whether it goes on only where no other job can: nobody waits for it.
    pub(super) fn is_later(&self) -> bool {
        matches!(self.work, Work::Named(_))
    }

    /// The names of all other transactions are left for later.
    pub(super) fn leave_unnamed(&mut self) {
        for outpoint in std::mem::take(&mut self.unnamed).into_values().flatten() {
            self.set_unnamed(&outpoint);
        }
    }

    /// The name of the transaction that spends this output is left for later.
    pub(super) fn set_unnamed(&mut self, outpoint: &OutPoint) {
        if let Some(spend) = self.spends.get_mut(outpoint) {
            spend.may_be_named = true;
        }
    }

    /// Whether its next step reads a block of the node.
    pub(super) fn reads_block(&self) -> bool {
        self.next >= self.outputs.len() && !self.unnamed.is_empty()
    }

    /// Continues after a pause.
    pub(super) fn pause(&mut self, pause: Duration) {
        self.not_before = Instant::now() + pause;
    }

    /// Looks up again from the first output.
    pub(super) fn restart(&mut self) {
        (self.next, self.tip) = (0, None);
        self.spends.clear();
        self.unnamed.clear();
    }

    /// Adds what spends the next outputs.
    pub(super) fn add(&mut self, tip: BlockRef, spenders: Vec<Option<Spender>>) {
        let found = self.outputs.iter().skip(self.next).zip(&spenders);
        let found = found.filter_map(|((_, outpoint), spender)| Some((*outpoint, (*spender)?)));
        for (outpoint, spender) in found.filter(|(_, spender)| spender.height <= tip.height) {
            let at = BlockRef {
                height: spender.height,
                hash: spender.hash,
            };
            let spend = ChainSpend {
                at,
                time: spender.time,
                by: spender.txid.map(|txid| (txid, None)),
                may_be_named: false,
            };
            if spend.by.is_none() {
                self.unnamed.entry(at.hash).or_default().push(outpoint);
            }
            self.spends.insert(outpoint, spend);
        }
        self.next += spenders.len();
        self.tip = Some(tip);
    }
}
