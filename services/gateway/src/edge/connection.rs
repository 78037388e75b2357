//! Drives one connection: tells its protocol, gives it to hyper, and sees to its end.

use super::Shared;
use super::exchange::Exchange;
use super::guard::{Guard, Protocol};
use super::request::Handler;
use super::settings::ms;
use super::wire::Wire;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Least size of hyper's buffers, bytes; a whole head must fit as well.
const BUFFER_BYTES: usize = 64 * 1024;

/// What hyper may read behind the longest head, bytes.
const READ_AHEAD_BYTES: usize = 16 * 1024;

/// What an HTTP/2 peer may send ahead on one stream, bytes.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// And on all streams of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// What a header field counts for beside its name and value (RFC 9113 6.5.2), bytes.
const FIELD_OVERHEAD_BYTES: usize = 32;

/// Least size of a header list that hyper passes on, bytes. It answers larger ones with a bare 431; what lies between the
/// edge's bound and this one gets the edge's own answer.
const HEADER_LIST_BYTES: usize = 128 * 1024;

/// Streams reset by the peer before they were taken up, and streams reset by us for the peer's errors, before the
/// connection ends: the rapid-reset floods of CVE-2023-44487 and RUSTSEC-2024-0003.
const PEER_RESETS: usize = 20;
const OWN_RESETS: usize = 128;

/// Serves `socket` until it ends. `drain` lets it end after the requests that have come.
pub(super) async fn converse<S, H>(
    socket: S,
    peer: SocketAddr,
    shared: Arc<Shared<H>>,
    drain: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Handler,
{
    let wire = Wire::new();
    let mut guard = Guard::new(socket, Arc::clone(&shared.settings), Arc::clone(&wire), drain.clone());
    let exchange = Exchange::new(Arc::clone(&shared), Arc::clone(&wire), peer, drain.clone());
    let ended = match guard.protocol().await {
        Err(reason) => return tracing::debug!(%reason, "connection lost before its first request"),
        Ok(Protocol::Http1) => over_http1(guard, exchange, &shared).await,
        Ok(Protocol::Http2) => over_http2(guard, exchange, &shared, &wire, &drain).await,
    };
    if let Err(reason) = ended {
        tracing::debug!(%reason, "connection ended early");
    }
}

async fn over_http1<S, H>(
    guard: Guard<S>,
    exchange: Arc<Exchange<H>>,
    shared: &Shared<H>,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Handler,
{
    let settings = &shared.settings;
    let answer = service_fn(move |request| {
        let answer = exchange.answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        // The guard keeps the time of heads, and answers 408, which hyper would not.
        .header_read_timeout(None)
        // A peer that has sent its request and then ended its sending still wants the answer.
        .half_close(true)
        .max_headers(settings.header_fields)
        .max_buf_size(BUFFER_BYTES.max(settings.header_bytes + settings.target_bytes + READ_AHEAD_BYTES))
        .serve_connection(TokioIo::new(guard), answer)
        .await
}

async fn over_http2<S, H>(
    guard: Guard<S>,
    exchange: Arc<Exchange<H>>,
    shared: &Shared<H>,
    wire: &Wire,
    drain: &CancellationToken,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Handler,
{
    let settings = &shared.settings;
    let list_bytes = settings.header_bytes
        + settings.target_bytes
        + (settings.header_fields + 8).saturating_mul(FIELD_OVERHEAD_BYTES);
    let answer = service_fn(move |request| {
        let answer = exchange.answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.streams)
        .max_header_list_size(u32::try_from(list_bytes.max(HEADER_LIST_BYTES)).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PEER_RESETS)
        .max_local_error_reset_streams(OWN_RESETS)
        .max_send_buf_size(BUFFER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(ms(settings.ping_ms))
        .keep_alive_timeout(ms(settings.ping_ms));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(guard), answer));
    let mut closing = false;
    let stall = ms(settings.write_stall_ms);
    loop {
        let look_again = wire.abandon_stalled(stall);
        let patience = if closing { stall } else { ms(settings.idle_ms) };
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = wire.answer_began() => continue,
            () = sleep_until(look_again.unwrap_or_else(Instant::now)), if look_again.is_some() => continue,
            () = drain.cancelled(), if !closing => {}
            () = wire.finish.cancelled(), if !closing => {}
            () = sleep_until(wire.quiet_at(patience)) => {
                if wire.quiet_at(patience) > Instant::now() {
                    continue;
                }
                if closing {
                    // Streams whose answers the peer does not take keep a closing connection open for ever.
                    return Ok(());
                }
            }
        }
        closing = true;
        wire.touch();
        connection.as_mut().graceful_shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::{EdgeBody, EdgeMeter, EdgeSettings, Request, full};
    use beem_clock::{Clock, Entropy};
    use http::Response;
    use proptest::prelude::*;
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Handler for Notes {
        fn serves(&self, _host: &str) -> bool {
            true
        }

        async fn handle(&self, request: Request) -> Response<EdgeBody> {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            self.0.lock().unwrap().push(format!("{} {} {body}", request.method, request.target));
            Response::new(full(""))
        }
    }

    /// What the handler sees when these bytes come through a pipe of that capacity, in pieces of at most those sizes.
    async fn seen(bytes: &[u8], capacity: usize, sizes: &[usize]) -> Vec<String> {
        let (mut near, far) = tokio::io::duplex(capacity);
        let shared = Arc::new(Shared {
            settings: Arc::new(EdgeSettings::default()),
            handler: Notes::default(),
            clock: Clock::System,
            entropy: Entropy::System,
            meter: Arc::<EdgeMeter>::default(),
            bodies: Arc::new(tokio::sync::Semaphore::new(1 << 20)),
        });
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let serving = converse(far, peer, Arc::clone(&shared), CancellationToken::new());
        let (mut read_half, mut write_half) = tokio::io::split(&mut near);
        let writing = async {
            let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
            while !rest.is_empty() {
                let here = sizes.next().copied().unwrap_or(1).min(rest.len());
                write_half.write_all(&rest[..here]).await.unwrap();
                rest = &rest[here..];
                tokio::task::yield_now().await;
            }
            write_half.shutdown().await.unwrap();
        };
        let mut answers = Vec::new();
        let ((), (), answered) = tokio::join!(serving, writing, read_half.read_to_end(&mut answers));
        answered.unwrap();
        let seen = shared.handler.0.lock().unwrap().clone();
        let ok = String::from_utf8_lossy(&answers).matches("HTTP/1.1 200 OK").count();
        assert_eq!(ok, seen.len(), "every request is answered");
        seen
    }

    const THREE: &[u8] = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        3;x=y\r\nabc\r\n10\r\n\r\n\r\n0123456789\r\n\r\n0\r\nT: v\r\n\r\n\
        PUT /b?q HTTP/1.1\r\nhost: a\r\nContent-Length: 27\r\n\r\nGET /no HTTP/1.1\r\nHost: a\r\n\
        GET /c HTTP/1.1\r\nHOST: a\r\n\r\n";

    proptest! {
        #[test]
        fn any_split_gives_the_same_requests(
            capacity in 1..300_usize,
            sizes in proptest::collection::vec(1..80_usize, 1..20),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let seen = runtime.block_on(seen(THREE, capacity, &sizes));
            prop_assert_eq!(seen, [
                "POST /a abc\r\n\r\n0123456789\r\n",
                "PUT /b?q GET /no HTTP/1.1\r\nHost: a\r\n",
                "GET /c ",
            ]);
        }
    }
}
