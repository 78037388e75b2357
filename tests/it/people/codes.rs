//! Second factors and how often one may be wrong: codes reused, early, late, guessed; recovery codes; delays that an
//! attacker cannot turn against the one who is attacked.

use beem_tests::people::{
    CONFIRM, Factor, ME, RENEWAL, SECOND_FACTOR, SESSIONS, USERS, begin, new_password, new_user,
};
use beem_tests::totp::{code, step_now};
use beem_tests::{Answer, Person, Rig, Visitor, eventually, on_both_peoples_shapes};
use serde_json::{Value, json};

async fn person(rig: &Rig) -> Person {
    let owner = rig.as_client(&rig.new_account());
    rig.join(&owner, &Value::Null).await
}

async fn a_code_is_good_once_and_one_step_early_or_late(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let made = owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
    let token = rig.mailbox.token(made["email"].as_str().unwrap(), 1).await;
    let visitor = rig.visitor();
    let mut factor = begin(&visitor, &token, &new_password()).await;
    let confirm = async |code: &str| visitor.post(CONFIRM, &json!({ "token": token, "code": code })).await;
    for steps in [-3, 3, 20, -2880] {
        confirm(&code(&factor.key, step_now() + steps)).await.refused(401, "credentials-invalid");
    }
    factor.confirm(&visitor, &token).await.expect(200);
}

async fn a_used_code_is_used_up_for_every_purpose(rig: &Rig) {
    let person = person(rig).await;
    let (one, two, used) = (person.challenge().await, person.challenge().await, person.code());
    let answer = person.pass(&one, &used).await.expect(200);
    let session = person.visitor.with_token(answer["sessionToken"].as_str().unwrap());
    person.pass(&two, &used).await.refused(401, "credentials-invalid");
    session.post(RENEWAL, &json!({ "code": used })).await.refused(401, "credentials-invalid");
    // Codes of steps before one that was used are used up with it.
    let factor = person.factor();
    person.pass(&two, &code(&factor.key, step_now() - 1)).await.refused(401, "credentials-invalid");
    person.pass(&two, &person.code()).await.expect(200);
    // A challenge is good once, too.
    person.pass(&two, &person.recovery_code()).await.refused(401, "credentials-invalid");
}

/// Two at once with one code: one gets in.
async fn a_code_lets_one_of_two_in(rig: &Rig) {
    let person = person(rig).await;
    for code in [person.code(), person.recovery_code()] {
        let (one, two) = (person.challenge().await, person.challenge().await);
        let (a, b) = tokio::join!(person.pass(&one, &code), person.pass(&two, &code));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{} {}", a.text(), b.text());
    }
}

async fn a_recovery_code_is_good_once_however_it_is_written(rig: &Rig) {
    let person = person(rig).await;
    let given = person.recovery_code();
    let bare: String = given.chars().filter(|c| *c != '-').collect();
    let written = bare.to_uppercase();
    person.pass(&person.challenge().await, &written).await.expect(200);
    for again in [&given, &bare, &bare.to_lowercase()] {
        person.pass(&person.challenge().await, again).await.refused(401, "credentials-invalid");
    }
    person.pass(&person.challenge().await, &person.recovery_code()).await.expect(200);
}

/// Five wrong codes end a challenge, whichever comes next.
async fn a_challenge_does_not_bear_guessing(rig: &Rig) {
    let person = person(rig).await;
    let challenge = person.challenge().await;
    for n in 0..5 {
        person.pass(&challenge, &format!("00000{n}")).await.refused(401, "credentials-invalid");
    }
    let right = person.code();
    let last = person.pass(&challenge, &right).await;
    assert!(matches!(last.status, 401 | 429), "{}", last.text());
}

/// Told apart from a wrong password, and when to come again.
fn delayed(answer: &Answer) -> bool {
    if answer.status != 429 {
        return false;
    }
    answer.refused(429, "rate-limited");
    let seconds: u32 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    true
}

/// Guesses a password from places of its own, until one is told to wait.
async fn attack(person: &Person, attacker: &Visitor) {
    let wrong = json!({ "email": person.email, "password": "certainly not this one" });
    for _ in 0..40 {
        let answer = attacker.post(SESSIONS, &wrong).await;
        if delayed(&answer) {
            return;
        }
        answer.refused(401, "credentials-invalid");
    }
    panic!("forty wrong passwords and no delay");
}

