//! Detached watches of the app.

use sdk_relay_backfill::ResumePoint;
use sdk_relay_protocol::{Attach, ErrorCode, Notification, Resume, SecretHex, Watch};

use super::{Entry, Watches, with_history};
use crate::RequestError;
use crate::defaults::REORGANISATION;
use crate::reattach::{Detached, Reattach};

impl Watches {
    /// Records that the relay at `url` goes on with this watch after a disconnect.
    pub(crate) fn set_detached(&mut self, id: &str, relay_id: &str, token: &SecretHex, url: &str) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.id == id) {
            entry.detached = Some(Detached {
                relay_id: relay_id.to_owned(),
                token: token.clone(),
                url: url.to_owned(),
                released: 0,
                delivered: 0,
                renewed: None,
            });
        }
    }

    /// The relay at `url` has attached the client to a watch, or released matches of its own. Returns its id for the
    /// app.
    pub(crate) fn attached(&mut self, attach: Attach, url: &str) -> String {
        if let Some(id) = self.id(&attach.watch_id) {
            return id.to_owned();
        }
        let Attach {
            watch_id: relay_id,
            watch_token: token,
            after,
            ..
        } = attach;
        let id = self.new_id(&relay_id);
        self.entries.push(Entry {
            id: id.clone(),
            relay_id: Some(relay_id.clone()),
            watch: None,
            received: ResumePoint::new(None, None),
            detached: Some(Detached {
                relay_id,
                token,
                url: url.to_owned(),
                released: after,
                delivered: after,
                renewed: None,
            }),
        });
        id
    }

    /// After a reconnect to the relay at `url`: the detached watches to attach to. Those at another relay are
    /// [registered](Watches::registrations) here, as the others are; those without keys are lost.
    pub(crate) fn attachments(&mut self, tip: Option<u32>, resume: Resume, url: &str) -> Vec<Reattach> {
        let unseen = if resume == Resume::Gap { REORGANISATION } else { 0 };
        let mut all = Vec::new();
        self.entries.retain_mut(|e| {
            let Some(detached) = &mut e.detached else { return true };
            e.relay_id = None;
            if detached.url == url {
                let mut renewed = e.received.clone();
                let heights = renewed.reconnected(tip, unseen);
                detached.renewed = Some((renewed, heights));
                all.push(Reattach::Attach {
                    watch_id: e.id.clone(),
                    attach: Attach {
                        watch_id: detached.relay_id.clone(),
                        watch_token: detached.token.clone(),
                        after: detached.released,
                        message_id: None,
                    },
                });
                return true;
            }
            e.detached = None;
            if e.watch.is_none() {
                all.push(Reattach::Lost { watch_id: e.id.clone() });
            }
            e.watch.is_some()
        });
        all
    }

    /// The relay cannot attach to a watch. Returns the watch to register again; `None` if it is lost: it has not ended,
    /// or the client does not know its keys.
    pub(crate) fn renew(&mut self, id: &str, code: ErrorCode) -> Option<Watch> {
        let entry = self.entries.iter_mut().find(|e| e.id == id)?;
        let (renewed, heights) = entry.detached.take()?.renewed?;
        if code != ErrorCode::NotFound {
            return None;
        }
        entry.received = renewed;
        Some(with_history(entry.watch.as_ref()?, heights))
    }

    /// The relay stops, and the watch ends with it. Returns whether it can be registered again after the reconnect.
    pub(crate) fn stopped(&mut self, id: &str) -> bool {
        let entry = self.entries.iter_mut().find(|e| e.id == id);
        let Some(entry) = entry.filter(|e| e.watch.is_some()) else {
            return false;
        };
        entry.detached = None;
        true
    }

    /// Whether the app was not given this match before.
    pub(crate) fn is_new(&mut self, notification: &Notification) -> bool {
        let (Some(seq), Some(relay_id)) = (notification.watch_seq, notification.event.watch_id()) else {
            return true;
        };
        self.set_delivered(relay_id, seq)
    }

    /// The app is given the matches of the relay's watch up to this one. Returns whether it was not before.
    pub(crate) fn set_delivered(&mut self, relay_id: &str, seq: u64) -> bool {
        let is_meant = |e: &&mut Entry| {
            e.detached
                .as_ref()
                .is_some_and(|detached| detached.relay_id == relay_id)
        };
        let entry = self.entries.iter_mut().find(is_meant);
        let Some(detached) = entry.and_then(|e| e.detached.as_mut()) else {
            return true;
        };
        let is_new = seq > detached.delivered;
        detached.delivered = detached.delivered.max(seq);
        is_new
    }

    /// Fills in the relay's id and the token, if the app releases matches of a watch of its own.
    pub(crate) fn fill(&mut self, attach: &mut Attach) -> Result<(), RequestError> {
        let request = "attach";
        let entry = self.entries.iter_mut().find(|e| e.id == attach.watch_id);
        let Some(entry) = entry else {
            if attach.watch_token.expose().is_empty() {
                return Err(unknown(request));
            }
            return Ok(());
        };
        let Some(detached) = &mut entry.detached else {
            return Err(unknown(request));
        };
        detached.released = detached.released.max(attach.after);
        let Some(relay_id) = &entry.relay_id else {
            return Err(RequestError::Disconnected { request });
        };
        attach.watch_id.clone_from(relay_id);
        attach.watch_token = detached.token.clone();
        Ok(())
    }
}

