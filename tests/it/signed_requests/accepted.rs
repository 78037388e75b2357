//! What must get in: all four algorithms, both ways to name the target, and the freedoms that 2.2 leaves a signer.

use super::{CLIENTS, ME};
use beem_signing::{Algorithm, KeyKind};
use beem_tests::forge::{Digest, Style, date_of, now_s, unique};
use beem_tests::{Answer, Client, Creds, Forge, Rig, Wire, on_both_shapes};
use serde_json::json;

async fn every_algorithm_signs_in_both_styles(rig: &Rig) {
    let roles = json!({ "roles": ["client:operator"] });
    for algorithm in Algorithm::ALL {
        let creds = rig.client().new_client_of(algorithm.key_kind(), &roles).await;
        for client in rig.everywhere(&creds.with_algorithm(algorithm)) {
            for style in [Style::TargetUri, Style::Parts] {
                let named = |f: &mut Forge| f.style = style;
                let profile = client.forge("GET", ME).with(named).sign().send().await.expect(200);
                assert_eq!(profile["username"], creds.client_id.as_str(), "{algorithm} {style:?}");
                let made = client.forge("POST", CLIENTS).json(&new_client()).with(named);
                let id = made.sign().send().await.expect(201)["id"].as_str().unwrap().to_owned();
                let path = format!("{CLIENTS}/{id}");
                let renamed = client.forge("PATCH", &path).json(&json!({ "name": "renamed" })).with(named);
                assert_eq!(renamed.sign().send().await.expect(200)["name"], "renamed");
                client.forge("DELETE", &path).with(named).sign().send().await.expect(200);
            }
        }
        // The key's own algorithm is used when the signature names none; of an RSA key that is the documented one.
        if algorithm != Algorithm::RsaPssSha512 {
            let client = rig.as_client(&creds.with_algorithm(algorithm));
            client.forge("GET", ME).with(|f| f.alg = None).sign().send().await.expect(200);
        }
    }
}

/// `("@method" "@target-uri" "content-digest" "date");created=…;keyid="…";alg="rsa-v1_5-sha256"`, with nothing else.
async fn the_documented_signer_gets_in_as_it_is(rig: &Rig) {
    let creds = rig.client().new_client_of(KeyKind::Rsa, &json!({ "roles": ["client:operator"] })).await;
    let client = rig.as_client(&creds);
    let bare = |f: &mut Forge| f.nonce = None;
    let read = client.forge("GET", ME).with(bare).sign();
    let wanted = format!(
        "sig=(\"@method\" \"@target-uri\" \"date\");created={};keyid=\"{}\";alg=\"rsa-v1_5-sha256\"",
        read.value("signature-input").split("created=").nth(1).unwrap().split(';').next().unwrap(),
        creds.client_id
    );
    assert_eq!(read.value("signature-input"), wanted);
    read.send().await.expect(200);
    let write = client.forge("POST", CLIENTS).json(&new_client()).with(bare).sign();
    assert!(
        write
            .value("signature-input")
            .starts_with("sig=(\"@method\" \"@target-uri\" \"content-digest\" \"date\");")
    );
    write.send().await.expect(201);
}

fn new_client() -> serde_json::Value {
    json!({ "name": "accepted", "publicKey": beem_tests::creds::new_key(KeyKind::Ed25519).public().pem() })
}

/// One freedom of a signer.
struct Freedom {
    name: &'static str,
    request: fn(&Client) -> Wire,
}

fn forge(client: &Client) -> Forge {
    client.forge("GET", "/platform/v1/clients?max=2&order=asc")
}

fn post(client: &Client) -> Forge {
    client.forge("POST", CLIENTS).json(&new_client())
}

