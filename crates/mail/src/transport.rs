//! The way out of the house.

mod folder;
mod smtp;

pub(crate) use folder::Folder;
pub(crate) use smtp::Smtp;

use beem_clock::Moment;
use futures::future::BoxFuture;
use lettre::Address;
use std::fmt;
use uuid::Uuid;

/// A mail on its way: its bytes are the same however often it is sent. It does not print.
#[derive(Clone)]
pub struct Outgoing {
    pub id: Uuid,
    /// When it was queued.
    pub created: Moment,
    /// The envelope: who sends, and to whom.
    pub from: Address,
    pub to: Address,
    /// Headers and bodies, ASCII, lines ending in CRLF.
    pub bytes: Vec<u8>,
}

/// Takes mails from us. `Ok` means that it is theirs now, durably.
pub trait Transport: Send + Sync + 'static {
    /// Sends it, or says why it did not.
    fn send<'a>(&'a self, mail: &'a Outgoing) -> BoxFuture<'a, Result<(), Undelivered>>;
}

/// Where a mail was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its payload did not open.
    Open,
    /// Its template failed.
    Render,
    /// The folder.
    Folder,
    /// SMTP: no connection, no greeting.
    Connect,
    Tls,
    Auth,
    /// The server does not take mail from us.
    Sender,
    /// The server does not take mail for this address.
    Recipient,
    /// The server does not take this content.
    Content,
    /// It did not answer in time.
    Timeout,
    /// It panicked.
    Panic,
}

/// Why a mail was not taken: nothing that a server said in words, since that may name who it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Undelivered {
    pub stage: Stage,
    /// The reply code of SMTP, where there was one.
    pub code: Option<u16>,
    /// Never: trying again is no use.
    pub permanent: bool,
}

impl Stage {
    /// As in logs and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Render => "render",
            Self::Folder => "folder",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Content => "content",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
        }
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stage.as_str())?;
        self.code.map_or(Ok(()), |code| write!(f, " {code}"))
    }
}
