//! Events of the log as messages. A relay from before there were parts logged the tweaks of a large block as one event, longer than a message
//! may be.

use sdk_relay_protocol::{Event, LARGEST_MESSAGE, Notification, ServerMessage};
use sdk_relay_store::LogEntry;

use crate::frame::Frame;

/// The messages of an event: one, or the parts of an old one that is too long. These parts have one number in the log: the last has it, and those
/// before it have none, so that who resumes after them gets the block again from its first part on.
pub(super) fn frames(entry: LogEntry) -> Vec<Frame> {
    if entry.payload.len() <= LARGEST_MESSAGE {
        return vec![Frame::from_text(entry.payload)];
    }
    match serde_json::from_slice(&entry.payload) {
        Ok(Notification {
            event: Event::Tweaks(block),
            timestamp,
            event_id,
        }) => {
            let parts = block.into_parts().into_iter();
            let frame = |part: sdk_relay_protocol::Tweaks| {
                let event_id = event_id.filter(|_| part.part == part.parts);
                Frame::encode(&ServerMessage::Notification(Notification {
                    event: Event::Tweaks(part),
                    timestamp,
                    event_id,
                }))
            };
            parts.map(frame).collect()
        }
        Ok(_) => vec![Frame::from_text(entry.payload)],
        Err(error) => {
            tracing::error!(event_id = entry.id, %error, "cannot split a long event of the log into parts; sending it whole");
            vec![Frame::from_text(entry.payload)]
        }
    }
}

#[cfg(test)]
mod tests {
    use sdk_relay_protocol::{Topic, TweakOutput, TweakTx, Tweaks};
    use serde_json::Value;

    use super::*;

    /// The event 9 as a relay wrote it that knew no parts: the tweaks of a block with one transaction.
    fn old(outputs: u32) -> LogEntry {
        let output = |vout| TweakOutput {
            vout,
            public_key: "7c".repeat(32),
            amount_sats: 1000,
        };
        let block = Tweaks {
            block_height: 7,
            block_hash: "5a".repeat(32),
            transactions: vec![TweakTx {
                txid: "aa".repeat(32),
                tweak: "02".repeat(33),
                outputs: (0..outputs).map(output).collect(),
                continues: false,
            }],
            part: 1,
            parts: 1,
            historical: false,
        };
        let mut event = serde_json::to_value(ServerMessage::Notification(Notification {
            event: Event::Tweaks(block),
            timestamp: 1,
            event_id: Some(9),
        }))
        .unwrap();
        let data = event["data"].as_object_mut().unwrap();
        assert!(data.remove("part").is_some() && data.remove("parts").is_some());
        LogEntry {
            id: 9,
            topic: Topic::Tweaks,
            payload: sdk_relay_protocol::encode(&event).unwrap().into(),
        }
    }

    #[test]
    fn an_event_from_before_there_were_parts_is_no_message_that_is_too_long() {
        let entry = old(10_000);
        assert!(entry.payload.len() > 2 * LARGEST_MESSAGE);
        let frames = frames(entry);
        assert!(frames.iter().all(|frame| frame.len() <= LARGEST_MESSAGE));
        let read = |frame: &Frame| serde_json::from_slice::<Value>(&frame.text()).unwrap();
        let told: Vec<_> = frames.iter().map(read).collect();
        assert!(told.len() >= 3);
        for (n, message) in (1..).zip(&told) {
            assert_eq!(message["type"], "notification");
            assert_eq!(
                (&message["data"]["part"], &message["data"]["parts"]),
                (&n.into(), &told.len().into())
            );
            let id = (n == told.len()).then_some(9);
            assert_eq!(
                message["event_id"],
                Value::from(id),
                "resuming from a part gets the whole block again"
            );
        }
        let outputs = |message: &Value| message["data"]["transactions"][0]["outputs"].as_array().unwrap().len();
        assert_eq!(told.iter().map(outputs).sum::<usize>(), 10_000);
    }

    #[test]
    fn an_event_that_fits_is_sent_as_it_was_logged() {
        let entry = old(10);
        assert_eq!(frames(entry.clone()), [Frame::from_text(entry.payload)]);
    }
}