const FREEDOMS: &[Freedom] = &[
    Freedom { name: "another label", request: |c| forge(c).with(|f| f.label = "beem-1.x_y*z".into()).sign() },
    Freedom {
        name: "the label is not signed",
        request: |c| {
            let wire = forge(c).sign();
            let renamed = |v: String| v.replacen("sig=", "other=", 1);
            wire.change("signature", renamed).change("signature-input", renamed)
        },
    },
    Freedom { name: "no date", request: |c| forge(c).with(|f| f.date = None).sign() },
    Freedom {
        name: "a date that is not covered may disagree",
        request: |c| {
            forge(c).with(|f| f.date = Some(date_of(0))).covering(&["@method", "@target-uri"]).sign()
        },
    },
    Freedom { name: "no nonce", request: |c| forge(c).with(|f| f.nonce = None).sign() },
    Freedom { name: "created 290 s ago", request: |c| forge(c).created_in(-290).sign() },
    Freedom { name: "created 50 s ahead", request: |c| forge(c).created_in(50).sign() },
    Freedom {
        name: "a date one second off",
        request: |c| {
            let now = now_s();
            forge(c).with(|f| (f.created, f.date) = (Some(now), Some(date_of(now - 1)))).sign()
        },
    },
    Freedom { name: "expires ahead", request: |c| forge(c).with(|f| f.expires = Some(now_s() + 60)).sign() },
    Freedom {
        name: "expires far beyond the window",
        request: |c| forge(c).with(|f| f.expires = Some(now_s() + 86_400)).sign(),
    },
    Freedom {
        name: "components in another order",
        request: |c| forge(c).covering(&["date", "@query", "@path", "@authority", "@method"]).sign(),
    },
    Freedom {
        name: "more than is needed",
        request: |c| {
            let all = [
                "@method",
                "@target-uri",
                "@authority",
                "@scheme",
                "@path",
                "@query",
                "@request-target",
                "date",
            ];
            forge(c).covering(&all).sign()
        },
    },
    Freedom {
        name: "a query parameter beside the target",
        request: |c| forge(c).covering(&["@method", "@target-uri", "\"@query-param\";name=\"max\""]).sign(),
    },
    Freedom {
        name: "a field of one's own",
        request: |c| {
            let forge = forge(c).with(|f| f.wire = f.wire.clone().header("x-own", "  a  b "));
            forge.covering(&["@method", "@target-uri", "x-own"]).sign()
        },
    },
    Freedom { name: "sha-512", request: |c| post(c).with(|f| f.digest = Digest::Sha512).sign() },
    Freedom { name: "both digests", request: |c| post(c).with(|f| f.digest = Digest::Both).sign() },
    Freedom {
        name: "a digest nobody knows beside one that is",
        request: |c| {
            let forge = post(c);
            let text = format!("{}, md5=:AAAA:", beem_tests::forge::sha256(&forge.wire.body));
            forge.with(|f| f.digest = Digest::As(text)).sign()
        },
    },
    Freedom {
        name: "JSON called by its longer name",
        request: |c| {
            post(c)
                .with(|f| f.wire = f.wire.clone().replace("content-type", "Application/JSON; charset=UTF-8"))
                .sign()
        },
    },
    Freedom {
        name: "headers over two lines",
        request: |c| {
            let (wire, input, signature) = forge(c).parts();
            let wire = wire
                .header("signature-input", input)
                .header("signature-input", "other=(\"@method\");keyid=\"x\"");
            wire.header("signature", signature).header("signature", "other=:AAAA:")
        },
    },
    Freedom {
        name: "a stranger's signature first",
        request: |c| {
            let (wire, input, signature) = forge(c).parts();
            let wire = wire.header("signature-input", format!("cdn=(\"@method\");keyid=\"cdn\", {input}"));
            wire.header("signature", format!("cdn=:AAAA:, {signature}"))
        },
    },
    Freedom {
        name: "a stranger's signature last",
        request: |c| {
            let (wire, input, signature) = forge(c).parts();
            let wire =
                wire.header("signature-input", format!("{input}, cdn=(\"x-not-there\");keyid=\"cdn\""));
            wire.header("signature", format!("{signature}, cdn=:AAAA:"))
        },
    },
    Freedom {
        name: "a host with a dot of capitals",
        request: |c| {
            let port = c.gateway.address.port();
            forge(c)
                .with(|f| {
                    f.origin = format!("http://localhost:{port}");
                    f.wire.host = format!("LocalHost:{port}");
                })
                .sign()
        },
    },
    Freedom {
        name: "an absolute target",
        request: |c| {
            let mut wire = forge(c).sign();
            wire.target = format!("http://{}{}", wire.host, wire.target);
            wire
        },
    },
    Freedom {
        name: "localhost in parts",
        request: |c| {
            let origin = format!("http://localhost:{}", c.gateway.address.port());
            forge(c)
                .with(|f| {
                    f.style = Style::Parts;
                    f.wire.host = origin.trim_start_matches("http://").into();
                    f.origin = origin;
                })
                .sign()
        },
    },
];

