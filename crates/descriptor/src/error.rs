//! Why a descriptor is refused.

/// Longest descriptor, in bytes. The longest useful one, two extended keys with origins and paths, has about 400.
pub const MAX_LENGTH: usize = 1_000;

/// Why a descriptor is refused. It contains no part of the descriptor but the name of an annotation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// Longer than any useful descriptor.
    #[error("longer than {MAX_LENGTH} characters")]
    TooLong,
    /// A character that no descriptor has.
    #[error("has a character that descriptors do not have: copy it again")]
    Character,
    /// BIP380.
    #[error("the checksum after # does not match: a character is wrong or missing")]
    Checksum,
    /// Something else, such as a descriptor of another kind.
    #[error("is not a silent-payment descriptor: expected sp(…), from the export of the wallet")]
    NotSilent,
    /// BIP380, "Key Expressions".
    #[error("the key origin is wrong: expected [FINGERPRINT/PATH], such as [d34db33f/352h/0h/0h]")]
    Origin,
    /// The wallet has exported the form that can spend.
    #[error(
        "has the private key for spending, which must never leave the wallet: export the form for scanning (spscan1…)"
    )]
    Spends,
    /// BIP392: a single key is one of the two encoded ones.
    #[error("has a single key that is not spscan1… or tspscan1…")]
    NotEncoded,
    /// Neither bech32m nor of the right length.
    #[error("the key spscan1… is wrong: a character is wrong or missing")]
    Encoded,
    /// A version that does not exist yet.
    #[error("the key spscan1… has version {0}: expected 0")]
    Version(u8),
    /// Zero, or not below the order of the curve.
    #[error("the scan key is not a valid private key")]
    ScanKey,
    /// Not a point on the curve.
    #[error("the spend key is not a valid public key")]
    SpendKey,
    /// BIP392: the first of two keys.
    #[error("the first key must be a private key for scanning: WIF (compressed) or xprv/…")]
    TwoKeysScan,
    /// The second of two keys.
    #[error("the second key must be one compressed public key: in hex, or xpub/…, without * and without <…>")]
    TwoKeysSpend,
    /// A spend key of several signers.
    #[error("musig() is not supported: give the aggregated key in hex")]
    Musig,
    /// The keys are of different networks.
    #[error("one key is of the main network and the other of a test network")]
    Networks,
    /// BIP393, "Annotation Expressions".
    #[error("the annotations after ? are wrong: expected name=number, joined by &")]
    Annotation,
    /// BIP393.
    #[error("the annotation {0} is there twice")]
    Twice(String),
    /// More than a height or a label can be.
    #[error("the annotation {0} is too large: expected at most {max}", max = u32::MAX)]
    TooLarge(String),
}
