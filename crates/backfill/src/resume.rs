//! The receiving end: from which block a subscriber requests the history again.

use crate::heights::Heights;

/// What a subscriber has received, over its connections. This is the procedure for clients in `docs/API.md`, "Resume
/// watches".
///
/// Until its history is complete, a subscriber has received the blocks below the reported progress. Afterwards it
/// receives each block before the notification of that block, so that the last notified block determines what it has.
/// In between, blocks that connected during the scan may still wait at the sender: the end of the history counts until
/// a higher block is notified.
///
/// After a reconnect, the sender reports the events since the disconnect, while the subscriber is registered at the
/// sender's tip. A block that is reported as disconnected then may lie below the requested history, and the block that
/// replaces it below the sender's tip: neither history nor live. In this case the subscriber has to register again,
/// from this block on ([`Self::take_rescan`]). It has to do the same after a history that ends below the tip, for the
/// blocks that connected while it was disconnected; and from the first block that is notified after a reconnect, if
/// none was before: it may have connected in between.
#[derive(Clone, Debug)]
pub struct ResumePoint {
    /// No block below this is ever requested.
    lowest: u32,
    state: State,
    /// The last notified block at the registration, as far as it was not disconnected.
    registered_at: Option<u32>,
    /// First block of the history that was requested after a reconnect.
    renewed_from: Option<u32>,
    rescan: Option<Rescan>,
    /// Reconnected before a block was notified, and without a history up to the tip: with the `unseen` blocks.
    blind: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Everything up to the last notified block is received.
    Live,
    /// The blocks from `next` on are not.
    History {
        next: u32,
        to: Option<u32>,
        /// Blocks from this height on are above `to`, and connected after the first registration: they are requested
        /// afterwards.
        above: Option<u32>,
    },
    /// The history is complete; blocks from `next` on may still wait at the sender.
    Complete { next: u32 },
}

/// The subscriber has to register again.
#[derive(Clone, Copy, Debug)]
struct Rescan {
    from: u32,
    /// The sender has begun to connect the blocks that are to be scanned.
    is_due: bool,
}

impl ResumePoint {
    /// Registered with this history, or without; `last_block` is the last notified block.
    pub fn new(requested: Option<Heights>, last_block: Option<u32>) -> Self {
        let state = requested.map_or(State::Live, |Heights { from, to }| State::History {
            next: from,
            to,
            above: None,
        });
        Self {
            lowest: requested.map_or(0, |heights| heights.from),
            state,
            registered_at: last_block,
            renewed_from: None,
            rescan: None,
            blind: None,
        }
    }

    /// The history is sent through this block, and not complete.
    pub fn progressed(&mut self, through: u32) {
        // The registration that is to be replaced says nothing about the blocks that were replaced.
        if self.rescan.is_some() {
            return;
        }
        if let State::History { next, .. } = &mut self.state {
            *next = through.saturating_add(1);
        }
    }

    /// The history is complete, and ends with this block.
    pub fn completed(&mut self, through: u32) {
        if self.rescan.is_some() {
            return;
        }
        let next = through.saturating_add(1);
        match self.state {
            State::History { above: Some(from), .. } => self.rescan_from(from, true),
            // Blocks between the requested end and the tip are no part of it.
            State::History { to: Some(_), .. } => {
                let live = self.registered_at.map_or(0, |height| height.saturating_add(1));
                self.state = State::Complete { next: next.max(live) };
            }
            _ => self.state = State::Complete { next },
        }
    }

    /// A block was notified as connected.
    pub fn connected(&mut self, height: u32) {
        if let Some(unseen) = self.blind.take() {
            let from = self.behind(height, unseen);
            match &mut self.state {
                State::History { above, .. } => *above = Some(above.map_or(from, |above| above.min(from))),
                State::Live | State::Complete { .. } => self.rescan_from(from, true),
            }
        }
        if self.registered_at.is_none() {
            // The first one since the registration.
            self.registered_at = height.checked_sub(1);
        }
        if let State::Complete { next } = self.state
            && height >= next
        {
            self.state = State::Live;
        }
        if let Some(rescan) = &mut self.rescan {
            rescan.is_due = true;
        }
    }

    /// A block was notified as disconnected: this one and those above are not received.
    pub fn disconnected(&mut self, height: u32) {
        let from = height.max(self.lowest);
        let registered = self.registered_at;
        self.registered_at = registered.map(|registered| registered.min(height.saturating_sub(1)));
        match &mut self.state {
            State::Live => {}
            State::Complete { next } => *next = from.min(*next),
            State::History { next, above, .. } => {
                *next = from.min(*next);
                *above = above.map(|above| above.min(from));
            }
        }
        if self.renewed_from.is_some_and(|renewed| renewed > from) {
            self.rescan_from(from, false);
        }
    }

    fn rescan_from(&mut self, from: u32, is_due: bool) {
        self.renewed_from = Some(from);
        self.rescan = Some(Rescan { from, is_due });
        self.state = State::History {
            next: from,
            to: None,
            above: None,
        };
    }

    /// Reconnected: the history to request, or `None` without one. `last_block` is the last notified block. `unseen`:
    /// disconnected blocks may not have been notified, as many as this below the last block: they are requested again.
    pub fn reconnected(&mut self, last_block: Option<u32>, unseen: u32) -> Option<Heights> {
        let behind = |height: u32| self.behind(height, unseen);
        let after = |height: u32| height.saturating_add(1);
        let live = last_block.map(|height| behind(after(height)));
        let (from, to, above) = match self.state {
            State::Live => (live, None, None),
            State::Complete { next } => (Some(behind(next)), None, None),
            State::History { next, to: None, .. } => (Some(behind(next)), None, None),
            State::History {
                next,
                to: Some(to),
                above,
                // What connected since the registration may have waited for the history.
            } => match above.or(self.registered_at.map(after)).map(behind).or(live) {
                Some(above) if above > to.saturating_add(1) && to >= next => {
                    (Some(behind(next)), Some(to), Some(above))
                }
                None if to >= next => (Some(behind(next)), Some(to), None),
                // The two parts are one.
                _ => (Some(behind(next)), None, None),
            },
        };
        self.blind = (last_block.is_none() && (from.is_none() || to.is_some())).then_some(unseen);
        if let Some(next) = from {
            self.state = State::History { next, to, above };
        }
        self.registered_at = last_block;
        self.renewed_from = from;
        self.rescan = None;
        from.map(|from| Heights { from, to })
    }

    /// This height, or one so far below it that no unseen reorganisation reaches there.
    fn behind(&self, height: u32, unseen: u32) -> u32 {
        height.saturating_sub(unseen).max(self.lowest)
    }

    /// If blocks are missing that neither the history nor the live part has: the history with which to register again.
    /// To be called once the sender has answered the registration.
    pub fn take_rescan(&mut self) -> Option<Heights> {
        let Rescan { from, .. } = self.rescan.take_if(|rescan| rescan.is_due)?;
        Some(Heights { from, to: None })
    }

    /// The sender cannot provide the history: the subscriber continues without. `false` if none was outstanding.
    pub fn give_up_history(&mut self) -> bool {
        let was_outstanding = matches!(self.state, State::History { .. });
        if was_outstanding {
            self.state = State::Live;
            self.renewed_from = None;
            self.rescan = None;
        }
        was_outstanding
    }
}