async fn a_signer_has_freedoms(rig: &Rig) {
    let client = rig.client();
    let mut wrong = Vec::new();
    for freedom in FREEDOMS {
        let answer = (freedom.request)(&client).send().await;
        if !matches!(answer.status, 200 | 201) {
            wrong.push(format!("{}: {} {}", freedom.name, answer.status, answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FREEDOMS.len(), wrong.join("\n"));
}

/// Of two signatures by known clients the first is judged, and the other plays no part.
async fn the_first_known_label_is_judged(rig: &Rig) {
    let (one, two) = (rig.client(), rig.as_client(&rig.new_client(&[]).await));
    let signed = |client: &Client, label: &str, date: &str| {
        let forge = client.forge("GET", ME).with(|f| (f.label, f.date) = (label.into(), Some(date.into())));
        forge.with(|f| f.created = Some(now_s())).parts()
    };
    let date = date_of(now_s());
    let both = |a: (Wire, String, String), b: (Wire, String, String)| {
        let wire = a.0.header("signature-input", format!("{}, {}", a.1, b.1));
        wire.header("signature", format!("{}, {}", a.2, b.2))
    };
    let username = |answer: Answer| answer.expect(200)["username"].as_str().unwrap().to_owned();
    let answer = both(signed(&one, "a", &date), signed(&two, "b", &date)).send().await;
    assert_eq!(username(answer), one.creds.client_id);
    let answer = both(signed(&two, "a", &date), signed(&one, "b", &date)).send().await;
    assert_eq!(username(answer), two.creds.client_id);
    // Labels of somebody else, however many stand before ours, are left alone.
    let foreign =
        |n: u8| (format!("f{n}=();created={};keyid=\"proxy {n}\"", now_s()), format!("f{n}=:AAAA:"));
    let (mut ours, others) = (signed(&one, "ours", &date), [1, 2, 3].map(foreign));
    for (input, signature) in others {
        (ours.1, ours.2) = (format!("{input}, {}", ours.1), format!("{signature}, {}", ours.2));
    }
    let wire = ours.0.header("signature-input", ours.1).header("signature", ours.2);
    assert_eq!(username(wire.send().await), one.creds.client_id);
    let mut bad = signed(&two, "a", &date);
    bad.2 = bad.2.replacen("a=:", "a=:AAAA", 1);
    both(bad, signed(&one, "b", &date)).send().await.refused(401, "signature-invalid");
}

/// The same over HTTP/2, where `:authority` takes the place of `Host`.
async fn http_2_is_served_alike(rig: &Rig) {
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    for (style, body) in [(Style::TargetUri, None), (Style::Parts, Some(new_client()))] {
        let client = rig.client();
        let forge = match &body {
            None => client.forge("GET", ME),
            Some(body) => client.forge("POST", CLIENTS).json(body),
        };
        let wire = forge.with(|f| f.style = style).sign();
        let url = format!("{}{}", client.gateway.url, wire.target);
        let mut request = http2.request(wire.method.parse().unwrap(), url).body(wire.body.clone());
        for (name, value) in &wire.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.version(), http::Version::HTTP_2);
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        assert!(answer.headers().contains_key("x-request-id"));
    }
}

async fn an_id_from_outside_is_not_taken(rig: &Rig) {
    let wire = rig.client().forge("GET", ME).sign().header("x-request-id", unique());
    let id = wire.value("x-request-id");
    assert_ne!(wire.send().await.header("x-request-id"), Some(id.as_str()));
}

on_both_shapes!(
    every_algorithm_signs_in_both_styles,
    the_documented_signer_gets_in_as_it_is,
    a_signer_has_freedoms,
    the_first_known_label_is_judged,
    http_2_is_served_alike,
    an_id_from_outside_is_not_taken,
);

/// Judged against the public origins of the settings, whatever a proxy wrote; default ports and case are no part of a name.
#[tokio::test]
async fn public_origins_are_what_a_target_is_judged_against() {
    let rig = Rig::start_embedded(&[
        (
            "BEEM__GATEWAY__PUBLIC_ORIGINS",
            "[\"http://shop.example\", \"https://api.example\", \"http://{address}\"]",
        ),
        ("BEEM__GATEWAY__TRUSTED_PROXIES", "[\"127.0.0.1\"]"),
    ]);
    let key = beem_tests::creds::new_key(KeyKind::Ed25519);
    let body =
        json!({ "name": "mapped", "publicKey": key.public().pem(), "networkWhitelist": ["203.0.113.7"] });
    let made = rig.client().forge("POST", CLIENTS).json(&body).sign().send().await.expect(201);
    let client_id = made["clientId"].as_str().unwrap().to_owned();
    let creds = Creds { client_id, ..rig.main.with_key(&key) };
    let as_host = |origin: &str, host: &str| {
        let forge = rig.as_client(&creds).forge("GET", ME);
        let forge = forge.with(|f| (f.origin, f.wire.host) = (origin.into(), host.into()));
        forge.sign().header("x-forwarded-for", "::ffff:203.0.113.7")
    };
    for (origin, host) in [
        ("https://api.example", "api.example"),
        ("https://api.example", "API.Example:443"),
        ("http://shop.example", "shop.example:80"),
        ("http://shop.example", "SHOP.example"),
    ] {
        as_host(origin, host).send().await.expect(200);
    }
    as_host("http://api.example", "api.example").send().await.refused(401, "signature-invalid");
    as_host("https://api.example", "other.example").send().await.refused(421, "misdirected");
}
