//! The mailbox of a detached watch.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};

use sdk_relay_protocol::{EndReason, WatchEnded};
use sdk_relay_scheduler::Owner;
use sdk_relay_telemetry::clock::unix_now;

use super::{
    Detached, FAILED, HISTORY_BYTES, Kind, MAILBOX_BYTES, Mailbox, Mailboxes, QUEUED_PAYMENT, TOO_FAR_BEHIND,
    TOO_MANY_PAYMENTS, lock,
};
use crate::kept::{Contents, Kept};
use crate::queued::QueuedMessage;
use crate::wake::{Waiting, Wake};
use crate::watch_message::WatchMessage;

/// Payments of a history that wait for the attached client.
const HISTORY_WAITS: usize = HISTORY_BYTES / QUEUED_PAYMENT;
/// Matches beyond the buffer that wait for the attached client: as many as for another connection.
const BEYOND: usize = MAILBOX_BYTES / QUEUED_PAYMENT;

impl Detached {
    /// Sets the last event that may be sent to the connection that is attached, and returns that one.
    pub(super) fn set_barrier(&mut self, last: u64) -> Option<Mailbox> {
        self.barrier = last;
        self.attached.clone()
    }

    /// Frees the buffer.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// The connection that is attached, if it has not ended.
    fn reader(&self) -> Option<&Mailbox> {
        self.attached.as_ref().filter(|mailbox| !mailbox.is_dead())
    }
}

impl Mailboxes {
    /// A mailbox for a detached watch of a client from this address.
    pub(super) fn of_detached(
        self: &Arc<Self>,
        address: IpAddr,
        watch_id: &str,
        wakers: Vec<Arc<dyn Wake>>,
    ) -> Mailbox {
        let detached = Detached {
            watch_id: watch_id.into(),
            kept: Kept::new(watch_id),
            attached: None,
            barrier: u64::MAX,
            wakers,
        };
        let mailbox = self.open_mailbox(address, Kind::Detached(Box::new(Mutex::new(detached))));
        self.kept.enter(mailbox.owner(), address);
        mailbox
    }

    /// Frees kept matches until all fit: the address with the most loses the newest ones of its largest watch. Returns
    /// how many.
    fn fit_kept(&self) -> usize {
        let mut lost = 0;
        while let Some(owner) = self.kept.largest_beyond(self.limits.memory) {
            let largest = self.open().get(&owner).and_then(Weak::upgrade);
            let Some(largest) = largest else { break };
            let Kind::Detached(detached) = &largest.kind else { break };
            if !lock(detached).kept.lose_newest() {
                // What it has waits for its history, and is bounded there.
                break;
            }
            lost += 1;
        }
        lost
    }
}

impl Mailbox {
    /// A mailbox for a detached watch of this client. Nobody is attached to it.
    pub(crate) fn detached(&self, watch_id: &str, wakers: Vec<Arc<dyn Wake>>) -> Self {
        self.0.all.of_detached(self.0.address, watch_id, wakers)
    }

    /// Numbers and keeps matches, and hands progress to the connection that is attached. Wakes the client if there is
    /// none.
    pub(super) fn keep_all(&self, detached: &Mutex<Detached>, queued: impl IntoIterator<Item = QueuedMessage>) {
        let most = self.0.all.limits.matches;
        let mut state = lock(detached);
        if self.is_dead() {
            return;
        }
        let reader = state.reader().cloned();
        let (mut lost, mut newest) = (0, None);
        for queued in queued {
            match queued.message {
                WatchMessage::Progress(progress) => state.kept.set_progress(progress),
                WatchMessage::Payment(ref message) => {
                    if reader.is_none() && !state.wakers.is_empty() {
                        newest = Some(message.notification.clone());
                    }
                    let most = if reader.is_some() {
                        most.saturating_add(BEYOND)
                    } else {
                        most
                    };
                    lost += usize::from(!state.kept.add(queued, most));
                }
                // Made when they are sent.
                WatchMessage::Gap(_) | WatchMessage::Ended(_) => {}
                // Not for a client that comes back.
                WatchMessage::MempoolScanned { .. } | WatchMessage::Settled { .. } => {}
            }
        }
        let (waiting, last_seq) = (state.kept.waiting(), state.kept.last());
        let wakers = if newest.is_some() {
            state.wakers.clone()
        } else {
            Vec::new()
        };
        drop(state);
        lost += self.0.all.fit_kept();
        self.0.all.lost.inc_by(lost as u64);
        if let Some(reader) = reader {
            reader.0.arrived.notify_one();
        }
        if let Some(newest) = &mut newest {
            newest.watch_seq = Some(last_seq);
        }
        for waker in wakers {
            waker.wake(&Waiting {
                watch_id: &self.watch_id(),
                last_seq,
                waiting,
                newest: newest.as_ref(),
            });
        }
    }

    /// How many payments a scan of a history may add.
    pub(super) fn kept_capacity(&self, detached: &Mutex<Detached>) -> usize {
        let limits = self.0.all.limits;
        // The other half is for live matches.
        let is_scarce = self.0.all.kept.bytes() > limits.memory / 2;
        let state = lock(detached);
        if state.reader().is_some() {
            let unsent = state.kept.unsent();
            if is_scarce && unsent > 0 {
                return 0;
            }
            return HISTORY_WAITS.min(limits.matches / 2).saturating_sub(unsent);
        }
        if is_scarce {
            return 0;
        }
        (limits.matches / 2).saturating_sub(state.kept.matches())
    }