fn unknown(request: &'static str) -> RequestError {
    RequestError::Refused {
        request,
        code: ErrorCode::NotFound,
        message: "the client has no detached watch with this watch_id".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "ws://a";

    fn token(n: u8) -> SecretHex {
        SecretHex::new(format!("{n:064x}"))
    }

    fn watch() -> Watch {
        Watch {
            detach: Some(60),
            ..Watch::of_keys(SecretHex::new("00".into()), "02".into())
        }
    }

    fn detached(watches: &mut Watches) -> String {
        let id = watches.add(watch(), "w1", None, Some(100));
        watches.set_detached(&id, "w1", &token(1), HERE);
        id
    }

    fn attach(watch_id: &str, watch_token: SecretHex, after: u64) -> Attach {
        Attach {
            watch_id: watch_id.into(),
            watch_token,
            after,
            message_id: None,
        }
    }

    fn payment(watch_id: &str, seq: u64) -> Notification {
        let message = serde_json::json!({
            "notification_type": "payment_spent", "timestamp": 1, "event_id": null, "watch_seq": seq,
            "data": {
                "txid": "aa", "vout": 0, "amount": "1", "amount_sats": 100_000_000, "address": "sprt1q", "label": null,
                "spent_by": "bb", "vin": 0, "block_height": null, "block_hash": null, "confirmations": 0,
                "timestamp": 1, "watch_id": watch_id,
            },
        });
        serde_json::from_value(message).unwrap()
    }

    #[test]
    fn it_is_attached_to_again_with_what_the_app_has_released() {
        let mut watches = Watches::default();
        let id = detached(&mut watches);
        assert!(watches.is_new(&payment("w1", 1)) && watches.is_new(&payment("w1", 2)));
        let mut release = attach(&id, SecretHex::new(String::new()), 1);
        watches.fill(&mut release).unwrap();
        assert_eq!(release, attach("w1", token(1), 1));
        let again = watches.attachments(Some(100), Resume::Complete, HERE);
        let expected = Reattach::Attach {
            watch_id: id.clone(),
            attach: attach("w1", token(1), 1),
        };
        assert_eq!(again, [expected]);
        assert!(watches.registrations(Some(100), Resume::Complete).is_empty());
        // Released while the client reconnects.
        let mut release = attach(&id, SecretHex::new(String::new()), 2);
        assert!(matches!(
            watches.fill(&mut release),
            Err(RequestError::Disconnected { .. })
        ));
        watches.registered(&id, "w1");
        assert!(!watches.is_new(&payment("w1", 2)), "reported before");
        assert!(watches.is_new(&payment("w1", 3)));
    }

    #[test]
    fn one_that_has_ended_is_registered_again_with_the_blocks_since() {
        let mut watches = Watches::default();
        let id = detached(&mut watches);
        watches.connected(120);
        watches.attachments(Some(120), Resume::Complete, HERE);
        // It arrives before the answer to `attach`.
        watches.connected(121);
        let again = watches.renew(&id, ErrorCode::NotFound).unwrap();
        assert_eq!((again.from_height, again.detach), (Some(121), Some(60)));
        watches.registered(&id, "w2");
        watches.set_detached(&id, "w2", &token(2), HERE);
        assert!(watches.is_new(&payment("w2", 1)), "it counts from 1 again");
        assert_eq!(watches.id("w2"), Some(&*id));
    }

    #[test]
    fn no_other_relay_learns_the_token() {
        let mut watches = Watches::default();
        detached(&mut watches);
        let without_keys = watches.attached(attach("w9", token(9), 4), HERE);
        let again = watches.attachments(Some(100), Resume::Gap, "ws://b");
        assert_eq!(again, [Reattach::Lost { watch_id: without_keys }]);
        let again = watches.registrations(Some(100), Resume::Gap);
        assert_eq!((again.len(), again[0].1.from_height), (1, Some(1)));
    }

    #[test]
    fn a_watch_of_an_earlier_process_is_kept_by_its_token() {
        let mut watches = Watches::default();
        let mut first = attach("w1", token(1), 7);
        watches.fill(&mut first).unwrap();
        assert_eq!(watches.attached(first, HERE), "w1");
        assert!(!watches.is_new(&payment("w1", 7)) && watches.is_new(&payment("w1", 8)));
        let again = watches.attachments(None, Resume::Complete, HERE);
        assert_eq!(again.len(), 1);
        assert_eq!(watches.renew("w1", ErrorCode::NotFound), None, "its keys are not known");
        let mut unknown = attach("w5", SecretHex::new(String::new()), 1);
        assert!(matches!(watches.fill(&mut unknown), Err(RequestError::Refused { .. })));
    }

    #[test]
    fn the_end_of_the_relay_is_no_end_for_an_app_that_gave_the_keys() {
        let mut watches = Watches::default();
        let id = detached(&mut watches);
        let without_keys = watches.attached(attach("w9", token(9), 4), HERE);
        assert!(watches.stopped(&id) && !watches.stopped(&without_keys));
        watches.remove(&without_keys);
        assert_eq!(watches.attachments(Some(100), Resume::Complete, HERE), []);
        assert_eq!(watches.registrations(Some(100), Resume::Complete).len(), 1);
    }
}
