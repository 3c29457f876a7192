//! Commands about detached watches.

use sdk_relay_protocol::EndReason;
use tokio::time::Instant;

use super::Watches;
use crate::commands::{WatchOrder, WatchRefused};
use crate::detached::{AttachRefused, Detach, DetachedLimits, TokenHash};
use crate::mailbox::Mailbox;
use crate::watch::Watch;
use crate::watch_history::WatchHistory;

impl Watches {
    /// Adds a watch that goes on without its connection.
    pub(crate) fn add_detached(
        &mut self,
        order: WatchOrder,
        history: Option<WatchHistory>,
        most: usize,
        detach: (Detach, TokenHash),
        limits: DetachedLimits,
    ) -> Result<&mut Watch, WatchRefused> {
        self.detached.check(order.mailbox.address(), limits)?;
        self.insert(order, history, most, Some(detach))
    }

    /// The detached watch with this id and this token.
    pub(crate) fn authorised(&mut self, id: &str, token: &TokenHash) -> Result<&mut Watch, AttachRefused> {
        let watch = self.by_id(id).filter(|watch| {
            let detachment = watch.detached.as_ref();
            detachment.is_some_and(|detachment| detachment.token.is(token))
        });
        watch.ok_or(AttachRefused::NotFound)
    }

    /// Attaches this connection, which has the matches up to `after`, and detaches the one before.
    pub(crate) fn attach(&mut self, id: &str, connection: &Mailbox, after: u64) {
        let Some(number) = self.numbers.get(id).copied() else {
            return;
        };
        let Some(watch) = self.all.get_mut(&number) else { return };
        if let Some(before) = watch.mailbox.attached() {
            self.detached.unset_attached(number, before.owner());
        }
        if let Some(before) = watch.mailbox.attach(connection, after) {
            before.tell_ended(id, EndReason::AttachedElsewhere);
        }
        if let Some(ends) = watch.detached.as_mut().and_then(|detachment| detachment.ends.take()) {
            self.detached.ends.remove(&(ends, number));
        }
        self.detached.set_attached(number, connection);
    }

    /// A connection has ended: the watches to which it is attached go on without it.
    pub(super) fn detach_from(&mut self, connection: &Mailbox) {
        let Some(attached) = self.detached.attached.remove(&connection.owner()) else {
            return;
        };
        let now = Instant::now();
        for number in attached.watches {
            let Some(watch) = self.all.get_mut(&number) else {
                continue;
            };
            watch.mailbox.detach();
            if let Some(detachment) = &mut watch.detached {
                let ends = now + detachment.lasts;
                detachment.ends = Some(ends);
                self.detached.ends.insert((ends, number));
            }
        }
    }

    /// Ends a detached watch over HTTP: a connection that is attached learns of it.
    pub(crate) fn end_detached(&mut self, id: &str) {
        if let Some(number) = self.numbers.get(id).copied() {
            self.end(number, EndReason::Unwatched, false);
        }
    }

    /// When the next watch without a connection ends.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        self.detached.ends.first().map(|(ends, _)| *ends)
    }

    /// Ends the watches whose time is over. Returns how many.
    pub(crate) fn expire(&mut self) -> usize {
        let now = Instant::now();
        let mut expired = 0;
        while let Some((ends, number)) = self.detached.ends.first().copied()
            && ends <= now
        {
            self.detached.ends.pop_first();
            self.end(number, EndReason::Expired, false);
            expired += 1;
        }
        expired
    }

    /// Ends all detached watches with the relay. Connections tell their clients themselves.
    pub(crate) fn stop_detached(&mut self) {
        let detached = self.all.values().filter(|watch| watch.detached.is_some());
        let numbers: Vec<u64> = detached.map(|watch| watch.number).collect();
        for number in numbers {
            self.end(number, EndReason::RelayStopped, true);
        }
    }

    /// Detached watches, and how many of them have a connection.
    pub(crate) fn detached_count(&self) -> (usize, usize) {
        (self.detached.count, self.detached.count - self.detached.ends.len())
    }
}
