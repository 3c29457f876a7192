//! Signatures of messages, as Standard Webhooks defines them: `v1` (HMAC-SHA256) and `v1a` (ed25519).

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sdk_relay_config::Secret;
use zeroize::Zeroizing;

/// Some services leave out the padding of secrets.
const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Bytes of the private part of a key of ed25519, which are its first ones where the public part follows.
const SEED: usize = 32;

/// Why a secret is no key. The error does not contain it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongSecret(
    /// What is wrong.
    pub &'static str,
);

/// The keys of an endpoint: a message has a signature of each.
pub(crate) struct Keys(Vec<Key>);

enum Key {
    Symmetric(hmac::Key),
    Asymmetric(Box<Ed25519KeyPair>),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    pub(crate) fn new(secrets: &[Secret]) -> Result<Self, WrongSecret> {
        let keys = secrets.iter().map(|secret| key(secret.expose()));
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// `webhook-signature` for this message.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend_from_slice(body);
        let signatures = self.0.iter().map(|key| match key {
            Key::Symmetric(key) => format!("v1,{}", STANDARD.encode(hmac::sign(key, &signed))),
            Key::Asymmetric(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(&signed))),
        });
        signatures.collect::<Vec<_>>().join(" ")
    }

    /// The kinds of the signatures, in their order.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let kind = |key: &Key| match key {
            Key::Symmetric(_) => "v1",
            Key::Asymmetric(_) => "v1a",
        };
        self.0.iter().map(|key| kind(key).to_owned()).collect()
    }

    /// The public keys of the signatures `v1a`: `whpk_…`.
    pub(crate) fn public_keys(&self) -> Vec<String> {
        let public = |key: &Key| match key {
            Key::Symmetric(_) => None,
            Key::Asymmetric(pair) => Some(format!("whpk_{}", STANDARD.encode(pair.public_key()))),
        };
        self.0.iter().filter_map(public).collect()
    }
}

fn key(text: &str) -> Result<Key, WrongSecret> {
    let decode = |base64: &str| STANDARD.decode(base64).map(Zeroizing::new);
    if let Some(base64) = text.strip_prefix("whsec_") {
        let bytes = decode(base64).map_err(|_| WrongSecret("a secret after whsec_ is not base64"))?;
        return Ok(Key::Symmetric(hmac::Key::new(hmac::HMAC_SHA256, &bytes)));
    }
    let base64 = text
        .strip_prefix("whsk_")
        .ok_or(WrongSecret("a secret begins with whsec_ or whsk_"))?;
    let bytes = decode(base64).map_err(|_| WrongSecret("a secret after whsk_ is not base64"))?;
    let pair = match bytes.split_at_checked(SEED) {
        Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
        Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
        None => return Err(WrongSecret("a secret after whsk_ has 32 or 64 bytes")),
    };
    let pair = pair.map_err(|_| WrongSecret("the two halves of a secret after whsk_ are not one key of ed25519"))?;
    Ok(Key::Asymmetric(Box::new(pair)))
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    fn keys(secrets: &[&str]) -> Result<Keys, WrongSecret> {
        let secrets: Vec<_> = secrets.iter().map(|text| Secret::new((*text).to_owned())).collect();
        Keys::new(&secrets)
    }

    /// The values of the tests of the reference libraries.
    #[test]
    fn the_signature_of_the_reference() {
        let keys = keys(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
        let signature = keys.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// RFC 8032, section 7.1, test 1: the key pair.
    #[test]
    fn a_message_has_a_signature_of_each_key() {
        let seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
        let both = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
        let [short, long] = [seed, both].map(|text| format!("whsk_{text}"));
        let public = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        let keys = keys(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &short, &long]).unwrap();
        assert_eq!(keys.kinds(), ["v1", "v1a", "v1a"]);
        assert_eq!(keys.public_keys(), [public, public]);
        let header = keys.sign("evt_1", 7, b"{}");
        let signatures: Vec<_> = header.split(' ').collect();
        assert!(signatures[0].starts_with("v1,") && signatures[1] == signatures[2]);
        let signature = STANDARD.decode(signatures[1].strip_prefix("v1a,").unwrap()).unwrap();
        let key = UnparsedPublicKey::new(&ED25519, STANDARD.decode(&public[5..]).unwrap());
        key.verify(b"evt_1.7.{}", &signature).unwrap();
        assert_eq!(format!("{keys:?}"), "Keys(…)");
    }

    #[test]
    fn what_is_no_key_is_an_error_without_it() {
        // The public half of another key.
        let other = format!("whsk_{}", STANDARD.encode([[7; 32], [9; 32]].concat()));
        for text in ["MfKQ9r8G", "whsec_?", "whsk_?", "whsk_MfKQ9r8G", &other] {
            let error = keys(&[text]).unwrap_err().to_string();
            assert!(!error.contains("MfKQ") && !error.is_empty(), "{error}");
        }
    }
}
