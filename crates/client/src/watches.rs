//! The watches of the app, under names that outlive a connection.

use sdk_relay_protocol::{Event, Notification, Watch, WatchProgress};

/// Watches that are to hold. A relay names a watch anew when it is registered again; the app goes on with the first name.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// For the app.
    id: String,
    /// For the relay, on this connection.
    relay_id: Option<String>,
    watch: Watch,
    past: Past,
}

/// How far the history of a watch is told.
#[derive(Clone, Copy, Debug)]
enum Past {
    /// All up to the moment at which the relay took it, the block at this height being the last, where that is known.
    Told(Option<u32>),
    /// From this height on it is yet to be told.
    From(u32),
}

impl Watches {
    /// The relay accepted a watch; returns the name for the app. It is the relay's own, unless an older watch has it.
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
            past: watch.from_height.map_or(Past::Told(None), Past::From),
            watch,
        });
        id
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The relay has told a history up to here.
    pub(crate) fn told(&mut self, progress: &WatchProgress) {
        let of_it = |e: &&mut Entry| e.relay_id.as_deref() == Some(&progress.watch_id);
        let Some(entry) = self.entries.iter_mut().find(of_it) else {
            return;
        };
        if progress.progress >= 1.0 {
            entry.past = Past::Told(Some(progress.height));
        } else if progress.progress > 0.0 {
            entry.past = Past::From(progress.height.saturating_add(1));
        }
    }

    /// The connection ended: the relay's names are void. Returns what is to be registered again: name, and request. What blocks brought
    /// meanwhile is history; `tip` is the last block that was told.
    pub(crate) fn again(&mut self, tip: Option<u32>) -> Vec<(String, Watch)> {
        let renew = |e: &mut Entry| {
            e.relay_id = None;
            let mut watch = e.watch.clone();
            match e.past {
                Past::From(height) => watch.from_height = Some(height),
                Past::Told(last) => {
                    watch.from_height = tip.or(last).map(|height| height.saturating_add(1));
                    watch.to_height = None;
                }
            }
            e.past = watch.from_height.map_or(e.past, Past::From);
            (e.id.clone(), watch)
        };
        self.entries.iter_mut().map(renew).collect()
    }

    /// The relay cannot tell the history that was asked for: gives the request without it. `None` where none was asked for.
    pub(crate) fn without_history(&mut self, id: &str) -> Option<Watch> {
        let entry = self.entries.iter_mut().find(|e| e.id == id)?;
        if let Past::Told(_) = entry.past {
            return None;
        }
        entry.past = Past::Told(None);
        let mut watch = entry.watch.clone();
        (watch.from_height, watch.to_height) = (None, None);
        Some(watch)
    }

    /// The relay accepted it again, under this name.
    pub(crate) fn renamed(&mut self, id: &str, relay_id: &str) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.id == id) {
            entry.relay_id = Some(relay_id.to_owned());
        }
    }

    /// The watch is over.
    pub(crate) fn remove(&mut self, id: &str) {
        self.entries.retain(|e| e.id != id);
    }

    /// Whether the app has a watch of this name.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.entries.iter().any(|e| e.id == id)
    }

    /// The relay's name of the app's watch.
    pub(crate) fn relay_id(&self, id: &str) -> Option<&str> {
        self.entries.iter().find(|e| e.id == id)?.relay_id.as_deref()
    }

    /// The app's name of the relay's watch.
    pub(crate) fn id(&self, relay_id: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|e| e.relay_id.as_deref() == Some(relay_id))?;
        Some(&entry.id)
    }

    /// Gives a payment's watch the app's name.
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
            .again(None)
            .into_iter()
            .map(|(id, w)| (id, w.spend_public_key))
            .collect();
        assert_eq!(again, [("w1".into(), "a".into()), ("w2".into(), "b".into())]);
        assert_eq!(watches.relay_id("w1"), None);
        // The relay counts from the start again and answers in another order.
        watches.renamed("w2", "w1");
        watches.renamed("w1", "w2");
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
            let again = watches.again(tip).into_iter();
            again.map(|(_, w)| (w.from_height, w.to_height)).collect()
        };
        let mut watches = Watches::default();
        let mut old = watch("a");
        (old.from_height, old.to_height) = (Some(100), Some(200));
        watches.add(old, "w1");
        watches.add(watch("b"), "w2");
        watches.told(&progress("w1", 0.0, 99));
        assert_eq!(heights(&mut watches, None), [(Some(100), Some(200)), (None, None)]);

        watches.renamed("w1", "w1");
        watches.told(&progress("w1", 0.5, 150));
        assert_eq!(
            heights(&mut watches, Some(300)),
            [(Some(151), Some(200)), (Some(301), None)]
        );
        watches.renamed("w1", "w1");
        watches.told(&progress("w1", 1.0, 200));
        assert_eq!(heights(&mut watches, Some(310)), [(Some(311), None), (Some(301), None)]);

        // A relay without an index.
        let plain = watches.without_history("w2").unwrap();
        assert_eq!((plain.from_height, plain.to_height), (None, None));
        assert!(watches.without_history("w2").is_none());
    }
}
