//! The watches of the app, with ids that outlive a connection.

use sdk_relay_protocol::{Event, Notification, Watch, WatchProgress};

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
    /// disconnect become history; `tip` is the last reported block.
    pub(crate) fn registrations(&mut self, tip: Option<u32>) -> Vec<(String, Watch)> {
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
            e.backfill = watch.from_height.map_or(e.backfill, Backfill::From);
            (e.id.clone(), watch)
        };
        self.entries.iter_mut().map(renew).collect()
    }

    /// Returns the request without its history, if the relay cannot provide it. `None` if no history was requested.
    pub(crate) fn without_history(&mut self, id: &str) -> Option<Watch> {
        let entry = self.entries.iter_mut().find(|e| e.id == id)?;
        if let Backfill::Complete(_) = entry.backfill {
            return None;
        }
        entry.backfill = Backfill::Complete(None);
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
            .registrations(None)
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
    fn a_history_goes_on_where_it_was() {
        let progress = |watch_id: &str, progress, height| WatchProgress {
            watch_id: watch_id.to_owned(),
            progress,
            height,
            missing: Vec::new(),
            timestamp: 1,
        };
        let heights = |watches: &mut Watches, tip| -> Vec<(Option<u32>, Option<u32>)> {
            let again = watches.registrations(tip).into_iter();
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
