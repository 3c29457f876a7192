//! Requests in flight, and matching of responses.

use std::collections::VecDeque;

use sdk_relay_protocol::{ClientMessage, ServerMessage};
use tokio::sync::oneshot;

use crate::RequestError;
use crate::defaults::IN_FLIGHT;

/// A request, and the recipient of its response.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) message: ClientMessage,
    pub(crate) purpose: Purpose,
}

/// Recipient of a response.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// A request of the app.
    App(oneshot::Sender<Result<ServerMessage, RequestError>>),
    /// A watch that is registered again after a reconnect, with the `watch_id` of the app.
    RegisterWatch(String),
    /// A detached watch that is attached to again, with the `watch_id` of the app.
    AttachWatch(String),
    /// A request of the client itself, whose response is ignored.
    Internal,
}

impl Purpose {
    /// Passes the response to the caller, if there is one.
    pub(crate) fn answer(self, answer: Result<ServerMessage, RequestError>) {
        if let Self::App(reply) = self {
            #[expect(clippy::let_underscore_must_use, reason = "the caller may have stopped waiting")]
            let _ = reply.send(answer);
        }
    }
}

/// Requests in the order in which they were sent.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    requests: VecDeque<Request>,
}

impl InFlight {
    /// Whether another may be sent.
    pub(crate) fn has_capacity(&self) -> bool {
        self.requests.len() < IN_FLIGHT
    }

    /// Records a sent request. It stays even if its caller has stopped waiting, so that its late answer is not matched
    /// to the next one.
    pub(crate) fn push(&mut self, request: Request) {
        self.requests.push_back(request);
    }

    /// Removes the request that this message answers. The relay answers in order, so a message without an id answers
    /// the oldest request of its kind.
    pub(crate) fn answered_by(&mut self, answer: &ServerMessage) -> Option<Request> {
        let at = self.requests.iter().position(|r| answers(&r.message, answer))?;
        self.requests.remove(at)
    }

    /// Fails all requests after the end of the connection.
    pub(crate) fn fail_all(&mut self) {
        for request in self.requests.drain(..) {
            let request_name = name(&request.message);
            request
                .purpose
                .answer(Err(RequestError::Disconnected { request: request_name }));
        }
    }
}

/// The request's `type`.
pub(crate) fn name(request: &ClientMessage) -> &'static str {
    match request {
        ClientMessage::Handshake(_) => "handshake",
        ClientMessage::Ping(_) => "ping",
        ClientMessage::Subscribe(_) => "subscribe",
        ClientMessage::Unsubscribe(_) => "unsubscribe",
        ClientMessage::Sync(_) => "sync",
        ClientMessage::Watch(_) => "watch",
        ClientMessage::Unwatch(_) => "unwatch",
        ClientMessage::Attach(_) => "attach",
        ClientMessage::RelayProof(_) => "relay_proof",
        ClientMessage::SyncResponse(_) => "sync_response",
    }
}

fn answers(request: &ClientMessage, answer: &ServerMessage) -> bool {
    use ServerMessage as S;
    match (request, answer) {
        (ClientMessage::Ping(_), S::Pong(_))
        | (ClientMessage::Subscribe(_), S::SubscribeResponse(_))
        | (ClientMessage::Unsubscribe(_), S::UnsubscribeResponse(_)) => true,
        (ClientMessage::Sync(s), S::SyncResponse(r)) => s.message_id == r.in_reply_to,
        (ClientMessage::Watch(w), S::WatchResponse(r)) => w.message_id == r.in_reply_to,
        (ClientMessage::Unwatch(u), S::UnwatchResponse(r)) => u.message_id == r.in_reply_to,
        (ClientMessage::Attach(a), S::AttachResponse(r)) => a.message_id == r.in_reply_to,
        (request, S::Error(e)) => message_id(request) == e.in_reply_to.as_deref(),
        _ => false,
    }
}

fn message_id(request: &ClientMessage) -> Option<&str> {
    match request {
        ClientMessage::Sync(s) => Some(&s.message_id),
        ClientMessage::Watch(w) => w.message_id.as_deref(),
        ClientMessage::Unwatch(u) => u.message_id.as_deref(),
        ClientMessage::Attach(a) => a.message_id.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use sdk_relay_protocol::{ErrorCode, ErrorMessage, Ping, Pong, Subscribe, Unwatch};

    use super::*;

    fn error(in_reply_to: Option<&str>) -> ServerMessage {
        ServerMessage::Error(ErrorMessage {
            code: ErrorCode::RateLimited,
            message: "slower".into(),
            in_reply_to: in_reply_to.map(Into::into),
            timestamp: 1,
        })
    }

    fn send(in_flight: &mut InFlight, message: ClientMessage) {
        in_flight.push(Request {
            message,
            purpose: Purpose::Internal,
        });
    }

    #[test]
    fn an_answer_is_matched_to_its_request() {
        let mut in_flight = InFlight::default();
        let unwatch = |id: &str| {
            ClientMessage::Unwatch(Unwatch {
                watch_id: "w".into(),
                message_id: Some(id.into()),
            })
        };
        send(&mut in_flight, unwatch("a"));
        send(&mut in_flight, unwatch("b"));
        send(&mut in_flight, ClientMessage::Ping(Ping::default()));
        let subscribe = Subscribe {
            subscriptions: vec![],
            from_height: None,
            client_id: None,
            timestamp: None,
        };
        send(&mut in_flight, ClientMessage::Subscribe(subscribe));

        let found = in_flight.answered_by(&error(Some("b"))).unwrap();
        assert_eq!(found.message, unwatch("b"));
        // Without an id: the oldest of those without one.
        let found = in_flight.answered_by(&error(None)).unwrap();
        assert_eq!(name(&found.message), "ping");
        let pong = ServerMessage::Pong(Pong {
            relay_id: "r".into(),
            timestamp: 1,
        });
        assert!(in_flight.answered_by(&pong).is_none());
        assert!(in_flight.answered_by(&error(Some("c"))).is_none());
        assert_eq!(name(&in_flight.answered_by(&error(None)).unwrap().message), "subscribe");
        assert_eq!(in_flight.requests.len(), 1);
    }

    #[test]
    fn is_bounded() {
        let mut in_flight = InFlight::default();
        for _ in 0..IN_FLIGHT {
            assert!(in_flight.has_capacity());
            send(&mut in_flight, ClientMessage::Ping(Ping::default()));
        }
        assert!(!in_flight.has_capacity());
    }
}
