//! A gRPC codec that reads messages and hands out bytes that are messages already.

use std::marker::PhantomData;

use bytes::{BufMut, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Reads `M`, writes ready bytes.
#[derive(Debug)]
pub(crate) struct ReadyCodec<M>(PhantomData<M>);

#[derive(Debug)]
pub(crate) struct ReadyEncoder;

#[derive(Debug)]
pub(crate) struct MessageDecoder<M>(PhantomData<M>);

/// What an idle stream's buffer holds, in bytes: a heartbeat. It grows where more comes.
const BUFFER_BYTES: usize = 256;
/// After how many bytes a batch of messages goes out.
const YIELD_BYTES: usize = 32 * 1024;

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}

impl<M> ReadyCodec<M> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<M: Message + Default + 'static> Codec for ReadyCodec<M> {
    type Encode = Bytes;
    type Decode = M;
    type Encoder = ReadyEncoder;
    type Decoder = MessageDecoder<M>;

    fn encoder(&mut self) -> Self::Encoder {
        ReadyEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        MessageDecoder(PhantomData)
    }
}

impl Encoder for ReadyEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

impl<M: Message + Default> Decoder for MessageDecoder<M> {
    type Item = M;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        let decoded = M::decode(from);
        decoded
            .map(Some)
            .map_err(|error| Status::invalid_argument(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}