async fn guessing_is_slowed_down_and_its_victim_is_not(rig: &Rig) {
    let person = person(rig).await;
    // A place it is known at.
    person.sign_in().await;
    let attacker = rig.visitor();
    attack(&person, &attacker).await;
    // From yet another place the address is still guarded.
    let elsewhere =
        rig.visitor().post(SESSIONS, &json!({ "email": person.email, "password": "x".repeat(12) })).await;
    assert!(delayed(&elsewhere), "{}", elsewhere.text());
    // The victim comes in as ever, and so does everybody else.
    person.sign_in().await.get(ME).await.expect(200);
    // A delay is no lock: the attacked one gets in from elsewhere as well, a little later.
    let away = person.at(&rig.visitor());
    eventually("a delay passes", || async {
        let answer = away.visitor.post(SESSIONS, &away.credentials()).await;
        (!delayed(&answer)).then(|| answer.expect(200))
    })
    .await;
}

/// An address nobody has is guarded alike: a delay tells nothing either.
async fn guessing_at_nobody_is_slowed_down_alike(rig: &Rig) {
    let real = person(rig).await;
    let nobody = real.with_email(&beem_tests::people::new_email());
    let mut counts = Vec::new();
    for victim in [&real, &nobody] {
        let mut count = 0;
        let wrong = json!({ "email": victim.email, "password": "certainly not this one" });
        while !delayed(&rig.visitor().post(SESSIONS, &wrong).await) {
            count += 1;
            assert!(count < 40, "forty wrong passwords and no delay");
        }
        counts.push(count);
    }
    assert_eq!(counts[0], counts[1]);
}

/// Many addresses from one place: the place is slowed down.
async fn guessing_at_many_is_slowed_down(rig: &Rig) {
    let attacker = rig.visitor();
    let mut count = 0;
    loop {
        let wrong = json!({ "email": beem_tests::people::new_email(), "password": "certainly not this one" });
        if delayed(&attacker.post(SESSIONS, &wrong).await) {
            break;
        }
        count += 1;
        assert!(count < 60, "sixty addresses and no delay");
    }
    assert!(count >= 5, "{count}: a family shares a place");
}

/// Whoever has the password does not guess the second factor.
async fn guessing_codes_is_slowed_down(rig: &Rig) {
    let person = person(rig).await;
    let thief = person.at(&rig.visitor());
    let mut count = 0;
    'guessing: loop {
        let first = thief.visitor.post(SESSIONS, &thief.credentials()).await;
        if first.status == 429 {
            break;
        }
        let challenge = first.expect(200)["challenge"].as_str().unwrap().to_owned();
        for n in 0..5 {
            let body = json!({ "challenge": challenge, "code": format!("{:06}", 100_000 + count * 10 + n) });
            let answer = thief.visitor.post(SECOND_FACTOR, &body).await;
            if answer.status == 429 {
                break 'guessing;
            }
            answer.refused(401, "credentials-invalid");
        }
        count += 1;
        assert!(count < 10, "fifty wrong codes and no delay");
    }
}

/// Another authenticator: the old one ends with the new one's first code.
async fn a_second_factor_is_renewed_with_a_code_of_the_present_one(rig: &Rig) {
    let person = person(rig).await;
    let (session, other) = (person.sign_in().await, person.sign_in().await);
    session.post(RENEWAL, &json!({ "code": "000000" })).await.refused(401, "credentials-invalid");
    let answer = session.post(RENEWAL, &json!({ "code": person.code() })).await.expect(200);
    let (mut new, token) = (Factor::of(&answer), answer["token"].as_str().unwrap().to_owned());
    assert_ne!(new.key, person.factor().key);
    // Until it is proven, the old one counts.
    person.pass(&person.challenge().await, &person.code()).await.expect(200);
    new.confirm(&person.visitor, &token).await.expect(200);
    let old = person.factor();
    person.took(new);
    other.gone("session-invalid").await;
    session.get(ME).await.expect(200);
    let challenge = person.challenge().await;
    for code in [code(&old.key, step_now() + 1), old.recovery[0].clone()] {
        person.pass(&challenge, &code).await.refused(401, "credentials-invalid");
    }
    person.sign_in().await.get(ME).await.expect(200);
    rig.mailbox.wait(&person.email, 2).await;
}

on_both_peoples_shapes!(
    a_code_is_good_once_and_one_step_early_or_late,
    a_used_code_is_used_up_for_every_purpose,
    a_code_lets_one_of_two_in,
    a_recovery_code_is_good_once_however_it_is_written,
    a_challenge_does_not_bear_guessing,
    guessing_is_slowed_down_and_its_victim_is_not,
    guessing_at_nobody_is_slowed_down_alike,
    guessing_at_many_is_slowed_down,
    guessing_codes_is_slowed_down,
    a_second_factor_is_renewed_with_a_code_of_the_present_one,
);
