//! Guessing: it becomes slow, for whoever guesses, and for nobody else.

use crate::on_both;
use crate::people::{
    CONFIRM_RESET, ELSEWHERE, HOME, Person, activate, active, confirm, pass, sign_in, wrong_code,
};
use crate::rig::Rig;
use beem_proto::identity::v1 as wire;

on_both!(
    an_attacker_elsewhere_does_not_slow_the_owner_down,
    each_failure_from_a_new_place_waits_longer_up_to_a_minute,
    an_address_that_tries_many_names_is_slowed_down,
    codes_cannot_be_tried_out,
    many_at_once_are_judged_a_few_times,
    a_right_sign_in_forgets_the_failures,
    who_is_known_at_a_place_does_not_wait_for_others_there,
    a_right_sign_in_from_a_new_place_leaves_others_waiting,
    failures_are_forgotten_by_the_hour,
    users_of_one_address_are_counted_alike,
    made_up_and_early_tries_wait_for_no_writer,
);

fn wrong(person: &Person) -> wire::SignInRequest {
    wire::SignInRequest { password: "a wrong password".into(), ..person.sign_in_request() }
}

async fn an_attacker_elsewhere_does_not_slow_the_owner_down(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    person.sign_in(&rig, HOME).await.unwrap();
    let mut judged = 0;
    for n in 0..1_000 {
        let from = format!("198.51.{}.{}", n / 250, n % 250);
        let refusal = sign_in(&rig, &from, wrong(&person)).await.unwrap_err();
        judged += usize::from(refusal.code() == "credentials-invalid");
        rig.clock.advance_ms(500);
    }
    assert!((5..30).contains(&judged), "{judged} were judged");
    let limited = sign_in(&rig, ELSEWHERE, wrong(&person)).await.unwrap_err();
    assert_eq!(limited.code(), "rate-limited");
    assert!(limited.fault.retry_after_s.unwrap() <= 60, "who is elsewhere waits a minute at most");
    person.sign_in(&rig, HOME).await.unwrap();
    // Nor does an attacker who has the password lock the second factor.
    let mut stolen = 0;
    for _ in 0..12 {
        rig.clock.advance_ms(60_000);
        let challenge = person.challenge(&rig, "198.51.9.9").await.unwrap();
        for _ in 0..5 {
            stolen += usize::from(
                pass(&rig, "198.51.9.9", &challenge, &wrong_code(&rig, &person.totp)).await.is_err(),
            );
        }
    }
    assert!(stolen > 5);
    person.sign_in(&rig, HOME).await.unwrap();
}

