//! Messages of the node's ZMQ publisher (`doc/zmq.md` of Bitcoin Core): topic, body, and a counter for each topic.

use bitcoin::{BlockHash, Txid, hashes::Hash as _};
use bytes::Bytes;

/// The topics that the relay subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Sequence,
    RawTx,
    HashBlock,
}

impl Topic {
    pub(super) const ALL: [Self; 3] = [Self::Sequence, Self::RawTx, Self::HashBlock];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::RawTx => "rawtx",
            Self::HashBlock => "hashblock",
        }
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: Topic,
    /// Number of the message among those of its topic since the node's start, modulo 2^32.
    pub(super) counter: u32,
    pub(super) body: Body,
}

/// Content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// `sequence`, `C`: a block was connected.
    Connected(BlockHash),
    /// `sequence`, `D`: a block was disconnected.
    Disconnected(BlockHash),
    /// `sequence`, `A`: a transaction entered the mempool.
    Entered { txid: Txid, sequence: u64 },
    /// `sequence`, `R`: a transaction left it without being mined.
    Left { txid: Txid, sequence: u64 },
    /// `rawtx`: a transaction in its consensus encoding, not yet decoded.
    RawTx(Bytes),
    /// `hashblock`: there is a new tip.
    Tip(BlockHash),
}

/// Why a message cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("expected 3 frames (topic, body, counter), got {0}")]
    Frames(usize),
    #[error("unexpected topic")]
    Topic,
    #[error("the counter has {0} bytes")]
    Counter(usize),
    #[error("a {0} message has {1} bytes")]
    Body(&'static str, usize),
}

/// Parses one message.
pub(super) fn parse(frames: &[Bytes]) -> Result<Message, FrameError> {
    let [topic, body, counter] = frames else {
        return Err(FrameError::Frames(frames.len()));
    };
    let topic = Topic::ALL
        .into_iter()
        .find(|t| t.name().as_bytes() == &topic[..])
        .ok_or(FrameError::Topic)?;
    let counter = counter[..].try_into().map_err(|_| FrameError::Counter(counter.len()))?;
    let wrong = || FrameError::Body(topic.name(), body.len());
    let body = match topic {
        Topic::RawTx => Body::RawTx(body.clone()),
        Topic::HashBlock => Body::Tip(BlockHash::from_byte_array(hash(body).ok_or_else(wrong)?)),
        Topic::Sequence => sequence(body).ok_or_else(wrong)?,
    };
    Ok(Message {
        topic,
        counter: u32::from_le_bytes(counter),
        body,
    })
}

/// Hash, label, and for the labels of the mempool its sequence number (8 bytes, little endian).
fn sequence(body: &[u8]) -> Option<Body> {
    let (hash_bytes, rest) = body.split_at_checked(32)?;
    let hash = hash(hash_bytes)?;
    let (label, number) = rest.split_first()?;
    let number = || Some(u64::from_le_bytes(number.try_into().ok()?));
    match label {
        b'C' if rest.len() == 1 => Some(Body::Connected(BlockHash::from_byte_array(hash))),
        b'D' if rest.len() == 1 => Some(Body::Disconnected(BlockHash::from_byte_array(hash))),
        b'A' => Some(Body::Entered {
            txid: Txid::from_byte_array(hash),
            sequence: number()?,
        }),
        b'R' => Some(Body::Left {
            txid: Txid::from_byte_array(hash),
            sequence: number()?,
        }),
        _ => None,
    }
}

/// Hashes are published in the order in which they are displayed, the reverse of their serialisation.
fn hash(bytes: &[u8]) -> Option<[u8; 32]> {
    let mut hash: [u8; 32] = bytes.try_into().ok()?;
    hash.reverse();
    Some(hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(topic: &'static str, body: &[u8], counter: &[u8]) -> [Bytes; 3] {
        [
            Bytes::from_static(topic.as_bytes()),
            Bytes::copy_from_slice(body),
            Bytes::copy_from_slice(counter),
        ]
    }

    #[test]
    fn labels() {
        let displayed = "1122334455667788990011223344556677889900112233445566778899001122";
        let bytes: Vec<u8> = bitcoin::hex::FromHex::from_hex(displayed).unwrap();
        let body = |rest: &[u8]| parse(&frames("sequence", &[&bytes, rest].concat(), &[1, 0, 0, 0])).map(|m| m.body);
        assert_eq!(body(b"C"), Ok(Body::Connected(displayed.parse().unwrap())));
        assert_eq!(body(b"D"), Ok(Body::Disconnected(displayed.parse().unwrap())));
        let txid = displayed.parse().unwrap();
        assert_eq!(
            body(b"A\x02\x01\0\0\0\0\0\0"),
            Ok(Body::Entered { txid, sequence: 258 })
        );
        assert_eq!(body(b"R\x02\x01\0\0\0\0\0\0"), Ok(Body::Left { txid, sequence: 258 }));
        for wrong in [&b""[..], b"A", b"A\0", b"C\0", b"X", b"R\x02\x01\0\0\0\0\0\0\0"] {
            assert_eq!(body(wrong), Err(FrameError::Body("sequence", 32 + wrong.len())));
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        assert_eq!(parse(&[]), Err(FrameError::Frames(0)));
        assert_eq!(parse(&frames("rawblock", b"", &[0; 4])), Err(FrameError::Topic));
        assert_eq!(parse(&frames("rawtx", b"", &[0; 3])), Err(FrameError::Counter(3)));
        assert_eq!(
            parse(&frames("hashblock", &[0; 31], &[0; 4])),
            Err(FrameError::Body("hashblock", 31))
        );
    }

    proptest! {
        #[test]
        fn random_frames_never_panic(
            topic in prop::sample::select(vec!["sequence", "rawtx", "hashblock", "", "other"]),
            body in prop::collection::vec(any::<u8>(), 0..60),
            counter in prop::collection::vec(any::<u8>(), 0..6),
            rest in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..3),
        ) {
            let mut all = frames(topic, &body, &counter).to_vec();
            drop(parse(&all));
            all.extend(rest.into_iter().map(Bytes::from));
            drop(parse(&all));
        }
    }
}
