//! The socket as hyper sees it. For HTTP/1 no byte of a head reaches hyper before the head is whole and judged: hyper
//! takes bare line feeds, lets Transfer-Encoding win over Content-Length, and answers what it refuses without a body.
//! A refused head is replaced by a harmless one and the end of the stream; the exchange that hyper then starts finds the
//! reason in the [`Wire`] and answers it, after the answers to earlier requests. The guard also keeps the times of heads,
//! of idle connections and of stalled writes. HTTP/2 passes through.

use super::head::malformed;
use super::scanner::Scanner;
use super::settings::{EdgeSettings, ms};
use super::wire::Wire;
use beem_fault::{Code, Fault};
use bytes::{Buf, BytesMut};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Stands in for a refused head. Never handled: the exchange looks for the refusal first.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";

/// Read from the socket at a time.
const READ_BYTES: usize = 8 * 1024;

/// What the first bytes of a connection say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What came of waiting for bytes.
enum Came {
    Bytes,
    /// The peer sends no more.
    End,
    /// A head took too long.
    Late,
    /// Nothing happened for too long, or a drain ends the waiting.
    Idle,
}

/// A socket between its peer and hyper.
pub(super) struct Guard<S> {
    socket: S,
    settings: Arc<EdgeSettings>,
    wire: Arc<Wire>,
    protocol: Option<Protocol>,
    scanner: Scanner,
    /// Read, not yet judged.
    held: BytesMut,
    /// Judged, not yet taken by hyper.
    out: BytesMut,
    /// The peer sends no more.
    peer_ended: bool,
    /// Hyper is to read no more.
    ended: bool,
    drain: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Drives the three moments below; one timer suffices, since only one of them counts at a time.
    timer: Pin<Box<Sleep>>,
    head_by: Option<Instant>,
    idle_by: Option<Instant>,
    drain_by: Option<Instant>,
    stall: Option<Pin<Box<Sleep>>>,
    linger: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// `drain` ends the waiting for further requests.
    pub(super) fn new(
        socket: S,
        settings: Arc<EdgeSettings>,
        wire: Arc<Wire>,
        drain: CancellationToken,
    ) -> Self {
        Self {
            socket,
            scanner: Scanner::new(Arc::clone(&settings)),
            settings,
            wire,
            protocol: None,
            held: BytesMut::new(),
            out: BytesMut::new(),
            peer_ended: false,
            ended: false,
            drain: Box::pin(drain.cancelled_owned()),
            timer: Box::pin(sleep(ms(0))),
            head_by: None,
            idle_by: None,
            drain_by: None,
            stall: None,
            linger: None,
        }
    }

    /// Waits for as many first bytes as tell the protocol. What is not HTTP/2 is HTTP/1, silence too.
    ///
    /// # Errors
    /// Those of the socket.
    pub(super) async fn protocol(&mut self) -> io::Result<Protocol> {
        std::future::poll_fn(|cx| self.poll_protocol(cx)).await
    }

    fn poll_protocol(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Protocol>> {
        let protocol = loop {
            let shared = self.held.iter().zip(PREFACE).take_while(|(a, b)| a == b).count();
            if shared == PREFACE.len() {
                break Protocol::Http2;
            }
            if shared < self.held.len() {
                break Protocol::Http1;
            }
            match ready!(self.poll_bytes(cx))? {
                Came::Bytes => {}
                // What happened then will be found again by the first read of a head.
                Came::End | Came::Late | Came::Idle => break Protocol::Http1,
            }
        };
        self.protocol = Some(protocol);
        match protocol {
            Protocol::Http1 => self.judge(),
            Protocol::Http2 => std::mem::swap(&mut self.held, &mut self.out),
        }
        Poll::Ready(Ok(protocol))
    }

    /// Reads once; when there is nothing, looks at the time.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Came>> {
        if self.peer_ended {
            return Poll::Ready(Ok(Came::End));
        }
        let mut room = [MaybeUninit::<u8>::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut room);
        if Pin::new(&mut self.socket).poll_read(cx, &mut buffer)?.is_pending() {
            return self.poll_times(cx).map(Ok);
        }
        if buffer.filled().is_empty() {
            self.peer_ended = true;
            return Poll::Ready(Ok(Came::End));
        }
        self.held.extend_from_slice(buffer.filled());
        self.idle_by = None;
        if self.scanner.in_head() && self.head_by.is_none() {
            self.head_by = Some(Instant::now() + ms(self.settings.head_ms));
        }
        Poll::Ready(Ok(Came::Bytes))
    }