    /// The next message for this connection, if it is attached to this detached watch.
    pub(super) fn next_for(&self, connection: Owner) -> Option<WatchMessage> {
        let Kind::Detached(detached) = &self.0.kind else {
            return None;
        };
        let mut state = lock(detached);
        let is_attached = state
            .attached
            .as_ref()
            .is_some_and(|mailbox| mailbox.owner() == connection);
        if !is_attached || self.is_dead() {
            return None;
        }
        state.kept.next(self.0.all.limits.matches)
    }

    /// Attaches a connection that has the matches up to this one. Returns the connection that was attached before, if
    /// it is another one that has not ended. The same connection is sent nothing again.
    pub(crate) fn attach(&self, connection: &Mailbox, after: u64) -> Option<Mailbox> {
        let Kind::Detached(detached) = &self.0.kind else {
            return None;
        };
        let mut state = lock(detached);
        if state
            .attached
            .as_ref()
            .is_some_and(|attached| attached.is_same(connection))
        {
            state.kept.release(after);
            return None;
        }
        let before = state.attached.replace(connection.clone());
        state.kept.attach(after);
        let barrier = state.barrier;
        drop(state);
        if let Some(before) = &before {
            before.remove_source(self);
        }
        connection.hold(self.owner(), barrier);
        if let Kind::Connection { sources, .. } = &connection.0.kind {
            lock(sources).push(self.clone());
        }
        connection.0.arrived.notify_one();
        before.filter(|before| !before.is_dead())
    }

    /// The client has the matches up to this one, which are not sent again.
    pub(crate) fn release(&self, after: u64) {
        if let Kind::Detached(detached) = &self.0.kind {
            lock(detached).kept.release(after);
        }
    }

    /// The connection that is attached has ended. Wakes the client if it has not released all matches.
    pub(crate) fn detach(&self) {
        let Kind::Detached(detached) = &self.0.kind else {
            return;
        };
        let mut state = lock(detached);
        let Some(before) = state.attached.take() else { return };
        let lost = state.kept.detach(self.0.all.limits.matches);
        let (waiting, last_seq, wakers) = (state.kept.waiting(), state.kept.last(), state.wakers.clone());
        drop(state);
        before.remove_source(self);
        self.0.all.lost.inc_by(lost as u64);
        if waiting > 0 {
            for waker in wakers {
                waker.wake(&Waiting {
                    watch_id: &self.watch_id(),
                    last_seq,
                    waiting,
                    newest: None,
                });
            }
        }
    }

    /// The connection that is attached to this detached watch, also if it has just ended.
    pub(crate) fn attached(&self) -> Option<Mailbox> {
        match &self.0.kind {
            Kind::Connection { .. } => None,
            Kind::Detached(detached) => lock(detached).attached.clone(),
        }
    }

    /// What a detached watch keeps.
    pub(crate) fn contents(&self) -> Contents {
        match &self.0.kind {
            Kind::Connection { .. } => Kept::default().contents(),
            Kind::Detached(detached) => lock(detached).kept.contents(),
        }
    }

    /// The detached watch ends: tells the connection that is attached, unless it has asked for it (`is_answered`), and
    /// whoever would wake its client. Frees the buffer.
    pub(crate) fn end(&self, reason: EndReason, is_answered: bool) {
        let Kind::Detached(detached) = &self.0.kind else {
            return;
        };
        let mut state = lock(detached);
        let attached = state.attached.take();
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        if let Some(attached) = attached {
            attached.remove_source(self);
            if !is_answered {
                attached.tell_ended(&self.watch_id(), reason);
            }
        }
        for waker in wakers {
            waker.ended(&self.watch_id(), reason);
        }
        self.close();
    }

    /// Why it was given up, for its client; `None` if it was not.
    pub(crate) fn given_up_reason(&self) -> Option<EndReason> {
        match self.0.given_up.load(Ordering::Acquire) {
            TOO_FAR_BEHIND => Some(EndReason::TooFarBehind),
            FAILED => Some(EndReason::ScanFailed),
            TOO_MANY_PAYMENTS => Some(EndReason::TooManyPayments),
            _ => None,
        }
    }

    /// Tells a connection that a watch is no longer its own.
    pub(crate) fn tell_ended(&self, watch_id: &str, reason: EndReason) {
        self.post(WatchMessage::Ended(Box::new(WatchEnded {
            watch_id: watch_id.to_owned(),
            reason,
            timestamp: unix_now(),
        })));
    }

    fn remove_source(&self, source: &Mailbox) {
        if let Kind::Connection { sources, .. } = &self.0.kind {
            lock(sources).retain(|mailbox| !mailbox.is_same(source));
        }
        self.hold(source.owner(), u64::MAX);
    }

    fn watch_id(&self) -> String {
        match &self.0.kind {
            Kind::Connection { .. } => String::new(),
            Kind::Detached(detached) => lock(detached).watch_id.to_string(),
        }
    }
}
