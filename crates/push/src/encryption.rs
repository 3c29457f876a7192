//! Message encryption for Web Push (RFC 8291), in the content coding `aes128gcm` (RFC 8188).

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

/// Bytes of a public key, uncompressed (SEC 1).
pub(crate) const PUBLIC_KEY: usize = 65;
/// Bytes of the authentication secret of a subscription.
pub(crate) const AUTH: usize = 16;
const SALT: usize = 16;
const NONCE: usize = 12;
const TAG: usize = 16;
/// Size of a record, which a message has one of.
const RECORD: u32 = 4096;
/// Longest content of a message: a record without its tag and the delimiter, and a push service accepts 4,096 bytes in
/// all (RFC 8030, section 7.2).
const MOST: usize = 3993;
/// Content is padded up to this length, so that the push service learns nothing of it.
const PADDED: usize = 192;

/// The keys of a subscription.
pub(crate) struct Keys {
    /// `p256dh`.
    pub(crate) public: [u8; PUBLIC_KEY],
    /// `auth`.
    pub(crate) auth: Zeroizing<[u8; AUTH]>,
}

/// A message cannot be encrypted: it is too long, or the public key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message cannot be encrypted for this subscription")]
pub(crate) struct EncryptionError;

impl From<Unspecified> for EncryptionError {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

impl Keys {
    /// The body of a push message with this content. Each message has a key pair and a salt of its own.
    pub(crate) fn encrypt(&self, content: &[u8]) -> Result<Vec<u8>, EncryptionError> {
        if content.len() > MOST {
            return Err(EncryptionError);
        }
        let rng = SystemRandom::new();
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &rng)?;
        let own_public = own.compute_public_key()?;
        let peer = UnparsedPublicKey::new(&ECDH_P256, &self.public);
        let secret = agree_ephemeral(own, &peer, |shared| {
            keying_material(shared, &*self.auth, &self.public, own_public.as_ref())
        })??;
        let mut salt = [0; SALT];
        rng.fill(&mut salt)?;
        let mut body = header(salt, RECORD, own_public.as_ref())?;
        let padding = PADDED.saturating_sub(content.len());
        body.extend(Coding::new(&*secret, &salt)?.record(0, content, padding, true)?);
        Ok(body)
    }

    /// Whether the public key is a point of the curve.
    pub(crate) fn is_valid(&self) -> bool {
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new());
        let peer = UnparsedPublicKey::new(&ECDH_P256, &self.public);
        own.and_then(|own| agree_ephemeral(own, &peer, |_| ())).is_ok()
    }
}

/// Length of an output of HKDF.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The input keying material of a message (RFC 8291, section 3.3).
fn keying_material(shared: &[u8], auth: &[u8], peer: &[u8], own: &[u8]) -> Result<Zeroizing<[u8; 32]>, Unspecified> {
    let prk = Salt::new(HKDF_SHA256, auth).extract(shared);
    let mut material = Zeroizing::new([0; 32]);
    prk.expand(&[b"WebPush: info\0".as_slice(), peer, own], Length(32))?
        .fill(&mut *material)?;
    Ok(material)
}

/// The header of the coding (RFC 8188, section 2.1).
fn header(salt: [u8; SALT], record: u32, key_id: &[u8]) -> Result<Vec<u8>, EncryptionError> {
    let length = u8::try_from(key_id.len()).map_err(|_| EncryptionError)?;
    Ok([&salt[..], &record.to_be_bytes(), &[length], key_id].concat())
}

/// The keys of the records (RFC 8188, sections 2.2 and 2.3).
struct Coding {
    key: LessSafeKey,
    nonce: [u8; NONCE],
}

