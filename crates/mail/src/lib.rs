//! Mail of a service: a queue in its own database, and a task that sends from it, by SMTP or into a folder of `.eml` files.
//!
//! - [`MailQueue::add`] writes a row inside the write's own transaction: nothing is sent for what was rolled back, and
//!   what was committed is never lost. What the mail is made of (tokens, names) is sealed in the row until it has been
//!   sent, and then cleared.
//! - [`Render`] makes subject and bodies of that when the mail is sent, most easily with a [`Letter`], whose text and HTML
//!   say the same and which escapes whatever it is given.
//! - [`Mailer::run`] claims rows under a lease, hands each to the [`Transport`] and marks it. Killed between the two it
//!   sends again, under the same `Message-ID` and to the same file name: once or again, never not.
//! - [`purge`] forgets what has ended; [`reseal`] seals what waits again after a rotation of keys.
//!
//! A mail that is not taken is tried again after 5 s, 30 s, 2 min, 10 min and then every hour; after 72 hours, or when the
//! server says of this recipient or this content that it never will (5xx to RCPT or DATA), it has *failed*: an error in
//! the log and the counter `beem.mail.failed`. A server that refuses us (a wrong password, a sender that is not ours) is
//! for an operator to put right, so those mails wait.
//!
//! Nothing here logs an address, a subject, a content or what a server said about them: a mail is known by its id.

mod letter;
mod mailer;
mod message;
mod queue;
mod rows;
mod settings;
mod tables;
mod transport;

pub use letter::{Letter, Rendered};
pub use mailer::{Mailer, Render};
pub use message::is_address;
pub use queue::{MailQueue, NewMail, Resealed, purge, reseal};
pub use settings::{MailSettings, SmtpSettings, SmtpTls};
pub use tables::MIGRATIONS;
pub use transport::{Outgoing, Stage, Transport, Undelivered};
