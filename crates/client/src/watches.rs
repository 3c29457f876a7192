//! The watches of the app, with ids that survive a reconnect.

mod detached;

use sdk_relay_backfill::{Heights, ResumePoint};
use sdk_relay_protocol::{Notification, Resume, Watch, WatchProgress};

use crate::defaults::REORGANISATION;
use crate::reattach::Detached;

/// Active watches. A relay assigns a new id when a watch is registered again; the app keeps the first one.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Id for the app.
    id: String,
    /// Id of the relay, on this connection.
    relay_id: Option<String>,
    /// `None` if the app has attached to it with its token: the client does not know its keys.
    watch: Option<Watch>,
    /// The received part of its history.
    received: ResumePoint,
    /// If the relay goes on with it after a disconnect.
    detached: Option<Detached>,
}

/// A watch that has to be registered again, and the id that the relay has for it until then.
#[derive(Debug, PartialEq)]
pub(crate) struct Rescan {
    pub(crate) id: String,
    pub(crate) relay_id: String,
    pub(crate) watch: Watch,
}

impl Watches {
    /// Adds a watch that the relay accepted. Returns its id for the app: the relay's own, unless an older watch has
    /// it. `tip` is the last reported block.
    ///
    /// `from_height` is the first block of its history according to the relay, also if the watch has a time or the
    /// birthday of a descriptor.
    pub(crate) fn add(&mut self, watch: Watch, relay_id: &str, from_height: Option<u32>, tip: Option<u32>) -> String {
        let watch = Watch {
            from_height: watch.from_height.or(from_height),
            from_time: None,
            ..watch
        };
        let id = self.new_id(relay_id);
        self.entries.push(Entry {
            id: id.clone(),
            relay_id: Some(relay_id.to_owned()),
            received: ResumePoint::new(heights(&watch), tip),
            watch: Some(watch),
            detached: None,
        });
        id
    }

    /// The relay's id, unless an older watch has it.
    fn new_id(&self, relay_id: &str) -> String {
        let mut id = relay_id.to_owned();
        let mut n = 1;
        while self.contains(&id) {
            n += 1;
            id = format!("{relay_id}#{n}");
        }
        id
    }

    /// Whether there are no watches.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Records the progress of a history.
    pub(crate) fn set_progress(&mut self, progress: &WatchProgress) {
        let is_meant = |e: &&mut Entry| e.relay_id.as_deref() == Some(&progress.watch_id);
        let Some(entry) = self.entries.iter_mut().find(is_meant) else {
            return;
        };
        if progress.progress >= 1.0 {
            entry.received.completed(progress.height);
        } else if progress.progress > 0.0 {
            entry.received.progressed(progress.height);
        }
    }

    /// Returns the ids and requests to register after a reconnect, and forgets the ids of the relay. Blocks since the
    /// disconnect become history; `tip` is the last reported block. After a gap the newest blocks before the disconnect
    /// do too, as those that replaced them may be in the gap: payments in them are reported again. Without the detached
    /// watches, which are [attached to](Self::attachments).
    pub(crate) fn registrations(&mut self, tip: Option<u32>, resume: Resume) -> Vec<(String, Watch)> {
        let unseen = if resume == Resume::Gap { REORGANISATION } else { 0 };
        let renew = |e: &mut Entry| {
            e.relay_id = None;
            if e.detached.is_some() {
                return None;
            }
            let heights = e.received.reconnected(tip, unseen);
            Some((e.id.clone(), with_history(e.watch.as_ref()?, heights)))
        };
        self.entries.iter_mut().filter_map(renew).collect()
    }

    /// A block was reported as connected.
    pub(crate) fn connected(&mut self, height: u32) {
        self.points().for_each(|received| received.connected(height));
    }

    /// Blocks from this height on were replaced: watches that continued above it after the reconnect may have missed
    /// what replaced them, as the relay may have followed them before it knew the watch. A payment that it found
    /// nevertheless is reported again.
    pub(crate) fn disconnected(&mut self, height: u32) {
        self.points().for_each(|received| received.disconnected(height));
    }

    /// What each watch has received, and would have received if it had to be registered again.
    fn points(&mut self) -> impl Iterator<Item = &mut ResumePoint> {
        self.entries.iter_mut().flat_map(|e| {
            let renewed = e.detached.as_mut().and_then(|detached| detached.renewed.as_mut());
            std::iter::once(&mut e.received).chain(renewed.map(|(renewed, _)| renewed))
        })
    }

