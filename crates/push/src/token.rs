//! The token of a request to a push service (VAPID, RFC 8292).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::error::Unspecified;

use crate::key::PushKey;

/// How long a token holds. A push service refuses more than 24 h; a machine whose clock is wrong by hours is not
/// refused.
const SECONDS: u64 = 12 * 3600;
/// `{"typ":"JWT","alg":"ES256"}`
const HEADER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9";

/// The value of `Authorization`, for a push service with this origin. `subject` is where its operator reaches that of
/// the relay; it has no quotation marks or backslashes.
pub(crate) fn authorization(key: &PushKey, origin: &str, subject: &str, now: u64) -> Result<String, Unspecified> {
    let signed = claims(origin, subject, now.saturating_add(SECONDS));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())?);
    Ok(format!("vapid t={signed}.{signature}, k={}", key.public()))
}

/// Header and claims. The texts in them need no escapes: an origin has ASCII letters, digits and `-._:[]` only.
fn claims(origin: &str, subject: &str, expires: u64) -> String {
    let claims = format!(r#"{{"aud":"{origin}","exp":{expires},"sub":"{subject}"}}"#);
    format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims))
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    /// RFC 8292, section 2.4.
    #[test]
    fn the_claims_of_the_standard() {
        let signed = claims("https://push.example.net", "mailto:push@example.com", 1_453_523_768);
        assert_eq!(
            signed,
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0"
        );
        verify(
            &signed,
            "i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA",
            "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs",
        );
    }

    fn verify(signed: &str, signature: &str, key: &str) {
        let [signature, key] = [signature, key].map(|text| URL_SAFE_NO_PAD.decode(text).unwrap());
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(signed.as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn a_push_service_verifies_the_token_with_the_key_beside_it() {
        let key = PushKey::from_pkcs8(PushKey::generate().unwrap().as_ref()).unwrap();
        let value = authorization(&key, "https://push.example:8443", "https://relay.example", 1000).unwrap();
        let (token, public) = value.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        assert_eq!(public, key.public());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        verify(signed, signature, public);
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        let expected =
            serde_json::json!({"aud": "https://push.example:8443", "exp": 44_200, "sub": "https://relay.example"});
        assert_eq!(claims, expected);
        let header: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(HEADER).unwrap()).unwrap();
        assert_eq!(header, serde_json::json!({"typ": "JWT", "alg": "ES256"}));
    }
}
