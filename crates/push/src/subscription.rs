//! A subscription of a client with its push service.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sdk_relay_outbound::{Target, WrongTarget};
use zeroize::Zeroizing;

use crate::encryption::Keys;

/// Where a client is reached, and the keys to encrypt for it: `PushSubscription.toJSON()` of a browser, or what a
/// UnifiedPush library gives. `Debug` shows the origin of the endpoint only: whoever knows all of it can send messages.
pub struct Subscription {
    pub(crate) target: Target,
    pub(crate) keys: Keys,
}

/// Why a subscription is not accepted. The text is for the client that has sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongSubscription {
    /// The endpoint is not called.
    #[error("push.endpoint: {0}")]
    Endpoint(WrongTarget),
    /// The public key is none.
    #[error("push.keys.p256dh: expected a public key of the curve P-256, 65 bytes in base64url")]
    PublicKey,
    /// The authentication secret is none.
    #[error("push.keys.auth: expected 16 bytes in base64url")]
    Auth,
}

impl Subscription {
    /// Checks a subscription. `allow_http`: whether its endpoint may be without TLS.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(endpoint: &str, p256dh: &str, auth: &str, allow_http: bool) -> Result<Self, WrongSubscription> {
        let target = Target::parse(endpoint, allow_http).map_err(WrongSubscription::Endpoint)?;
        let keys = Keys {
            public: decoded(p256dh).ok_or(WrongSubscription::PublicKey)?,
            auth: Zeroizing::new(decoded(auth).ok_or(WrongSubscription::Auth)?),
        };
        if !keys.is_valid() {
            return Err(WrongSubscription::PublicKey);
        }
        Ok(Self { target, keys })
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").field(&self.target.origin()).finish()
    }
}

/// Base64url, with or without padding.
fn decoded<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?);
    bytes.as_slice().try_into().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The keys of RFC 8291, section 5.
    pub(crate) const P256DH: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    pub(crate) const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    #[test]
    fn a_subscription_of_a_browser() {
        let endpoint = "https://updates.push.services.mozilla.com/wpush/v2/gAAAAA";
        let padded = [format!("{P256DH}="), format!("{AUTH}==")];
        for [p256dh, auth] in [[P256DH, AUTH], [padded[0].as_str(), padded[1].as_str()]] {
            let subscription = Subscription::new(endpoint, p256dh, auth, false).unwrap();
            let shown = format!("{subscription:?}");
            assert_eq!(shown, "Subscription(\"https://updates.push.services.mozilla.com\")");
        }
    }

    #[test]
    fn each_wrong_part_has_its_reason() {
        let endpoint = "https://push.example/x";
        // A byte of the point is another one.
        let no_point = P256DH.replace("BCV", "BCW");
        for (endpoint, p256dh, auth, expected) in [
            (
                "http://push.example/x",
                P256DH,
                AUTH,
                WrongSubscription::Endpoint(WrongTarget::Scheme),
            ),
            ("", P256DH, AUTH, WrongSubscription::Endpoint(WrongTarget::Scheme)),
            (endpoint, "", AUTH, WrongSubscription::PublicKey),
            (endpoint, &P256DH[1..], AUTH, WrongSubscription::PublicKey),
            (endpoint, no_point.as_str(), AUTH, WrongSubscription::PublicKey),
            (endpoint, "?", AUTH, WrongSubscription::PublicKey),
            (endpoint, AUTH, AUTH, WrongSubscription::PublicKey),
            (endpoint, P256DH, "", WrongSubscription::Auth),
            (endpoint, P256DH, P256DH, WrongSubscription::Auth),
            (endpoint, P256DH, "BTBZMqHH6r4Tts7J_aSI", WrongSubscription::Auth),
        ] {
            let found = Subscription::new(endpoint, p256dh, auth, false).map(|_| ());
            assert_eq!(found, Err(expected), "{endpoint} {p256dh} {auth}");
        }
    }
}