    /// Returns the watches that have to be registered again and that the relay has answered, and forgets their ids of
    /// the relay. The others follow with their answer.
    pub(crate) fn rescans(&mut self) -> Vec<Rescan> {
        let rescan = |e: &mut Entry| {
            e.relay_id.as_ref()?;
            let watch = e.watch.as_ref()?;
            let heights = e.received.take_rescan()?;
            Some(Rescan {
                id: e.id.clone(),
                relay_id: e.relay_id.take()?,
                watch: with_history(watch, Some(heights)),
            })
        };
        self.entries.iter_mut().filter_map(rescan).collect()
    }

    /// Returns the request without its history, if the relay cannot provide it. `None` if no history was requested.
    pub(crate) fn without_history(&mut self, id: &str) -> Option<Watch> {
        let entry = self.entries.iter_mut().find(|e| e.id == id)?;
        let had_history = entry.received.give_up_history();
        let watch = entry.watch.as_ref()?;
        had_history.then(|| with_history(watch, None))
    }

    /// Records the new id of a watch that the relay accepted again.
    pub(crate) fn registered(&mut self, id: &str, relay_id: &str) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.id == id) {
            entry.relay_id = Some(relay_id.to_owned());
        }
    }

    /// Removes a watch.
    pub(crate) fn remove(&mut self, id: &str) {
        self.entries.retain(|e| e.id != id);
    }

    /// Whether the app has a watch with this id.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.entries.iter().any(|e| e.id == id)
    }

    /// The id of the relay for a watch of the app.
    pub(crate) fn relay_id(&self, id: &str) -> Option<&str> {
        self.entries.iter().find(|e| e.id == id)?.relay_id.as_deref()
    }

    /// The id of the app for a watch of the relay.
    pub(crate) fn id(&self, relay_id: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|e| e.relay_id.as_deref() == Some(relay_id))?;
        Some(&entry.id)
    }

    /// Replaces the relay's watch id in a payment or a spend by that of the app.
    pub(crate) fn translate(&self, notification: &mut Notification) {
        let id = notification.event.watch_id().and_then(|relay_id| self.id(relay_id));
        if let Some(id) = id.map(ToOwned::to_owned) {
            notification.event.set_watch_id(id);
        }
    }
}

/// The history that a watch requests.
fn heights(watch: &Watch) -> Option<Heights> {
    let to = watch.to_height;
    watch.from_height.map(|from| Heights { from, to })
}

/// The watch with this history instead of its own.
fn with_history(watch: &Watch, heights: Option<Heights>) -> Watch {
    Watch {
        from_height: heights.map(|heights| heights.from),
        // The relay has answered with the height.
        from_time: None,
        to_height: heights.and_then(|heights| heights.to),
        ..watch.clone()
    }
}

#[cfg(test)]
mod tests {
    use sdk_relay_protocol::SecretHex;

    use super::*;

    fn watch(spend: &str) -> Watch {
        Watch::of_keys(SecretHex::new("00".into()), spend.into())
    }

    fn progress(watch_id: &str, progress: f64, height: u32) -> WatchProgress {
        WatchProgress {
            watch_id: watch_id.to_owned(),
            progress,
            height,
            missing: Vec::new(),
            timestamp: 1,
        }
    }

    #[test]
    fn a_watch_keeps_its_id_over_connections() {
        let mut watches = Watches::default();
        assert_eq!(watches.add(watch("a"), "w1", None, None), "w1");
        assert_eq!(watches.add(watch("b"), "w2", None, None), "w2");

        let again: Vec<_> = watches
            .registrations(None, Resume::Complete)
            .into_iter()
            .map(|(id, w)| (id, w.spend_public_key))
            .collect();
        assert_eq!(
            again,
            [("w1".into(), Some("a".into())), ("w2".into(), Some("b".into()))]
        );
        assert_eq!(watches.relay_id("w1"), None);
        // The relay counts from the start again and answers in another order.
        watches.registered("w2", "w1");
        watches.registered("w1", "w2");
        assert_eq!(watches.id("w1"), Some("w2"));
        assert_eq!(watches.relay_id("w1"), Some("w2"));

        watches.remove("w2");
        assert_eq!(watches.add(watch("c"), "w1", None, None), "w1#2");
        assert_eq!(watches.id("w1"), Some("w1#2"));
    }