async fn each_failure_from_a_new_place_waits_longer_up_to_a_minute(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let mut waits = Vec::new();
    while waits.len() < 10 {
        let refusal = sign_in(&rig, ELSEWHERE, wrong(&person)).await.unwrap_err();
        if let Some(wait) = refusal.fault.retry_after_s {
            waits.push(wait);
            rig.clock.advance_ms(i64::from(wait) * 1000);
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    // Early, even the right password is not looked at.
    sign_in(&rig, ELSEWHERE, wrong(&person)).await.unwrap_err();
    assert_eq!(person.challenge(&rig, ELSEWHERE).await.unwrap_err().code(), "rate-limited");
    rig.clock.advance_ms(60_000);
    person.challenge(&rig, ELSEWHERE).await.unwrap();
    rig.clock.advance_ms(24 * 3_600_000);
    sign_in(&rig, ELSEWHERE, wrong(&person)).await.unwrap_err();
    person.challenge(&rig, ELSEWHERE).await.unwrap();
}

async fn an_address_that_tries_many_names_is_slowed_down(rig: Rig) {
    let named = |n: usize| wire::SignInRequest {
        email: format!("{n}@example.com"),
        password: "a wrong password".into(),
        account_id: String::new(),
    };
    for n in 0..20 {
        let from = format!("2001:db8:1:2::{n:x}");
        assert_eq!(sign_in(&rig, &from, named(n)).await.unwrap_err().code(), "credentials-invalid");
    }
    let limited = sign_in(&rig, "2001:db8:1:2:ffff::1", named(20)).await.unwrap_err();
    assert_eq!(limited.code(), "rate-limited", "one customer's network is one place");
    let beside = sign_in(&rig, "2001:db8:1:3::1", named(20)).await.unwrap_err();
    assert_eq!(beside.code(), "rate-limited", "a customer may have many of them");
    assert_eq!(sign_in(&rig, "2001:db8:2::1", named(20)).await.unwrap_err().code(), "credentials-invalid");
}

async fn codes_cannot_be_tried_out(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (mut judged, began) = (0, rig.clock.now());
    for _ in 0..40 {
        let Ok(challenge) = person.challenge(&rig, ELSEWHERE).await else {
            rig.clock.advance_ms(60_000);
            continue;
        };
        for _ in 0..5 {
            match pass(&rig, ELSEWHERE, &challenge, &wrong_code(&rig, &person.totp)).await.unwrap_err() {
                refusal if refusal.code() == "credentials-invalid" => judged += 1,
                refusal => rig.clock.advance_ms(i64::from(refusal.fault.retry_after_s.unwrap()) * 1000),
            }
        }
    }
    let hours = rig.clock.now().ms_since(began) / 3_600_000;
    assert!(hours > 4, "{judged} codes were judged in {hours} hours");
    let challenge = loop {
        match person.challenge(&rig, ELSEWHERE).await {
            Ok(challenge) => break challenge,
            Err(_) => rig.clock.advance_ms(60_000),
        }
    };
    let early = pass(&rig, ELSEWHERE, &challenge, &wrong_code(&rig, &person.totp)).await.unwrap_err();
    assert!(
        early.fault.retry_after_s.unwrap_or(0) <= 900,
        "who owns the account waits a quarter of an hour at most"
    );
}

async fn many_at_once_are_judged_a_few_times(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let asked = (0..60).map(|n| {
        let (rig, person) = (&rig, &person);
        async move { sign_in(rig, &format!("198.51.100.{n}"), wrong(person)).await.unwrap_err() }
    });
    let met = futures::future::join_all(asked).await;
    let judged = met.iter().filter(|r| r.code() == "credentials-invalid").count();
    assert_eq!(judged, 5, "tries are counted before they are judged");
}

async fn a_right_sign_in_forgets_the_failures(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(sign_in(&rig, HOME, wrong(&person)).await.unwrap_err().code(), "credentials-invalid");
        }
        person.sign_in(&rig, HOME).await.unwrap();
    }
    // Thirty days later the place is one like any other.
    assert_eq!(rig.count("known_places").await, 1);
    rig.clock.advance_ms(31 * 24 * 3_600_000);
    for _ in 0..5 {
        sign_in(&rig, ELSEWHERE, wrong(&person)).await.unwrap_err();
    }
    assert_eq!(person.challenge(&rig, HOME).await.unwrap_err().code(), "rate-limited");
}

async fn who_is_known_at_a_place_does_not_wait_for_others_there(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    for n in 0..40 {
        let email = format!("{n}@example.com");
        sign_in(&rig, HOME, wire::SignInRequest { email, ..wrong(&person) }).await.unwrap_err();
    }
    let email = "somebody@example.com".into();
    let other = sign_in(&rig, HOME, wire::SignInRequest { email, ..wrong(&person) }).await.unwrap_err();
    assert_eq!(other.code(), "rate-limited");
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap();
}

