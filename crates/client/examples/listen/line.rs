//! An event as a line: for people, or as the JSON of its message.

use sdk_relay_client::protocol::{ServerMessage, encode_text};
use sdk_relay_client::{ClientEvent, Event, HandshakeResponse, Payment, PaymentSpent, Resume};
use sdk_relay_echo::short;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Characters of an id that are shown: enough to tell two apart.
const ID_CHARS: usize = 8;

/// The event in one line: the time, what happened, and to what.
pub(crate) fn text(event: &ClientEvent) -> String {
    match event {
        ClientEvent::Notification(notification) => {
            format!("{}  {}", time(notification.timestamp), notified(&notification.event))
        }
        ClientEvent::Sync(message) => format!("{}  state of the relay", time(message.timestamp)),
        ClientEvent::WatchProgress(progress) => format!(
            "history of a watch: {} % up to block {}",
            (progress.progress * 100.0) as u64,
            progress.height
        ),
        ClientEvent::Error(error) => format!("{}  error: {}", time(error.timestamp), short(&error.message)),
        ClientEvent::Disconnected { reason, retry_in } => {
            format!(
                "disconnected: {reason}; reconnecting in {} s",
                retry_in.as_secs().max(1)
            )
        }
        ClientEvent::Reconnected { resume, url, .. } => {
            let gap = match resume {
                Resume::Complete => "nothing was missed",
                Resume::Gap => "the relay no longer has the events in between",
            };
            format!("reconnected to {}: {gap}", short(url))
        }
        ClientEvent::WatchGap { watch_id } => {
            format!("watch {}: payments since the disconnect may be missing", id(watch_id))
        }
        ClientEvent::WatchLost { watch_id, error } => {
            format!("watch {} has ended: {}", id(watch_id), short(&error.message))
        }
        ClientEvent::WatchRenewed { watch_id, .. } => {
            format!("watch {} had ended, and was registered again", id(watch_id))
        }
        ClientEvent::MatchesLost(gap) => format!(
            "watch {}: matches {} to {} are lost, watch again from block {}",
            id(&gap.watch_id),
            gap.first_watch_seq,
            gap.last_watch_seq,
            gap.from_height
        ),
        ClientEvent::WatchEnded(ended) => {
            format!("watch {} has ended: {}", id(&ended.watch_id), ended.reason.as_str())
        }
        ClientEvent::Closed { reason } => format!("the connection has ended: {reason}"),
    }
}

/// The message of the relay as JSON; `None` for a change of the connection.
pub(crate) fn json(event: &ClientEvent) -> Option<String> {
    let message = match event.clone() {
        ClientEvent::Notification(notification) => ServerMessage::Notification(*notification),
        ClientEvent::Sync(message) => ServerMessage::Sync(*message),
        ClientEvent::WatchProgress(progress) => ServerMessage::WatchProgress(progress),
        ClientEvent::Error(error) => ServerMessage::Error(error),
        ClientEvent::MatchesLost(gap) => ServerMessage::WatchGap(gap),
        ClientEvent::WatchEnded(ended) => ServerMessage::WatchEnded(ended),
        ClientEvent::Reconnected { relay, .. } => return Some(json_of_relay(&relay)),
        _ => return None,
    };
    Some(encoded(&message))
}

/// The answer to the handshake as JSON.
pub(crate) fn json_of_relay(relay: &HandshakeResponse) -> String {
    encoded(&ServerMessage::HandshakeResponse(relay.clone()))
}

fn encoded(message: &ServerMessage) -> String {
    encode_text(message).unwrap_or_else(|error| format!("{{\"error\":{:?}}}", error.to_string()))
}