    #[test]
    fn payments_and_spends_have_the_id_of_the_app() {
        let mut watches = Watches::default();
        watches.add(watch("a"), "w1", None, None);
        watches.registrations(None, Resume::Complete);
        watches.registered("w1", "r1");
        let payment = serde_json::json!({
            "txid": "aa", "block_height": null, "block_hash": null, "amount": "1", "address": "sprt1q", "confirmations": 0,
            "timestamp": 1, "fee": null, "size": 1, "vout": 0, "tweak": null, "label": null, "watch_id": "r1",
            "amount_sats": 100_000_000, "fee_sats": null,
        });
        let spent = serde_json::json!({
            "txid": "aa", "vout": 0, "amount": "1", "amount_sats": 100_000_000, "address": "sprt1q", "label": null,
            "spent_by": "bb", "vin": 0, "block_height": null, "block_hash": null, "confirmations": 0, "timestamp": 1,
            "fee_sats": 250, "watch_id": "r1",
        });
        for (kind, data) in [
            ("payment_detected", &payment),
            ("payment_reverted", &payment),
            ("payment_confirmed", &payment),
            ("payment_spent", &spent),
            ("payment_spent_reverted", &spent),
        ] {
            let message =
                serde_json::json!({"notification_type": kind, "data": data, "timestamp": 1, "event_id": null});
            let mut notification: Notification = serde_json::from_value(message).unwrap();
            watches.translate(&mut notification);
            assert_eq!(notification.event.watch_id(), Some("w1"), "{kind}");
        }
    }

    #[test]
    fn watches_scan_again_from_where_blocks_were_replaced() {
        let mut watches = Watches::default();
        watches.add(watch("a"), "w1", None, None);
        let mut young = watch("b");
        young.from_height = Some(98);
        watches.add(young, "w2", None, None);
        watches.disconnected(90);
        watches.connected(90);
        assert_eq!(watches.rescans(), [], "they saw it on their connection");

        watches.set_progress(&progress("w2", 1.0, 100));
        watches.registrations(Some(100), Resume::Complete);
        watches.registered("w1", "r1");
        watches.disconnected(99);
        watches.disconnected(96);
        assert_eq!(
            watches.rescans(),
            [],
            "the relay has not yet connected what replaces them"
        );
        watches.connected(96);
        let again = watches.rescans();
        assert_eq!(
            (
                again.len(),
                &*again[0].id,
                &*again[0].relay_id,
                again[0].watch.from_height
            ),
            (1, "w1", "r1", Some(96))
        );
        assert_eq!(watches.relay_id("w1"), None);
        // The other is registered again after its answer, and not below its own first block.
        watches.registered("w2", "r2");
        let again = watches.rescans();
        assert_eq!((&*again[0].id, again[0].watch.from_height), ("w2", Some(98)));
        watches.disconnected(97);
        watches.connected(97);
        assert_eq!(watches.rescans(), [], "scanned from 96 and 98 already");
    }

    #[test]
    fn after_a_gap_watches_scan_what_a_reorganisation_can_have_replaced() {
        let mut watches = Watches::default();
        let from = |height| Watch {
            from_height: height,
            ..watch("a")
        };
        watches.add(from(None), "w1", None, None);
        watches.add(from(Some(950)), "w2", None, None);
        watches.add(from(Some(10)), "w3", None, None);
        watches.set_progress(&progress("w2", 1.0, 1_000));
        watches.set_progress(&progress("w3", 0.5, 499));
        let again = watches.registrations(Some(1_000), Resume::Gap).into_iter();
        let heights: Vec<_> = again.map(|(_, w)| w.from_height).collect();
        assert_eq!(heights, [Some(901), Some(950), Some(400)]);
        // A disconnect before the history has come further loses nothing either.
        let again = watches.registrations(Some(1_000), Resume::Complete).into_iter();
        let heights: Vec<_> = again.map(|(_, w)| w.from_height).collect();
        assert_eq!(heights, [Some(901), Some(950), Some(400)]);
    }

