//! A gRPC call of which nothing is typed: a path, the bytes of a message, metadata. What the generated clients would not
//! let a test send.

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{AsciiMetadataValue, BinaryMetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};

/// One call to make.
#[derive(Clone, Debug)]
pub struct GrpcCall {
    /// `/beem.identity.v1.Clients/GetClient`.
    pub path: String,
    /// The encoded request message.
    pub message: Vec<u8>,
    pub texts: Vec<(&'static str, String)>,
    /// Names end in `-bin`.
    pub binaries: Vec<(&'static str, Vec<u8>)>,
}

impl GrpcCall {
    #[must_use]
    pub fn new(path: &str, message: &[u8]) -> Self {
        Self { path: path.to_owned(), message: message.to_vec(), texts: Vec::new(), binaries: Vec::new() }
    }

    /// With that text in the metadata.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.texts.push((name, value.into()));
        self
    }

    /// With those bytes in the metadata.
    #[must_use]
    pub fn binary(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.binaries.push((name, value.into()));
        self
    }

    /// The bytes of the answer.
    ///
    /// # Errors
    /// The status.
    pub async fn send(&self, channel: &Channel) -> Result<Bytes, Status> {
        let mut request = Request::new(Bytes::from(self.message.clone()));
        for (name, value) in &self.texts {
            request.metadata_mut().insert(*name, AsciiMetadataValue::try_from(value.as_str()).unwrap());
        }
        for (name, value) in &self.binaries {
            request.metadata_mut().insert_bin(*name, BinaryMetadataValue::from_bytes(value));
        }
        let mut grpc = tonic::client::Grpc::new(channel.clone());
        grpc.ready().await.unwrap();
        let path = PathAndQuery::try_from(self.path.as_str()).unwrap();
        grpc.unary(request, path, BytesCodec).await.map(tonic::Response::into_inner)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
