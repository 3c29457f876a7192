//! Messages that a server has encoded itself.

use std::marker::PhantomData;

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};

/// The bytes of a message `M`. Streams of many rows send it: a message of `prost` has an allocation for each field of
/// each row.
#[derive(Clone, Debug)]
pub struct Encoded<M> {
    bytes: Vec<u8>,
    message: PhantomData<fn() -> M>,
}

impl<M: Message + Default> Encoded<M> {
    /// The caller guarantees that the bytes are an encoded `M`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            message: PhantomData,
        }
    }

    /// The message.
    ///
    /// # Errors
    ///
    /// The bytes are not an encoded `M`.
    pub fn decode(&self) -> Result<M, DecodeError> {
        M::decode(self.bytes.as_slice())
    }
}

impl<M> AsRef<[u8]> for Encoded<M> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// `tonic` sends messages of this trait.
impl<M: Message + Default> Message for Encoded<M> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.bytes);
    }

    /// Appends the field.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        let mut message = M::default();
        message.merge_field(tag, wire_type, buf, ctx)?;
        message.encode_raw(&mut self.bytes);
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    fn clear(&mut self) {
        self.bytes.clear();
    }
}
