//! What people find in their mailboxes: the folder identity's mails are written to, read back.

pub use beem_servicetest::Mail;

use crate::rig::Rig;
use beem_servicetest::mailbox;

/// Every mail that was sent to the address, in the order in which they were queued.
pub async fn mails(rig: &Rig, to: &str) -> Vec<Mail> {
    let all = mailbox(rig.mails_sent().await);
    all.into_iter().filter(|mail| mail.to.contains(to)).collect()
}

/// The token of the newest mail to the address.
pub async fn newest_token(rig: &Rig, to: &str) -> String {
    mails(rig, to).await.last().unwrap().token()
}