async fn a_right_sign_in_from_a_new_place_leaves_others_waiting(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    for n in 0..5 {
        sign_in(&rig, &format!("198.51.77.{n}"), wrong(&person)).await.unwrap_err();
    }
    // The second factor likewise.
    rig.clock.advance_ms(1_000);
    let stolen = person.challenge(&rig, "198.51.77.9").await.unwrap();
    for _ in 0..5 {
        pass(&rig, "198.51.77.9", &stolen, &wrong_code(&rig, &person.totp)).await.unwrap_err();
    }
    person.sign_in(&rig, "192.0.2.1").await.unwrap();
    let refusal = sign_in(&rig, "198.51.77.1", wrong(&person)).await.unwrap_err();
    assert_eq!(refusal.code(), "rate-limited", "the owner's own try is one that others wait for");
    rig.clock.advance_ms(4_000);
    let refusal = sign_in(&rig, "198.51.77.1", wrong(&person)).await.unwrap_err();
    assert_eq!(refusal.code(), "credentials-invalid");
    let refusal = sign_in(&rig, "198.51.77.1", wrong(&person)).await.unwrap_err();
    assert_eq!(refusal.fault.retry_after_s, Some(4), "what others failed is not forgotten");
    rig.clock.advance_ms(8_000);
    let stolen = person.challenge(&rig, "198.51.77.9").await.unwrap();
    pass(&rig, "198.51.77.9", &stolen, &wrong_code(&rig, &person.totp)).await.unwrap_err();
    let early = pass(&rig, "198.51.77.9", &stolen, &wrong_code(&rig, &person.totp)).await.unwrap_err();
    assert_eq!(early.fault.retry_after_s, Some(2));
}

async fn failures_are_forgotten_by_the_hour(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let fail = async || sign_in(&rig, ELSEWHERE, wrong(&person)).await.unwrap_err().fault.retry_after_s;
    for _ in 0..8 {
        while let Some(wait) = fail().await {
            rig.clock.advance_ms(i64::from(wait) * 1000);
        }
    }
    assert_eq!(fail().await, Some(8), "after eight");
    rig.clock.advance_ms(3_600_000);
    assert_eq!((fail().await, fail().await), (None, Some(1)), "four are left, and this one");
    rig.clock.advance_ms(3 * 3_600_000);
    for _ in 0..5 {
        assert_eq!(fail().await, None);
    }
    assert_eq!(fail().await, Some(1));
}

async fn users_of_one_address_are_counted_alike(rig: Rig) {
    let first = active(&rig, "a", "both@example.com").await;
    let second = active(&rig, "b", "both@example.com").await;
    first.sign_in(&rig, "192.0.2.7").await.unwrap_err();
    let of = |person: &Person| wire::SignInRequest {
        account_id: person.account.clone(),
        ..person.sign_in_request()
    };
    let challenge = sign_in(&rig, "192.0.2.7", of(&first)).await.unwrap();
    pass(&rig, "192.0.2.7", &challenge, &first.code(&rig)).await.unwrap();
    rig.clock.advance_ms(30_000);
    // The address is known there, the second user is not.
    let left = async || rig.count("attempts WHERE failures > 0").await;
    let before = left().await;
    for _ in 0..3 {
        sign_in(&rig, "192.0.2.7", wrong(&first)).await.unwrap_err();
    }
    assert_eq!(left().await, before + 1);
    let challenge = sign_in(&rig, "192.0.2.7", of(&second)).await.unwrap();
    pass(&rig, "192.0.2.7", &challenge, &second.code(&rig)).await.unwrap();
    assert_eq!(left().await, before, "what was counted for it is what was forgotten");
}

async fn made_up_and_early_tries_wait_for_no_writer(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    for _ in 0..5 {
        sign_in(&rig, ELSEWHERE, wrong(&person)).await.unwrap_err();
    }
    let made_up = "A".repeat(43);
    let tried = rig.identity.db.write(|_| {
        let (rig, person, made_up) = (&rig, &person, &made_up);
        Box::pin(async move {
            let reset = wire::ConfirmPasswordResetRequest {
                token: made_up.clone(),
                password: "another horse entirely".into(),
                code: "123456".into(),
            };
            let reset = rig.visit::<_, wire::ConfirmPasswordResetResponse>(HOME, CONFIRM_RESET, reset).await;
            Ok([
                sign_in(rig, ELSEWHERE, wrong(person)).await.unwrap_err().code(),
                pass(rig, HOME, made_up, "123456").await.unwrap_err().code(),
                activate(rig, made_up, "another horse entirely").await.unwrap_err().code(),
                confirm(rig, made_up, "123456").await.unwrap_err().code(),
                reset.unwrap_err().code(),
            ])
        })
    });
    let tried = tokio::time::timeout(std::time::Duration::from_secs(3), tried).await.unwrap().unwrap();
    let invalid = "credentials-invalid";
    assert_eq!(tried, ["rate-limited", invalid, invalid, invalid, invalid]);
}
