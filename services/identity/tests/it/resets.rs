//! Password resets where somebody means ill: who asks is not believed to be the user, who guesses keeps nobody out, who asks
//! without end is heard a few times, and one that cannot be carried out stops no other.

use crate::on_both;
use crate::passwords::{NEW, ask, asked_and_mailed, carried_out, mails, reset};
use crate::people::{ELSEWHERE, HOME, active, pass, wrong_code};
use crate::rig::Rig;
use beem_database::{Backend, Sql as _};
use beem_events::audit::unpushed;
use std::time::Duration;

on_both!(
    whoever_asks_is_not_the_user_in_the_trail,
    who_has_the_password_keeps_nobody_from_a_reset,
    codes_under_a_reset_link_become_slow,
    an_address_is_mailed_ten_a_day,
    one_that_waits_stops_none_behind_it,
    beyond_ten_thousand_nothing_is_written_down,
);

async fn whoever_asks_is_not_the_user_in_the_trail(rig: Rig) {
    rig.run_tasks();
    let person = active(&rig, "a", "a@example.com").await;
    asked_and_mailed(&rig, &person).await;
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    let row = &rows.iter().find(|r| r.row.action == "RequestPasswordReset").unwrap().row;
    assert_eq!(row.actor, serde_json::json!({ "kind": "INSTALLATION" }));
    assert_eq!((row.target_id.as_str(), row.address.as_str()), (person.id.as_str(), ELSEWHERE));
    assert!(!row.request_id.is_empty());
}

async fn who_has_the_password_keeps_nobody_from_a_reset(rig: Rig) {
    rig.run_tasks();
    let person = active(&rig, "a", "a@example.com").await;
    let token = asked_and_mailed(&rig, &person).await;
    for _ in 0..3 {
        rig.clock.advance_ms(60_000);
        let challenge = person.challenge(&rig, ELSEWHERE).await.unwrap();
        for _ in 0..5 {
            pass(&rig, ELSEWHERE, &challenge, &wrong_code(&rig, &person.totp)).await.unwrap_err();
        }
    }
    reset(&rig, "192.0.2.77", &token, NEW, &person.code(&rig)).await.unwrap();
}

async fn codes_under_a_reset_link_become_slow(rig: Rig) {
    rig.run_tasks();
    let mut person = active(&rig, "a", "a@example.com").await;
    let token = asked_and_mailed(&rig, &person).await;
    for _ in 0..5 {
        let wrong = wrong_code(&rig, &person.totp);
        assert_eq!(reset(&rig, HOME, &token, NEW, &wrong).await.unwrap_err().code(), "credentials-invalid");
    }
    let early = reset(&rig, HOME, &token, NEW, &person.code(&rig)).await.unwrap_err();
    assert_eq!((early.code(), early.fault.retry_after_s), ("rate-limited", Some(1)));
    // Whoever holds the link slows no sign-in down.
    person.sign_in(&rig, "192.0.2.77").await.unwrap();
    rig.clock.advance_ms(30_000);
    reset(&rig, HOME, &token, NEW, &person.code(&rig)).await.unwrap();
    person.password = NEW.into();
    person.sign_in(&rig, HOME).await.unwrap();
}

async fn an_address_is_mailed_ten_a_day(rig: Rig) {
    rig.run_tasks();
    active(&rig, "a", "a@example.com").await;
    for hour in 0..5 {
        for n in 0..4 {
            ask(&rig, &format!("198.51.{hour}.{n}"), "a@example.com").await.unwrap();
            carried_out(&rig).await;
        }
        rig.clock.advance_ms(3_600_000);
    }
    assert_eq!(mails(&rig, "password-reset").await, 10);
    rig.clock.advance_ms(20 * 3_600_000);
    ask(&rig, ELSEWHERE, "a@example.com").await.unwrap();
    carried_out(&rig).await;
    assert_eq!(mails(&rig, "password-reset").await, 11);
}

async fn one_that_waits_stops_none_behind_it(rig: Rig) {
    active(&rig, "a", "a@example.com").await;
    rig.gate.close();
    ask(&rig, ELSEWHERE, "a@example.com").await.unwrap();
    rig.clock.advance_ms(1);
    ask(&rig, ELSEWHERE, "nobody@example.com").await.unwrap();
    rig.run_tasks();
    for _ in 0..600 {
        if rig.count("reset_requests").await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(rig.count("reset_requests WHERE email_folded = 'a@example.com'").await, 1);
    assert_eq!(rig.count("reset_requests").await, 1, "nobody's is carried out");
    rig.gate.open();
    rig.clock.advance_ms(5_000);
    carried_out(&rig).await;
    assert_eq!(mails(&rig, "password-reset").await, 1);
}

async fn beyond_ten_thousand_nothing_is_written_down(rig: Rig) {
    let (rows, id) = match rig.identity.db.backend() {
        Backend::Postgres => ("SELECT generate_series(1, 9999)", "gen_random_uuid()"),
        Backend::Sqlite => ("SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9999", "randomblob(16)"),
    };
    let sql = &format!(
        "WITH RECURSIVE r (n) AS ({rows}) INSERT INTO reset_requests
        SELECT {id}, 'x@example.com', '192.0.2.1', '', 0, 0 FROM r"
    );
    rig.identity.db.write(|tx| Box::pin(async move { tx.run(sql, vec![]).await })).await.unwrap();
    for n in 0..3 {
        ask(&rig, &format!("198.51.100.{n}"), "a@example.com").await.unwrap();
    }
    assert_eq!(rig.count("reset_requests").await, 10_000);
}