    /// Within a head its own time counts, between messages the idle time and a drain; the time of a body is kept by the
    /// exchange that reads it.
    fn poll_times(&mut self, cx: &mut Context<'_>) -> Poll<Came> {
        if !self.scanner.in_head() {
            return Poll::Pending;
        }
        if self.held.is_empty() {
            // An idle connection keeps no buffers.
            (self.held, self.out) = (BytesMut::new(), BytesMut::new());
            if self.drain_by.is_none() && self.drain.as_mut().poll(cx).is_ready() {
                self.drain_by = Some(Instant::now() + ms(self.settings.drain_idle_ms));
            }
            let idle = ms(self.settings.idle_ms);
            let idle_by = *self.idle_by.get_or_insert_with(|| Instant::now() + idle);
            let by = self.drain_by.map_or(idle_by, |drain_by| drain_by.min(idle_by));
            return self.poll_until(by, cx).map(|()| Came::Idle);
        }
        let head = ms(self.settings.head_ms);
        let by = *self.head_by.get_or_insert_with(|| Instant::now() + head);
        self.poll_until(by, cx).map(|()| Came::Late)
    }

    fn poll_until(&mut self, by: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.deadline() != by {
            self.timer.as_mut().reset(by);
        }
        self.timer.as_mut().poll(cx)
    }

    /// Passes on what may pass.
    fn judge(&mut self) {
        let heads = self.scanner.heads();
        if let Err(fault) = self.scanner.pass(&mut self.held, &mut self.out) {
            return self.refuse(fault);
        }
        if !self.scanner.in_head() || self.held.is_empty() {
            self.head_by = None;
        } else if self.scanner.heads() != heads {
            self.head_by = Some(Instant::now() + ms(self.settings.head_ms));
        }
        self.wire.report(self.scanner.heads(), !self.held.is_empty());
    }

    /// Nothing further is read. A head is replaced; a body ends early, which its exchange notices.
    fn refuse(&mut self, fault: Fault) {
        self.ended = true;
        let mut nth = self.scanner.heads();
        if self.scanner.in_head() {
            nth += 1;
            self.out.extend_from_slice(STAND_IN);
        }
        self.held.clear();
        self.wire.refuse(nth, fault);
        self.wire.report(nth, false);
    }

    fn poll_http1(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.out.is_empty() {
                let here = self.out.len().min(to.remaining());
                to.put_slice(&self.out.split_to(here));
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.poll_bytes(cx))? {
                Came::Bytes => self.judge(),
                Came::End if self.held.is_empty() => self.ended = true,
                Came::End => self.refuse(malformed("the head ended early")),
                Came::Late => {
                    let within_ms = self.settings.head_ms;
                    let detail = format!("the head did not arrive within {within_ms} ms");
                    self.refuse(Fault::new(Code::RequestTimeout, detail));
                }
                Came::Idle => self.ended = true,
            }
        }
    }

    fn poll_http2(&mut self, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.out.has_remaining() {
            let here = self.out.len().min(to.remaining());
            to.put_slice(&self.out.split_to(here));
            return Poll::Ready(Ok(()));
        }
        let before = to.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, to))?;
        self.peer_ended = to.filled().len() == before;
        Poll::Ready(Ok(()))
    }

    /// A write that came to nothing: an error once that has lasted too long.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let limit = ms(self.settings.write_stall_ms);
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes no bytes")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.protocol {
            Some(Protocol::Http2) => this.poll_http2(cx, to),
            Some(Protocol::Http1) | None => this.poll_http1(cx, to),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.socket).poll_write(cx, bytes) {
            Poll::Pending => this.poll_stall(cx),
            Poll::Ready(written) => {
                this.stall = None;
                Poll::Ready(written)
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.socket).poll_write_vectored(cx, slices) {
            Poll::Pending => this.poll_stall(cx),
            Poll::Ready(written) => {
                this.stall = None;
                Poll::Ready(written)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    /// Ends the sending, then reads on into nothing until the peer ends too or the lingering time is over.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(cx))?;
        }
        let limit = ms(this.settings.linger_ms);
        let linger = this.linger.get_or_insert_with(|| Box::pin(sleep(limit)));
        while !this.peer_ended && !linger.is_elapsed() {
            let mut room = [MaybeUninit::<u8>::uninit(); READ_BYTES];
            let mut discarded = ReadBuf::uninit(&mut room);
            match Pin::new(&mut this.socket).poll_read(cx, &mut discarded) {
                Poll::Ready(Ok(())) => this.peer_ended = discarded.filled().is_empty(),
                Poll::Ready(Err(_)) => this.peer_ended = true,
                Poll::Pending => ready!(linger.as_mut().poll(cx)),
            }
        }
        Poll::Ready(Ok(()))
    }
}