    #[test]
    fn a_history_continues_where_it_was() {
        let heights = |watches: &mut Watches, tip| -> Vec<(Option<u32>, Option<u32>)> {
            let again = watches.registrations(tip, Resume::Complete).into_iter();
            again.map(|(_, w)| (w.from_height, w.to_height)).collect()
        };
        let mut watches = Watches::default();
        let mut old = watch("a");
        (old.from_height, old.to_height) = (Some(100), Some(200));
        watches.add(old, "w1", None, None);
        watches.add(watch("b"), "w2", None, None);
        watches.set_progress(&progress("w1", 0.0, 99));
        assert_eq!(heights(&mut watches, None), [(Some(100), Some(200)), (None, None)]);

        watches.registered("w1", "w1");
        watches.set_progress(&progress("w1", 0.5, 150));
        assert_eq!(
            heights(&mut watches, Some(300)),
            [(Some(151), Some(200)), (Some(301), None)]
        );
        watches.registered("w1", "w1");
        watches.set_progress(&progress("w1", 1.0, 200));
        watches.connected(310);
        // Not yet reported: what connected between the two connections.
        assert_eq!(heights(&mut watches, Some(310)), [(Some(301), None), (Some(301), None)]);

        // A relay without an index.
        let plain = watches.without_history("w2").unwrap();
        assert_eq!((plain.from_height, plain.to_height), (None, None));
        assert!(watches.without_history("w2").is_none());
    }

    /// The relay refuses a range that ends below its start, and the app would lose the watch.
    #[test]
    fn a_watch_whose_history_is_complete_requests_no_range_that_ends_before_it_begins() {
        let mut watches = Watches::default();
        let mut old = watch("a");
        (old.from_height, old.to_height) = (Some(100), Some(200));
        watches.add(old, "w1", None, Some(300));
        watches.set_progress(&progress("w1", 1.0, 200));
        for tip in 300..303 {
            // Not one message about the watch arrives between two disconnects.
            let again = watches.registrations(Some(tip), Resume::Complete);
            let (from, to) = (again[0].1.from_height, again[0].1.to_height);
            assert!(to.is_none() && from == Some(301), "{from:?} to {to:?}");
        }
    }

    /// The relay holds back what connects during a scan: it follows the last progress.
    #[test]
    fn blocks_that_connect_during_a_scan_are_requested_again_until_a_block_follows_it() {
        let mut watches = Watches::default();
        let mut young = watch("a");
        young.from_height = Some(90);
        watches.add(young, "w1", None, Some(100));
        watches.connected(101);
        watches.set_progress(&progress("w1", 1.0, 100));
        let again = watches.registrations(Some(101), Resume::Complete);
        assert_eq!(again[0].1.from_height, Some(101));

        watches.registered("w1", "w1");
        watches.set_progress(&progress("w1", 1.0, 101));
        watches.connected(102);
        let again = watches.registrations(Some(102), Resume::Complete);
        assert_eq!(again[0].1.from_height, Some(103));
    }

    #[test]
    fn blocks_that_are_replaced_during_a_scan_are_requested_again() {
        let mut watches = Watches::default();
        let mut young = watch("a");
        young.from_height = Some(90);
        watches.add(young, "w1", None, Some(100));
        watches.set_progress(&progress("w1", 0.5, 95));
        watches.disconnected(93);
        let again = watches.registrations(Some(92), Resume::Complete);
        assert_eq!(again[0].1.from_height, Some(93));
    }

    /// They are above the end of the history.
    #[test]
    fn blocks_that_connect_during_a_disconnect_follow_a_history_that_ends_below_them() {
        let mut watches = Watches::default();
        let mut old = watch("a");
        (old.from_height, old.to_height) = (Some(100), Some(200));
        watches.add(old, "w1", None, Some(300));
        watches.set_progress(&progress("w1", 0.5, 150));
        let again = watches.registrations(Some(300), Resume::Complete);
        assert_eq!((again[0].1.from_height, again[0].1.to_height), (Some(151), Some(200)));
        watches.registered("w1", "r1");
        assert_eq!(watches.rescans(), []);
        watches.set_progress(&progress("r1", 1.0, 200));
        let again = watches.rescans();
        assert_eq!(
            (again[0].watch.from_height, again[0].watch.to_height),
            (Some(301), None)
        );
    }
}