impl Coding {
    fn new(material: &[u8], salt: &[u8]) -> Result<Self, Unspecified> {
        let prk = Salt::new(HKDF_SHA256, salt).extract(material);
        let key = UnboundKey::from(prk.expand(&[b"Content-Encoding: aes128gcm\0".as_slice()], &AES_128_GCM)?);
        let mut nonce = [0; NONCE];
        prk.expand(&[b"Content-Encoding: nonce\0".as_slice()], Length(NONCE))?
            .fill(&mut nonce)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            nonce,
        })
    }

    /// Record number `sequence`, with this many zeros behind its content.
    fn record(&self, sequence: u32, content: &[u8], padding: usize, is_last: bool) -> Result<Vec<u8>, Unspecified> {
        let mut record = Vec::with_capacity(content.len() + 1 + padding + TAG);
        record.extend_from_slice(content);
        record.push(if is_last { 2 } else { 1 });
        record.resize(record.len() + padding, 0);
        let mut nonce = self.nonce;
        for (byte, sequence) in nonce.iter_mut().rev().zip(sequence.to_le_bytes()) {
            *byte ^= sequence;
        }
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record)?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn array<const N: usize>(text: &str) -> [u8; N] {
        bytes(text).try_into().unwrap()
    }

    /// RFC 8188, section 3.1.
    #[test]
    fn a_record_of_the_standard() {
        let salt = array("I1BsxtFttlv3u_Oo94xnmw");
        let coding = Coding::new(&bytes("yqdlZ-tYemfogSmv7Ws5PQ"), &salt).unwrap();
        let mut body = header(salt, 4096, b"").unwrap();
        body.extend(coding.record(0, b"I am the walrus", 0, true).unwrap());
        let expected = "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg";
        assert_eq!(URL_SAFE_NO_PAD.encode(body), expected);
    }

    /// RFC 8188, section 3.2: two records, the first with a byte of padding, and the id of a key.
    #[test]
    fn two_records_of_the_standard() {
        let salt = array("uNCkWiNYzKTnBN9ji3-qWA");
        let coding = Coding::new(&bytes("BO3ZVPxUlnLORbVGMpbT1Q"), &salt).unwrap();
        let mut body = header(salt, 25, b"a1").unwrap();
        body.extend(coding.record(0, b"I am th", 1, false).unwrap());
        body.extend(coding.record(1, b"e walrus", 0, true).unwrap());
        let expected =
            "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA";
        assert_eq!(URL_SAFE_NO_PAD.encode(body), expected);
    }

    /// RFC 8291, section 5, with the shared secret of its appendix A.
    #[test]
    fn a_push_message_of_the_standard() {
        let auth = bytes("BTBZMqHH6r4Tts7J_aSIgg");
        let peer = bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let own = bytes("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8");
        let shared = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let material = keying_material(&shared, &auth, &peer, &own).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(*material),
            "S4lYMb_L0FxCeq0WhDx813KgSYqU26kOyzWUdsXYyrg"
        );
        let salt = array("DGv6ra1nlYgDCS1FRnbzlw");
        let mut body = header(salt, 4096, &own).unwrap();
        let text = b"When I grow up, I want to be a watermelon";
        body.extend(
            Coding::new(&*material, &salt)
                .unwrap()
                .record(0, text, 0, true)
                .unwrap(),
        );
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(URL_SAFE_NO_PAD.encode(body), expected);
    }

    /// What a browser does, with a key that is used once.
    fn decrypt(own: EphemeralPrivateKey, auth: &[u8], body: &[u8]) -> Vec<u8> {
        let (salt, rest) = body.split_at(SALT);
        assert_eq!(
            rest[..5],
            [0, 0, 16, 0, 65],
            "one record of 4,096 bytes; the id is a public key"
        );
        let (sender, record) = rest[5..].split_at(PUBLIC_KEY);
        let own_public = own.compute_public_key().unwrap();
        let peer = UnparsedPublicKey::new(&ECDH_P256, sender);
        let material = agree_ephemeral(own, &peer, |shared| {
            keying_material(shared, auth, own_public.as_ref(), sender)
        });
        let coding = Coding::new(&*material.unwrap().unwrap(), salt).unwrap();
        let mut record = record.to_vec();
        let nonce = Nonce::assume_unique_for_key(coding.nonce);
        let content = coding.key.open_in_place(nonce, Aad::empty(), &mut record).unwrap();
        let end = content.iter().rposition(|byte| *byte != 0).unwrap();
        assert_eq!(content[end], 2, "the last record");
        content[..end].to_vec()
    }

    #[test]
    fn a_client_decrypts_what_was_encrypted_for_it_and_short_messages_have_one_length() {
        let mut lengths = Vec::new();
        for content in [
            &b""[..],
            b"{\"watch_id\":\"w\",\"count\":1}",
            &[b'x'; 192],
            &[b'x'; MOST],
        ] {
            let own = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
            let public = own.compute_public_key().unwrap().as_ref().try_into().unwrap();
            let auth = Zeroizing::new([7; AUTH]);
            let keys = Keys { public, auth };
            assert!(keys.is_valid());
            let body = keys.encrypt(content).unwrap();
            assert!(body.len() <= 4096);
            lengths.push(body.len());
            assert_eq!(decrypt(own, &[7; AUTH], &body), content);
            assert_ne!(
                keys.encrypt(content).unwrap(),
                body,
                "a key of its own for each message"
            );
        }
        assert!(lengths[0] == lengths[1] && lengths[1] == lengths[2] && lengths[3] == 4096);
    }

    #[test]
    fn what_is_no_point_of_the_curve_and_what_is_too_long_is_an_error() {
        let mut public = [9; PUBLIC_KEY];
        public[0] = 4;
        let auth = Zeroizing::new([7; AUTH]);
        let keys = Keys { public, auth };
        assert!(!keys.is_valid());
        assert_eq!(keys.encrypt(b"x"), Err(EncryptionError));
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        let public = own.compute_public_key().unwrap().as_ref().try_into().unwrap();
        let keys = Keys { public, ..keys };
        assert_eq!(keys.encrypt(&[b'x'; MOST + 1]), Err(EncryptionError));
    }
}
