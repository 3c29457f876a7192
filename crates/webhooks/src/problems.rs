//! What an operator has to know, for `GET /health`.

use std::time::Duration;

use sdk_relay_platform::clock::date_and_minute;

use crate::done::Lane;
use crate::endpoint::Endpoint;

/// An endpoint that has failed for this long is a problem for the operator. Its restart takes less.
const PROBLEM_AFTER: Duration = Duration::from_secs(300);

/// A problem of this endpoint, in one sentence.
pub(crate) fn problem(endpoint: &Endpoint) -> Option<String> {
    let name = endpoint.name();
    let position = endpoint.position();
    if let Some(disabled) = position.disabled {
        let since = date_and_minute(Duration::from_secs(disabled.since));
        return Some(format!(
            "the webhook {name} is disabled since {since}, and its events wait: {}; when its endpoint works, POST /webhooks/{name}/enable continues",
            disabled.reason
        ));
    }
    let status = endpoint.status();
    let (lane, failing) = status.failing(position.replay.is_some())?;
    if failing.began.elapsed() < PROBLEM_AFTER {
        return None;
    }
    let since = date_and_minute(Duration::from_secs(failing.since));
    let error = &failing.error;
    if lane == Lane::Replay {
        return Some(format!(
            "the replay of the webhook {name} has failed since {since}: {error}; the relay tries again by itself, and POST /webhooks/{name}/replay/cancel ends it"
        ));
    }
    let (what, after) = match failing.event_id {
        Some(id) => (format!("event {id}"), id),
        None => ("this message of type gap".to_owned(), position.after),
    };
    let event = format!("; if the endpoint refuses only {what}, the body {{\"after_event\":{after}}} skips it");
    Some(format!(
        "the webhook {name} has failed since {since}, and its events wait: {error}; the relay tries again by itself, and POST /webhooks/{name}/enable at once{event}"
    ))
}