fn notified(event: &Event) -> String {
    match event {
        Event::PaymentDetected(payment) => {
            let state = match payment.block_height {
                Some(height) => format!("confirmed in block {height}"),
                None => "in the mempool, unconfirmed".to_owned(),
            };
            format!("payment {} {state}", paid(payment))
        }
        Event::PaymentReverted(payment) => {
            let why = match &payment.replaced_by {
                Some(txid) => format!("replaced by {}", id(txid)),
                None => "no longer in the chain or the mempool".to_owned(),
            };
            format!("payment {} reverted: {why}", paid(payment))
        }
        Event::PaymentConfirmed(payment) => {
            format!("payment {} has {} confirmations", paid(payment), payment.confirmations)
        }
        Event::PaymentSpent(spent) => {
            let state = match spent.block_height {
                Some(height) => format!("in block {height}"),
                None => "in the mempool".to_owned(),
            };
            format!("payment {} spent by {} {state}", output(spent), spender(spent))
        }
        Event::PaymentSpentReverted(spent) => {
            let why = match &spent.replaced_by {
                Some(txid) => format!("replaced by {}", id(txid)),
                None => "no longer in the chain or the mempool".to_owned(),
            };
            format!("payment {} no longer spent by {}: {why}", output(spent), spender(spent))
        }
        Event::BlockMined(block) => format!(
            "block {} {} with {} transactions",
            block.block_height,
            id(&block.block_hash),
            block.transactions
        ),
        Event::BlockDisconnected(block) => format!(
            "block {} {} disconnected by a reorganisation",
            block.block_height,
            id(&block.block_hash)
        ),
        Event::RelayConnected(relay) => format!("relay {} connected", short(&relay.relay_id)),
        Event::RelayDisconnected(relay) => format!("relay {} disconnected", short(&relay.relay_id)),
        Event::Tweaks(tweaks) => format!(
            "tweaks of block {} {}: {} transactions",
            tweaks.block_height,
            id(&tweaks.block_hash),
            tweaks.transactions.len()
        ),
    }
}

/// Amount and output: `0.001 BTC (100000 sats) 5ec2e75e…:0`.
fn paid(payment: &Payment) -> String {
    amount_and_output(
        (&payment.amount, payment.amount_sats, payment.label),
        (&payment.txid, payment.vout),
    )
}

/// The same for an output that is spent.
fn output(spent: &PaymentSpent) -> String {
    amount_and_output(
        (&spent.amount, spent.amount_sats, spent.label),
        (&spent.txid, spent.vout),
    )
}

/// The transaction that spends an output.
fn spender(spent: &PaymentSpent) -> String {
    spent
        .spent_by
        .as_deref()
        .map_or_else(|| "an unknown transaction".to_owned(), id)
}

fn amount_and_output((btc, sats, label): (&str, u64, Option<u32>), (txid, vout): (&str, u32)) -> String {
    let label = label.map_or_else(String::new, |label| format!(", label {label}"));
    format!("{} BTC ({sats} sats{label}) {}:{vout}", short(btc), id(txid))
}

fn id(text: &str) -> String {
    match text.char_indices().nth(ID_CHARS) {
        Some((end, _)) => format!("{}…", short(&text[..end])),
        None => short(text),
    }
}

