//! The raw codec against a real tonic server over a socket: unary bytes as they were, and an export as a stream.

use beem_fault::Code;
use beem_gateway::transcode::{RawBody, RawCodec};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::BoxStream;
use tonic::server::{ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};

/// Answers with what it was sent.
struct Echo;

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

/// Splits what it was sent at `|` into pieces; `!` is a failure.
struct Split;

impl ServerStreamingService<Bytes> for Split {
    type Response = Bytes;
    type ResponseStream = BoxStream<Bytes>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let text = String::from_utf8(request.into_inner().to_vec()).unwrap();
        let pieces: Vec<Result<Bytes, Status>> = text.split('|').enumerate().map(piece).collect();
        std::future::ready(Ok(Response::new(Box::pin(stream::iter(pieces)))))
    }
}

fn piece((at, text): (usize, &str)) -> Result<Bytes, Status> {
    if text == "!" {
        return Err(Status::unavailable("gone"));
    }
    let media_type = if at == 0 { "text/csv" } else { "" };
    let mut bytes = vec![0x0a, u8::try_from(media_type.len()).unwrap()];
    bytes.extend(media_type.bytes());
    bytes.extend([0x12, u8::try_from(text.len()).unwrap()]);
    bytes.extend(text.bytes());
    Ok(bytes.into())
}

/// The client side over an in-process service: what the gateway holds of a link.
fn client() -> Grpc<
    impl tonic::client::GrpcService<Body, ResponseBody = Body, Error = std::convert::Infallible, Future: Send>,
> {
    Grpc::new(tower::service_fn(|request: http::Request<Body>| async move {
        let mut server = tonic::server::Grpc::new(RawCodec);
        let answer: http::Response<Body> = match request.uri().path() {
            "/t/Echo" => server.unary(Echo, request).await,
            _ => server.server_streaming(Split, request).await,
        };
        Ok::<_, std::convert::Infallible>(answer)
    }))
}

async fn export(text: &'static str) -> Result<RawBody, beem_fault::Fault> {
    let path = PathAndQuery::from_static("/t/Split");
    let request = Request::new(Bytes::from_static(text.as_bytes()));
    let answer = client().server_streaming(request, path, RawCodec).await.unwrap();
    RawBody::open(answer.into_inner()).await
}

#[tokio::test]
async fn bytes_go_there_and_back_unchanged() {
    for size in [0, 1, 9_000, 300_000] {
        let sent = Bytes::from(vec![7_u8; size]);
        let path = PathAndQuery::from_static("/t/Echo");
        let mut client = client();
        let answer = client.unary(Request::new(sent.clone()), path, RawCodec).await.unwrap();
        assert_eq!(answer.into_inner(), sent);
    }
}

#[tokio::test]
async fn an_export_is_its_pieces_under_the_media_type_of_the_first() {
    let body = export("a,b\n||1,2\n").await.unwrap();
    assert_eq!(body.content_type, "text/csv");
    let chunks: Vec<Bytes> = body.chunks.try_collect().await.unwrap();
    assert_eq!(chunks, ["a,b\n", "1,2\n"], "an empty piece is no chunk");
}

#[tokio::test]
async fn an_export_that_fails_first_is_a_refusal_and_later_a_broken_body() {
    assert_eq!(export("!").await.err().unwrap().code, Code::Unavailable);
    let chunks: Vec<_> = export("a|!").await.unwrap().chunks.collect().await;
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[1].as_ref().unwrap_err().code, Code::Unavailable);
}

#[tokio::test]
async fn an_export_of_nothing_and_a_unary_body() {
    let empty = RawBody::open(stream::empty()).await.unwrap();
    assert_eq!(empty.content_type, "application/octet-stream");
    assert_eq!(empty.chunks.count().await, 0);
    let whole = RawBody::whole(piece((0, "x")).unwrap()).unwrap();
    assert_eq!(whole.content_type, "text/csv");
    let chunks: Vec<Bytes> = whole.chunks.try_collect().await.unwrap();
    assert_eq!(chunks, ["x"]);
}
