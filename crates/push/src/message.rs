//! A push message: what the client gets, and the request to its push service.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::digest::{SHA256, digest};
use sdk_relay_outbound::Request;
use sdk_relay_protocol::encode;
use serde::Serialize;

use crate::key::PushKey;
use crate::subscription::Subscription;
use crate::token::authorization;

/// How long the push service keeps a message for a device that it does not reach: a day. The matches wait at the relay
/// for longer than most devices are off.
const TTL: &str = "86400";
/// Wakes a phone that saves energy: a payment is what its owner waits for.
const URGENCY: &str = "high";
/// Characters of a topic (RFC 8030, section 5.4: at most 32).
const TOPIC: usize = 24;

/// The content: that something waits, and not what.
#[derive(Debug, Serialize)]
struct Content<'a> {
    watch_id: &'a str,
    /// Matches that the client has not released.
    count: u64,
}

/// A message cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a push message cannot be made: the keys of the subscription, or the system's randomness, cannot be used")]
pub(crate) struct MessageError;

/// The request with the message for a watch.
pub(crate) fn request(
    key: &PushKey,
    subject: &str,
    subscription: &Subscription,
    (watch_id, count): (&str, u64),
    now: u64,
) -> Result<Request, MessageError> {
    let content = encode(&Content { watch_id, count }).map_err(|_| MessageError)?;
    let body = subscription.keys.encrypt(&content).map_err(|_| MessageError)?;
    let token = authorization(key, &subscription.target.origin(), subject, now).map_err(|_| MessageError)?;
    let value = |text: String| HeaderValue::try_from(text).map_err(|_| MessageError);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value(token)?);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(HeaderName::from_static("ttl"), HeaderValue::from_static(TTL));
    headers.insert(HeaderName::from_static("urgency"), HeaderValue::from_static(URGENCY));
    headers.insert(HeaderName::from_static("topic"), value(topic(watch_id))?);
    Ok(Request {
        target: subscription.target.clone(),
        headers,
        body: Bytes::from(body),
    })
}

/// The topic of a watch: a message replaces the one before that has not reached the device. The push service does not
/// learn the id of the watch.
fn topic(watch_id: &str) -> String {
    let mut topic = URL_SAFE_NO_PAD.encode(digest(&SHA256, watch_id.as_bytes()));
    topic.truncate(TOPIC);
    topic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::tests::{AUTH, P256DH};

    #[test]
    fn a_request_tells_the_push_service_nothing_of_the_watch() {
        let key = PushKey::from_pkcs8(PushKey::generate().unwrap().as_ref()).unwrap();
        let subscription = Subscription::new("https://push.example/secret", P256DH, AUTH, false).unwrap();
        let make = |watch, count| request(&key, "mailto:a@b.example", &subscription, (watch, count), 0).unwrap();
        let (one, later, other) = (make("watch-1", 1), make("watch-1", 1234), make("watch-2", 1));
        for (name, value) in [
            ("content-encoding", "aes128gcm"),
            ("content-type", "application/octet-stream"),
            ("ttl", "86400"),
            ("urgency", "high"),
        ] {
            assert_eq!(one.headers.get(name).unwrap(), value);
        }
        let topic = |request: &Request| request.headers.get("topic").unwrap().to_str().unwrap().to_owned();
        assert_eq!(topic(&one), topic(&later));
        assert_ne!(topic(&one), topic(&other));
        assert!(topic(&one).len() == TOPIC && !topic(&one).contains("watch"));
        assert_eq!(one.body.len(), later.body.len());
        assert!(
            one.headers
                .get(AUTHORIZATION)
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("vapid t=ey")
        );
    }

    #[test]
    fn the_content_is_thin() {
        let content = encode(&Content {
            watch_id: "w",
            count: 3,
        });
        assert_eq!(content.unwrap(), br#"{"watch_id":"w","count":3}"#);
    }
}