/// Unix seconds as `2024-12-19T10:00:00Z`.
fn time(seconds: u64) -> String {
    let at = i64::try_from(seconds).map(OffsetDateTime::from_unix_timestamp);
    let text = at.ok().and_then(Result::ok).map(|at| at.format(&Rfc3339));
    text.and_then(Result::ok).unwrap_or_else(|| format!("{seconds} s"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sdk_relay_client::{Disconnect, Notification};

    use super::*;

    const HASH: &str = "00000000000000000002a7c4c1e48d76c5a37902165a270156b7a8d72728a054";
    const TXID: &str = "e36bb5f1a4e1c2bd2d7f4be23bd1a5b9d3a0d6a7f9c0e1b2c3d4e5f60718293a";

    fn event(kind: &str, data: &str) -> ClientEvent {
        let text =
            format!("{{\"notification_type\":{kind:?},\"data\":{data},\"timestamp\":1703001600,\"event_id\":7}}");
        let notification: Notification = serde_json::from_str(&text).unwrap();
        ClientEvent::Notification(Box::new(notification))
    }

    fn payment(height: &str, more: &str) -> String {
        format!(
            "{{\"txid\":{TXID:?},\"block_height\":{height},\"block_hash\":null,\"amount\":\"0.001\",\"address\":\"sp1q\",\"confirmations\":0,\
             \"timestamp\":1703001600,\"fee\":null,\"size\":200,\"vout\":1,\"tweak\":null,\"label\":null,\"watch_id\":null,\
             \"amount_sats\":100000,\"fee_sats\":null{more}}}"
        )
    }

    #[test]
    fn a_line_says_when_what_and_how_much() {
        let block = format!(
            "{{\"block_height\":822000,\"block_hash\":{HASH:?},\"transactions\":3,\"size\":9,\"timestamp\":1703001600,\"difficulty\":1.0,\
             \"merkle_root\":{HASH:?}}}"
        );
        let disconnected = format!(
            "{{\"block_height\":822000,\"block_hash\":{HASH:?},\"previous_block_hash\":{HASH:?},\"timestamp\":1703001600}}"
        );
        let relay =
            "{\"relay_id\":\"other\\u001b[2J\",\"address\":null,\"timestamp\":1,\"connection_id\":\"mesh-other\"}";
        let replaced = payment("null", &format!(",\"replaced_by\":{HASH:?}"));
        let spent = |height: &str, more: &str| {
            format!(
                "{{\"txid\":{TXID:?},\"vout\":1,\"amount\":\"0.001\",\"amount_sats\":100000,\"address\":\"sp1q\",\"label\":7,\
                 \"spent_by\":{HASH:?},\"vin\":0,\"block_height\":{height},\"block_hash\":null,\"confirmations\":0,\
                 \"timestamp\":1703001600,\"watch_id\":null{more}}}"
            )
        };
        for (event, expected) in [
            (
                event("payment_detected", &payment("null", "")),
                "2023-12-19T16:00:00Z  payment 0.001 BTC (100000 sats) e36bb5f1…:1 in the mempool, unconfirmed",
            ),
            (
                event("payment_detected", &payment("822000", "")),
                "2023-12-19T16:00:00Z  payment 0.001 BTC (100000 sats) e36bb5f1…:1 confirmed in block 822000",
            ),
            (
                event("payment_reverted", &replaced),
                "2023-12-19T16:00:00Z  payment 0.001 BTC (100000 sats) e36bb5f1…:1 reverted: replaced by 00000000…",
            ),
            (
                event(
                    "payment_confirmed",
                    &payment("822000", "").replace("\"confirmations\":0", "\"confirmations\":6"),
                ),
                "2023-12-19T16:00:00Z  payment 0.001 BTC (100000 sats) e36bb5f1…:1 has 6 confirmations",
            ),
            (
                event("payment_spent", &spent("null", "")),
                "2023-12-19T16:00:00Z  payment 0.001 BTC (100000 sats, label 7) e36bb5f1…:1 spent by 00000000… in the mempool",
            ),
            (
                event("payment_spent", &spent("822001", "")),
                "2023-12-19T16:00:00Z  payment 0.001 BTC (100000 sats, label 7) e36bb5f1…:1 spent by 00000000… in block 822001",
            ),
            (
                event(
                    "payment_spent_reverted",
                    &spent("null", &format!(",\"replaced_by\":{TXID:?}")),
                ),
                "2023-12-19T16:00:00Z  payment 0.001 BTC (100000 sats, label 7) e36bb5f1…:1 no longer spent by 00000000…: replaced by e36bb5f1…",
            ),
            (
                event("block_mined", &block),
                "2023-12-19T16:00:00Z  block 822000 00000000… with 3 transactions",
            ),
            (
                event("block_disconnected", &disconnected),
                "2023-12-19T16:00:00Z  block 822000 00000000… disconnected by a reorganisation",
            ),
            (
                event("relay_disconnected", relay),
                "2023-12-19T16:00:00Z  relay other\\u{1b}[2J disconnected",
            ),
            (
                ClientEvent::Disconnected {
                    reason: Disconnect::Silent(Duration::from_secs(90)),
                    retry_in: Duration::from_secs(2),
                },
                "disconnected: nothing received for 90s; reconnecting in 2 s",
            ),
        ] {
            assert_eq!(text(&event), expected);
        }
    }

    #[test]
    fn json_is_the_message_of_the_relay() {
        let event = event("payment_detected", &payment("null", ""));
        let message: serde_json::Value = serde_json::from_str(&json(&event).unwrap()).unwrap();
        assert_eq!(message["type"], "notification");
        assert_eq!(message["data"]["amount_sats"], 100_000);
        assert_eq!(message["event_id"], 7);
        let ended = ClientEvent::Closed {
            reason: Disconnect::Silent(Duration::ZERO),
        };
        assert_eq!(json(&ended), None);
    }
}
