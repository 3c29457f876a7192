//! Outputs that were reported, and whose spends have to be looked up in the index. No I/O.
//!
//! A ledger has the spend of each of its outputs if, from the block of the output to the tip of detection, every block
//! is in one of three parts: those of the index when the payment was reported; the newest blocks, which detection keeps
//! (`RecentSpends`); and those that have connected since, whose spends detection reports. Where blocks lie between the
//! parts, the ledger is [`Unchecked`] up to the highest of them. Detection alone decides this, because its own tip is
//! known there: the scanner of histories takes no part in it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use bitcoin::OutPoint;
use sdk_relay_chain::BlockRef;
use sdk_relay_scheduler::Owner;

use super::history_scan::ChainSpend;
use super::ledger::Ledger;
use super::mailbox::Mailbox;

/// Outputs of one look-up: a search for one of them takes some hundredths of a second.
pub(super) const LOOKED_UP: usize = 64;

/// An output, after the height of its block.
pub(super) type At = (u32, OutPoint);

/// Up to which block a ledger may lack spends.
#[derive(Debug, Default)]
pub(super) struct Unchecked {
    open: Option<Open>,
    /// How often it was opened.
    openings: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    /// Number of the opening: an answer for an earlier one may be of another chain, whatever its heights are.
    opening: u64,
    /// The highest block whose spends may be unknown.
    through: u32,
    /// The outputs up to this one were looked up, by an index that has this block.
    after: Option<At>,
}

/// Outputs to look up together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    open: Open,
    pub(super) outputs: Vec<At>,
}

/// Whose outputs they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    /// Of a watch, by its id.
    Watch(String),
    /// Of the relay's own wallets.
    OwnWallets,
}

/// A request of detection to look up what spends outputs.
#[derive(Clone, Debug)]
pub(super) struct LookUp {
    pub(super) of: Of,
    /// Of the connection that owns the watch.
    pub(super) mailbox: Option<Mailbox>,
    pub(super) chunk: Chunk,
    /// The last answer could not be used: the index, or detection, has not processed a reorganisation yet.
    pub(super) is_retry: bool,
}

/// What spends the outputs of a [`LookUp`] in the blocks of the index.
pub(super) struct LookedUp {
    pub(super) look_up: LookUp,
    /// The tip of the index.
    pub(super) tip: BlockRef,
    pub(super) spends: HashMap<OutPoint, ChainSpend>,
}

impl Unchecked {
    /// The spends of the blocks up to this one may be unknown.
    pub(super) fn extend(&mut self, through: u32) {
        if self.open.is_none_or(|open| open.through < through) {
            self.restart(through);
        }
    }

    /// The same, where the chain now ends at this block: none above it is meant.
    pub(super) fn restart(&mut self, through: u32) {
        self.openings += 1;
        self.open = Some(Open {
            opening: self.openings,
            through,
            after: None,
        });
    }

    /// The block at this height was disconnected: what the block that replaces it spends is reported live.
    pub(super) fn end_below(&mut self, height: u32) {
        if let Some(open) = &mut self.open {
            open.through = open.through.min(height.saturating_sub(1));
        }
    }

    /// Whether all spends are known.
    pub(super) fn is_over(&self) -> bool {
        self.open.is_none()
    }

    /// The next outputs to look up; `None` once all spends are known. The same ones until they are
    /// [looked up](Self::advance).
    pub(super) fn next(&mut self, ledger: &Ledger) -> Option<Chunk> {
        let open = self.open?;
        let outputs = ledger.unspent_after(open.after, LOOKED_UP);
        if outputs.is_empty() {
            self.open = None;
            return None;
        }
        Some(Chunk { open, outputs })
    }

    /// Whether these are the outputs that are to be looked up next; otherwise [`Self::next`] has named others since.
    pub(super) fn is_next(&self, chunk: &Chunk) -> bool {
        self.open == Some(chunk.open)
    }

    /// These outputs were looked up.
    pub(super) fn advance(&mut self, chunk: &Chunk) {
        if let Some(open) = self.open.as_mut().filter(|open| **open == chunk.open) {
            open.after = chunk.outputs.last().copied();
        }
    }
}

impl Chunk {
    /// The block that the index must have.
    pub(super) fn through(&self) -> u32 {
        self.open.through
    }
}

impl LookUp {
    /// Who is charged for it.
    pub(super) fn client(&self) -> (Owner, IpAddr) {
        let own = (0, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.mailbox
            .as_ref()
            .map_or(own, |mailbox| (mailbox.owner(), mailbox.address()))
    }

    /// Whether its answer fits: it waits for a client that does not read.
    pub(super) fn has_capacity(&self) -> bool {
        self.mailbox.as_ref().is_none_or(Mailbox::has_capacity)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.mailbox.as_ref().is_some_and(Mailbox::is_dead)
    }
}

impl LookedUp {
    /// The spends in blocks up to this height, in the order of the outputs.
    pub(super) fn up_to(&self, tip: u32) -> impl Iterator<Item = (OutPoint, ChainSpend)> + '_ {
        let outputs = self.look_up.chunk.outputs.iter();
        let spends = outputs.filter_map(|(_, outpoint)| Some((*outpoint, *self.spends.get(outpoint)?)));
        spends.filter(move |(_, spend)| spend.at.height <= tip)
    }
}
