//! The watches of the app, under names that outlive a connection.

use sdk_relay_protocol::{Event, Notification, Watch};

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
            watch,
        });
        id
    }

    /// The connection ended: the relay's names are void. Returns what is to be registered again: name, and request.
    pub(crate) fn again(&mut self) -> Vec<(String, Watch)> {
        let renew = |e: &mut Entry| {
            e.relay_id = None;
            (e.id.clone(), e.watch.clone())
        };
        self.entries.iter_mut().map(renew).collect()
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
            .again()
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
}
