//! protobuf with small buffers: tonic's own codec keeps 8 KB for each direction of each call, and a subscription is a call
//! that lasts for as long as its node lives. Messages here have tens of bytes, or else the buffers grow with them.
//!
//! The generated clients and servers use it (`build.rs`).

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// Bytes that are kept from the beginning.
const SMALL: usize = 256;
/// Bytes of messages that are encoded before they are sent: tonic's own measure.
const YIELD: usize = 32 << 10;

/// See the module.
#[derive(Debug, Clone)]
pub struct FrugalCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for FrugalCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for FrugalCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(SMALL, YIELD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(SMALL, YIELD))
    }
}
