//! The watches of the app, with ids that outlive a connection.

use sdk_relay_protocol::{Event, Notification, Resume, Watch, WatchProgress};

use crate::defaults::REORGANISATION;

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
    watch: Watch,
    backfill: Backfill,
    /// First block of the history that was requested after a reconnect.
    renewed_from: Option<u32>,
    /// Blocks from this height on were replaced before that: it has to be registered again, from there.
    rescan_from: Option<u32>,
}

/// A watch that has to be registered again, and the id that the relay has for it until then.
#[derive(Debug, PartialEq)]
pub(crate) struct Rescan {
    pub(crate) id: String,
    pub(crate) relay_id: String,
    pub(crate) watch: Watch,
}

/// State of the history of a watch.
#[derive(Clone, Copy, Debug)]
enum Backfill {
    /// Complete, up to the block at this height, if it is known.
    Complete(Option<u32>),
    /// Not yet reported from this height on.
    From(u32),
}

impl Watches {
    /// Adds a watch that the relay accepted. Returns its id for the app: the relay's own, unless an older watch has
    /// it.
    pub(crate) fn add(&mut self, watch: Watch, relay_id: &str) -> String {
        let mut id = relay_id.to_owned();
        let mut n = 1;
        while self.contains(&id) {
            n += 1;
            id = format!("{relay_id}#{n}");
        }
        self.entries.push(Entry {
            id: id.clone(),
            relay_id: Some(relay_id.to_owned()),
            backfill: watch.from_height.map_or(Backfill::Complete(None), Backfill::From),
            watch,
            renewed_from: None,
            rescan_from: None,
        });
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
            entry.backfill = Backfill::Complete(Some(progress.height));
        } else if progress.progress > 0.0 {
            entry.backfill = Backfill::From(progress.height.saturating_add(1));
        }
    }

    /// Returns the ids and requests to register after a reconnect, and forgets the ids of the relay. Blocks since the
    /// disconnect become history; `tip` is the last reported block. After a gap the newest blocks before the disconnect
    /// do too, as those that replaced them may be in the gap: payments in them are reported again.
    pub(crate) fn registrations(&mut self, tip: Option<u32>, resume: Resume) -> Vec<(String, Watch)> {
        let renew = |e: &mut Entry| {
            e.relay_id = None;
            let mut watch = e.watch.clone();
            match e.backfill {
                Backfill::From(height) => watch.from_height = Some(height),
                Backfill::Complete(last) => {
                    watch.from_height = tip.or(last).map(|height| height.saturating_add(1));
                    watch.to_height = None;
                }
            }
            if resume == Resume::Gap {
                let lowest = e.watch.from_height.unwrap_or(0);
                let from = |height: u32| height.saturating_sub(REORGANISATION).max(lowest);
                watch.from_height = watch.from_height.map(from);
            }
            e.backfill = watch.from_height.map_or(e.backfill, Backfill::From);
            (e.renewed_from, e.rescan_from) = (watch.from_height, None);
            (e.id.clone(), watch)
        };
        self.entries.iter_mut().map(renew).collect()
    }

    /// Blocks from this height on were replaced: watches that continued above it after the reconnect may have missed what replaced them, as the relay
    /// may have followed them before it knew the watch. A payment that it found nevertheless is reported again.
    pub(crate) fn replaced(&mut self, height: u32) {
        for entry in &mut self.entries {
            let from = height.max(entry.watch.from_height.unwrap_or(0));
            if entry.renewed_from.is_some_and(|renewed| renewed > from) {
                entry.renewed_from = Some(from);
                entry.rescan_from = Some(from);
            }
        }
    }

    /// Returns the watches that have to be registered again and that the relay has answered, and forgets their ids of the relay. The others follow
    /// with their answer.
    pub(crate) fn rescans(&mut self) -> Vec<Rescan> {
        let rescan = |e: &mut Entry| {
            let from = e.rescan_from.filter(|_| e.relay_id.is_some())?;
            e.rescan_from = None;
            e.backfill = Backfill::From(from);
            Some(Rescan {
                id: e.id.clone(),
                relay_id: e.relay_id.take()?,
                watch: Watch {
                    from_height: Some(from),
                    to_height: None,
                    ..e.watch.clone()
                },
            })
        };
        self.entries.iter_mut().filter_map(rescan).collect()
    }

    /// Returns the request without its history, if the relay cannot provide it. `None` if no history was requested.
    pub(crate) fn without_history(&mut self, id: &str) -> Option<Watch> {
        let entry = self.entries.iter_mut().find(|e| e.id == id)?;
        if let Backfill::Complete(_) = entry.backfill {
            return None;
        }
        entry.backfill = Backfill::Complete(None);
        entry.renewed_from = None;
        let mut watch = entry.watch.clone();
        (watch.from_height, watch.to_height) = (None, None);
        Some(watch)
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

    /// Replaces the relay's watch id in a payment by that of the app.
    pub(crate) fn translate(&self, notification: &mut Notification) {
        let (Event::PaymentDetected(payment) | Event::PaymentReverted(payment)) = &mut notification.event else {
            return;
        };
        let id = payment.watch_id.as_deref().and_then(|relay_id| self.id(relay_id));
        if let Some(id) = id {
            payment.watch_id = Some(id.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use sdk_relay_protocol::SecretHex;

    use super::*;

    fn watch(spend: &str) -> Watch {
        Watch {
            scan_private_key: SecretHex::new("00".into()),
            spend_public_key: spend.into(),
            labels: None,
            from_height: None,
            to_height: None,
            message_id: None,
        }
    }

    #[test]
    fn a_watch_keeps_its_name_over_connections() {
        let mut watches = Watches::default();
        assert_eq!(watches.add(watch("a"), "w1"), "w1");
        assert_eq!(watches.add(watch("b"), "w2"), "w2");

        let again: Vec<_> = watches
            .registrations(None, Resume::Complete)
            .into_iter()
            .map(|(id, w)| (id, w.spend_public_key))
            .collect();
        assert_eq!(again, [("w1".into(), "a".into()), ("w2".into(), "b".into())]);
        assert_eq!(watches.relay_id("w1"), None);
        // The relay counts from the start again and answers in another order.
        watches.registered("w2", "w1");
        watches.registered("w1", "w2");
        assert_eq!(watches.id("w1"), Some("w2"));
        assert_eq!(watches.relay_id("w1"), Some("w2"));

        watches.remove("w2");
        assert_eq!(watches.add(watch("c"), "w1"), "w1#2");
        assert_eq!(watches.id("w1"), Some("w1#2"));
    }

    #[test]
    fn watches_scan_again_from_where_blocks_were_replaced() {
        let mut watches = Watches::default();
        watches.add(watch("a"), "w1");
        let mut young = watch("b");
        young.from_height = Some(98);
        watches.add(young, "w2");
        watches.replaced(90);
        assert_eq!(watches.rescans(), [], "they saw it on their connection");

        let ended = WatchProgress {
            watch_id: "w2".to_owned(),
            progress: 1.0,
            height: 100,
            missing: Vec::new(),
            timestamp: 1,
        };
        watches.set_progress(&ended);
        watches.registrations(Some(100), Resume::Complete);
        watches.registered("w1", "r1");
        watches.replaced(99);
        watches.replaced(96);
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
        // The other is registered again once it has its answer, and not below its own first block.
        watches.registered("w2", "r2");
        let again = watches.rescans();
        assert_eq!((&*again[0].id, again[0].watch.from_height), ("w2", Some(98)));
        watches.replaced(97);
        assert_eq!(watches.rescans(), [], "scanned from 96 and 98 already");
    }

    #[test]
    fn after_a_gap_watches_scan_what_a_reorganisation_can_have_replaced() {
        let mut watches = Watches::default();
        let from = |height| Watch {
            from_height: height,
            ..watch("a")
        };
        watches.add(from(None), "w1");
        watches.add(from(Some(950)), "w2");
        watches.add(from(Some(10)), "w3");
        let progress = |watch_id: &str, progress, height| WatchProgress {
            watch_id: watch_id.to_owned(),
            progress,
            height,
            missing: Vec::new(),
            timestamp: 1,
        };
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
    fn a_history_goes_on_where_it_was() {
        let progress = |watch_id: &str, progress, height| WatchProgress {
            watch_id: watch_id.to_owned(),
            progress,
            height,
            missing: Vec::new(),
            timestamp: 1,
        };
        let heights = |watches: &mut Watches, tip| -> Vec<(Option<u32>, Option<u32>)> {
            let again = watches.registrations(tip, Resume::Complete).into_iter();
            again.map(|(_, w)| (w.from_height, w.to_height)).collect()
        };
        let mut watches = Watches::default();
        let mut old = watch("a");
        (old.from_height, old.to_height) = (Some(100), Some(200));
        watches.add(old, "w1");
        watches.add(watch("b"), "w2");
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
        assert_eq!(heights(&mut watches, Some(310)), [(Some(311), None), (Some(301), None)]);

        // A relay without an index.
        let plain = watches.without_history("w2").unwrap();
        assert_eq!((plain.from_height, plain.to_height), (None, None));
        assert!(watches.without_history("w2").is_none());
    }
}
