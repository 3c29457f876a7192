//! The fast engine against libsecp256k1: arbitrary rows, points of small scalars and their opposites, payments, bytes
//! that are no point.
#![no_main]

use arbitrary::Arbitrary;
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use libfuzzer_sys::fuzz_target;
use sdk_relay_bip352::{Engine, Fast, Libsecp256k1, Prepared, Receiver, ScanKey, StoredRow};

/// A secret key: near zero, near the order, near the square root of one (the endomorphism's λ), or any.
#[derive(Arbitrary, Clone, Debug)]
enum Key {
    Small(u8),
    Negative(u8),
    Lambda(bool),
    Any([u8; 32]),
}

impl Key {
    fn secret(&self) -> Option<SecretKey> {
        let small = |n: u8| {
            let mut bytes = [0; 32];
            bytes[31] = n.max(1);
            SecretKey::from_slice(&bytes).ok()
        };
        const LAMBDA: [u8; 32] = [
            0x53, 0x63, 0xad, 0x4c, 0xc0, 0x5c, 0x30, 0xe0, 0xa5, 0x26, 0x1c, 0x02, 0x88, 0x12, 0x64, 0x5a, 0x12, 0x2e,
            0x22, 0xea, 0x20, 0x81, 0x66, 0x78, 0xdf, 0x02, 0x96, 0x7c, 0x1b, 0x23, 0xbd, 0x72,
        ];
        match self {
            Self::Small(n) => small(*n),
            Self::Negative(n) => small(*n).map(SecretKey::negate),
            Self::Lambda(negative) => {
                let lambda = SecretKey::from_slice(&LAMBDA).ok()?;
                Some(if *negative { lambda.negate() } else { lambda })
            }
            Self::Any(bytes) => SecretKey::from_slice(bytes).ok(),
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Point {
    Of(Key),
    Bytes(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Out {
    X([u8; 32]),
    /// The x coordinate of a point.
    Of(Key),
    /// A payment to the wallet with this index, unlabelled.
    Payment(u8),
}

#[derive(Arbitrary, Debug)]
struct Input {
    /// Scan key, spend key, labels.
    wallets: Vec<(Key, Key, u8)>,
    rows: Vec<(Point, Vec<Out>)>,
}

/// What the wallet would find at k = 0 in a transaction with this tweak.
fn payment(tweak: &[u8; 33], scan: &SecretKey, spend: &PublicKey) -> Option<[u8; 32]> {
    use bitcoin::hashes::{Hash as _, sha256};
    let secp = Secp256k1::new();
    let tag = sha256::Hash::hash(b"BIP0352/SharedSecret").to_byte_array();
    let shared = PublicKey::from_slice(tweak)
        .ok()?
        .mul_tweak(&secp, &(*scan).into())
        .ok()?
        .serialize();
    let hash = sha256::Hash::hash(&[&tag[..], &tag[..], &shared[..], &[0; 4][..]].concat());
    let t = SecretKey::from_slice(&hash.to_byte_array()).ok()?;
    let paid = spend.combine(&t.public_key(&secp)).ok()?;
    Some(paid.x_only_public_key().0.serialize())
}

fuzz_target!(|input: Input| {
    let secp = Secp256k1::new();
    let wallets: Vec<(SecretKey, PublicKey, Prepared)> = (input.wallets.iter().take(20))
        .filter_map(|(scan, spend, labels)| {
            let (scan, spend) = (scan.secret()?, spend.secret()?.public_key(&secp));
            let receiver = Receiver::new(ScanKey::from(scan), spend, 1..=u32::from(labels % 4)).ok()?;
            Some((scan, spend, Fast::new().prepare(receiver)))
        })
        .collect();
    let rows: Vec<([u8; 33], Vec<[u8; 32]>)> = (input.rows.iter().take(40))
        .map(|(point, outputs)| {
            let mut tweak = [0; 33];
            match point {
                Point::Of(key) => {
                    if let Some(key) = key.secret() {
                        tweak = key.public_key(&secp).serialize();
                    }
                }
                Point::Bytes(bytes) => tweak.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from),
            }
            let outputs = outputs.iter().take(12).map(|out| match out {
                Out::X(x) => *x,
                Out::Of(key) => match key.secret() {
                    Some(key) => key.x_only_public_key(&secp).0.serialize(),
                    None => [0; 32],
                },
                Out::Payment(wallet) => wallets
                    .get(usize::from(*wallet) % wallets.len().max(1))
                    .and_then(|(scan, spend, _)| payment(&tweak, scan, spend))
                    .unwrap_or_default(),
            });
            (tweak, outputs.collect())
        })
        .collect();
    let receivers: Vec<&Prepared> = wallets.iter().map(|(_, _, receiver)| receiver).collect();
    let stored: Vec<StoredRow<'_>> = rows
        .iter()
        .map(|(tweak, outputs)| StoredRow { tweak, outputs })
        .collect();
    let expected = Libsecp256k1.scan_stored(&receivers, &stored);
    for engine in Fast::all() {
        assert_eq!(engine.scan_stored(&receivers, &stored), expected, "{}", engine.name());
    }
});
