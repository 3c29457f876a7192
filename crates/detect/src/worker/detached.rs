//! Commands about detached watches.

use sdk_relay_protocol::HistoryState;
use sdk_relay_telemetry::clock::unix_now;
use tokio::time::Instant;

use super::Worker;
use crate::commands::{AttachOrder, DetachedReply};
use crate::detached::{AttachRefused, DetachedState, TokenHash};

impl Worker {
    /// Attaches a connection to a watch. The answer is there before the first message of the watch.
    pub(super) fn attach(&mut self, order: &AttachOrder, reply: DetachedReply<DetachedState>) {
        if reply.is_closed() {
            // The request has timed out, and its client was answered so.
            return;
        }
        let AttachOrder {
            watch_id,
            token,
            after,
            mailbox,
        } = order;
        let token = TokenHash::of_text(token.expose());
        let state = self.released(watch_id, &token, *after).and_then(|state| {
            // Attaching would take the watch away from a connection that lives.
            if mailbox.is_dead() {
                Err(AttachRefused::Ending)
            } else {
                Ok(state)
            }
        });
        let is_attached = state.is_ok();
        let state = self.counted(state).map(|state| DetachedState {
            is_attached: true,
            expires_at: None,
            ..state
        });
        let is_known = reply.send(state).is_ok();
        if is_attached && is_known {
            self.watches.attach(watch_id, mailbox, *after);
        }
    }

    /// The state of a watch of which the client has the matches up to this one.
    fn released(&mut self, watch_id: &str, token: &TokenHash, after: u64) -> Result<DetachedState, AttachRefused> {
        let watch = self.watches.authorised(watch_id, token)?;
        let last = watch.mailbox.contents().last;
        if after > last {
            return Err(AttachRefused::After { last });
        }
        watch.mailbox.release(after);
        self.state_of(watch_id, token)
    }

    pub(super) fn detached(&mut self, watch_id: &str, token: &TokenHash, reply: DetachedReply<DetachedState>) {
        let state = self.state_of(watch_id, token);
        let state = self.counted(state);
        #[expect(clippy::let_underscore_must_use, reason = "the caller may have stopped waiting")]
        let _ = reply.send(state);
    }

    pub(super) fn end_detached(&mut self, watch_id: &str, token: &TokenHash, reply: DetachedReply<()>) {
        let is_allowed = self.watches.authorised(watch_id, token).map(|_| ());
        if is_allowed.is_ok() {
            self.watches.end_detached(watch_id);
            self.history.remove(watch_id);
            self.spends.remove(watch_id);
        }
        let answer = self.counted(is_allowed);
        #[expect(clippy::let_underscore_must_use, reason = "the caller may have stopped waiting")]
        let _ = reply.send(answer);
    }

    /// Ends the watches to which no client came back in time.
    pub(super) fn expire(&mut self) {
        let expired = self.watches.expire();
        self.parts.metrics.detached.expired.inc_by(expired as u64);
    }

    /// Updates the figures.
    pub(super) fn measure_detached(&self) {
        let metrics = &self.parts.metrics.detached;
        let (watches, attached) = self.watches.detached_count();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.watches.set(count(watches));
        metrics.attached.set(count(attached));
        metrics.bytes.set(count(self.detection.kept_bytes()));
    }

    fn counted<T>(&self, answer: Result<T, AttachRefused>) -> Result<T, AttachRefused> {
        if matches!(answer, Err(AttachRefused::NotFound)) {
            self.parts.metrics.detached.refused.inc();
        }
        answer
    }

    fn state_of(&mut self, watch_id: &str, token: &TokenHash) -> Result<DetachedState, AttachRefused> {
        let tip = self.tip();
        let index = self.parts.index.as_ref().map(|index| index.status.borrow().clone());
        let watch = self.watches.authorised(watch_id, token)?;
        let owner = watch.mailbox.owner();
        let is_waiting = |block: &&super::BlockScan| block.waiting.contains(&owner);
        let first_scan = self
            .block_scans
            .iter()
            .filter(is_waiting)
            .map(|block| block.height)
            .min();
        let live = first_scan.map_or(tip, |height| height.checked_sub(1));
        let position = watch.history.as_ref().filter(|history| !history.is_over());
        let height = position.map_or(live, |history| history.position()?.checked_sub(1));
        let history = index
            .as_ref()
            .map_or(HistoryState::None, |index| watch.plan(tip, index).state);
        let contents = watch.mailbox.contents();
        let ends = watch.detached.as_ref().and_then(|detachment| detachment.ends);
        let expires_at = ends.map(|ends| unix_now() + ends.saturating_duration_since(Instant::now()).as_secs());
        Ok(DetachedState {
            is_attached: ends.is_none(),
            expires_at,
            buffered: contents.matches,
            first_seq: contents.first,
            last_seq: contents.last,
            gap: contents.gap,
            history,
            height,
        })
    }
}
