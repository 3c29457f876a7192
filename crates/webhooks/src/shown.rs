//! What `GET /webhooks` shows.

use sdk_relay_protocol::http::{Webhook, WebhookState};

use crate::endpoint::Endpoint;

/// The state of this endpoint, without a secret. `newest` is the id of the newest event.
pub(crate) fn shown(endpoint: &Endpoint, newest: u64) -> Webhook {
    let position = endpoint.position();
    let status = endpoint.status();
    let failing = status.failing(position.replay.is_some()).map(|(_, failing)| failing);
    let failing = failing.filter(|_| position.disabled.is_none());
    Webhook {
        name: endpoint.name().to_owned(),
        url: endpoint.config.url.to_string(),
        state: match (&position.disabled, failing) {
            (Some(_), _) => WebhookState::Disabled,
            (None, Some(_)) => WebhookState::Failing,
            (None, None) => WebhookState::Active,
        },
        events: endpoint.config.events.iter().map(|kind| (*kind).to_owned()).collect(),
        signatures: endpoint.keys.kinds(),
        public_keys: endpoint.keys.public_keys(),
        after_event: position.after,
        lag: newest.saturating_sub(position.after),
        deliveries: status.deliveries,
        failures: status.failures,
        last_delivery: status.last_delivery,
        recent_failures: status.recent.iter().cloned().collect(),
        failing_since: failing.map(|failing| failing.since),
        next_attempt: failing.map(|failing| failing.next_attempt),
        disabled: position.disabled,
        replay: position.replay,
    }
}
