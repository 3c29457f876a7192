//! The key with which the relay identifies itself to push services.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::error::{KeyRejected, Unspecified};
use ring::pkcs8::Document;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

/// A key pair on the curve P-256, for ECDSA (RFC 8292). `Debug` shows the public key only.
pub struct PushKey {
    pair: EcdsaKeyPair,
    rng: SystemRandom,
    public: String,
}

impl PushKey {
    /// A new one, as PKCS #8.
    pub(crate) fn generate() -> Result<Document, Unspecified> {
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
    }

    pub(crate) fn from_pkcs8(document: &[u8]) -> Result<Self, KeyRejected> {
        let rng = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document, &rng)?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key());
        Ok(Self { pair, rng, public })
    }

    /// The public key in base64url, as browsers take it: `applicationServerKey`.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// A signature of 64 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<impl AsRef<[u8]> + use<>, Unspecified> {
        self.pair.sign(&self.rng, message)
    }
}

impl fmt::Debug for PushKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PushKey").field(&self.public).finish()
    }
}
