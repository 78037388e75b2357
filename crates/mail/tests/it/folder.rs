//! Into a folder: what lies there, and that it lies there once.

use crate::rig::{Rig, TOKEN, eventually, on_both, row_when};
use beem_mail::MailSettings;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

on_both!(a_mail_becomes_a_private_file);

async fn a_mail_becomes_a_private_file(rig: Rig) {
    let folder = rig.folder().join("mail");
    let db = rig.process().await;
    let running =
        rig.mailer_as(&MailSettings { folder: Some(folder.clone()), ..MailSettings::default() }).await;
    let id = rig.invite(&db, "ada@example.com").await;
    let files = eventually("the file", || async {
        let files: Vec<_> = fs::read_dir(&folder).ok()?.map(|f| f.unwrap().path()).collect();
        (!files.is_empty() && files.iter().all(|f| f.extension().is_some_and(|e| e == "eml")))
            .then_some(files)
    })
    .await;
    assert_eq!(files, [folder.join(format!("20231114T221320Z-{id}.eml"))]);
    let text = fs::read_to_string(&files[0]).unwrap();
    for line in [
        "From: BEEM <beem@localhost>\r\n",
        "To: Ada <ada@example.com>\r\n",
        "Subject: Welcome to BEEM, Ada\r\n",
        &format!("Message-ID: <{id}@localhost>\r\n"),
        "Auto-Submitted: auto-generated\r\n",
        "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n",
        &format!("https://pay.example/activate?token={TOKEN}\r\n"),
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&files[0])), (0o700, 0o600));
    let row = row_when(&db, id, "sent", |row| row.sent).await;
    assert_eq!((row.payload, row.attempts, row.leased), (None, 1, false));
    running.stop().await;
}
