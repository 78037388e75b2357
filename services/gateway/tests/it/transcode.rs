//! Every rule of 2.1 about requests, each with its exact code and path; answers field by field; and both ways against
//! prost-reflect's own proto3 JSON.

use crate::contracts;
use beem_fault::{Code, Fault};
use beem_gateway::routes::{Match, Routes};
use beem_gateway::transcode::{decode, encode};
use beem_proto::Contract;
use http::HeaderMap;
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use std::sync::LazyLock;

struct Sample {
    contract: Contract,
    routes: Routes,
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let contract = contracts::sample();
    Sample { routes: Routes::from_contract(&contract).unwrap(), contract }
});

/// Sends `GET /path?query` with a body and headers.
fn send(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(MessageDescriptor, Vec<u8>), Fault> {
    let (verb, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let Match::Found(found) = SAMPLE.routes.find(&verb.parse().unwrap(), path) else {
        panic!("no route: {line}")
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    decode(&found, query, &map, body).map(|bytes| (found.method.descriptor.input(), bytes))
}

/// What arrived, as prost-reflect writes it (defaults left out).
fn arrived(line: &str, body: &str) -> serde_json::Value {
    let (input, bytes) = send(line, &[], body.as_bytes()).unwrap_or_else(|f| panic!("{line} {body}: {f}"));
    let message = DynamicMessage::decode(input, bytes.as_slice()).unwrap();
    let options = SerializeOptions::new().stringify_64_bit_integers(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}

const V: Code = Code::ValidationFailed;
const U: Code = Code::UnknownField;
const M: Code = Code::MalformedJson;

/// Stands for no field: the fault names a line and a column.
const BY_LINE: &str = "at a line";

#[test]
fn every_bad_body_says_what_is_wrong_and_where() {
    let cases: &[(&str, Code, &str)] = &[
        // Unknown fields, at every depth; proto names; what only the gateway sets.
        (r#"{"adress":"x"}"#, U, "adress"),
        (r#"{"payOutDetails":{"adress":"x"}}"#, U, "payOutDetails.adress"),
        (r#"{"list":[{},{"parts":[{"x":1}]}]}"#, U, "list[1].parts[0].x"),
        (r#"{"pay_out_details":{}}"#, U, "pay_out_details"),
        (r#"{"date_created":"2026-01-01T00:00:00Z"}"#, U, "date_created"),
        (r#"{"present":"id"}"#, U, "present"),
        (r#"{"":1}"#, U, ""),
        (r#"{"Id":"x"}"#, U, "Id"),
        // Duplicate keys, however they are written.
        (r#"{"id":"a","id":"a"}"#, M, "id"),
        (r#"{"id":"a","\u0069d":"b"}"#, M, "id"),
        (r#"{"list":[{"parts":[{"tag":"a","tag":"b"}]}]}"#, M, "list[0].parts[0].tag"),
        (r#"{"zzz":{"a":1,"a":1}}"#, M, "zzz.a"),
        // null is no value, anywhere.
        (r#"{"id":null}"#, V, "id"),
        (r#"{"maybe":null}"#, V, "maybe"),
        (r#"{"payOutDetails":null}"#, V, "payOutDetails"),
        (r#"{"roles":["a",null]}"#, V, "roles[1]"),
        (r#"{"roles":null}"#, V, "roles"),
        // Types.
        (r#"{"id":7}"#, V, "id"),
        (r#"{"id":["a"]}"#, V, "id"),
        (r#"{"enabled":"true"}"#, V, "enabled"),
        (r#"{"enabled":1}"#, V, "enabled"),
        (r#"{"roles":"a"}"#, V, "roles"),
        (r#"{"roles":{"0":"a"}}"#, V, "roles"),
        (r#"{"roles":["a",{"x":1}]}"#, V, "roles[1]"),
        (r#"{"payOutDetails":[]}"#, V, "payOutDetails"),
        (r#"{"payOutDetails":"x"}"#, V, "payOutDetails"),
        (r#"{"id":"a\u0000b"}"#, V, "id"),
        // Whole numbers.
        (r#"{"small":1.5}"#, V, "small"),
        (r#"{"small":1.0}"#, V, "small"),
        (r#"{"small":1e2}"#, V, "small"),
        (r#"{"small":2147483648}"#, V, "small"),
        (r#"{"small":"1"}"#, V, "small"),
        (r#"{"count":-1}"#, V, "count"),
        (r#"{"count":4294967296}"#, V, "count"),
        (r#"{"total":-1}"#, V, "total"),
        (r#"{"total":9007199254740993}"#, V, "total"),
        (r#"{"total":"9007199254740993"}"#, V, "total"),
        (r#"{"total":99999999999999999999999999}"#, V, "total"),
        (r#"{"total":"+1"}"#, V, "total"),
        (r#"{"total":"01"}"#, V, "total"),
        (r#"{"total":" 1"}"#, V, "total"),
        (r#"{"total":""}"#, V, "total"),
        (r#"{"large":-9007199254740993}"#, V, "large"),
        (r#"{"large":true}"#, V, "large"),
        (r#"{"ratio":1e999}"#, V, "ratio"),
        (r#"{"ratio":"NaN"}"#, V, "ratio"),
        // Texts of a certain form.
        (r#"{"data":"§"}"#, V, "data"),
        (r#"{"data":"YQ"}"#, V, "data"),
        (r#"{"status":"THING_STATUS_ACTIVE"}"#, V, "status"),
        (r#"{"status":"active"}"#, V, "status"),
        (r#"{"status":"UNSPECIFIED"}"#, V, "status"),
        (r#"{"status":1}"#, V, "status"),
        (r#"{"history":["ACTIVE","GONE"]}"#, V, "history[1]"),
        (r#"{"dateCreated":"yesterday"}"#, V, "dateCreated"),
        (r#"{"dateCreated":"2026-01-01"}"#, V, "dateCreated"),
        (r#"{"dateCreated":"2026-02-30T00:00:00Z"}"#, V, "dateCreated"),
        (r#"{"dateCreated":0}"#, V, "dateCreated"),
        (r#"{"dateCreated":{"seconds":1}}"#, V, "dateCreated"),
        (r#"{"left":"a","right":1}"#, V, "right"),
    ];
    refused(cases);
}

fn refused(cases: &[(&str, Code, &str)]) {
    for (body, code, field) in cases {
        let fault = send("POST /t/v1/things", &[], body.as_bytes()).expect_err(body);
        assert_eq!(fault.code, *code, "{body}: {fault}");
        let fields: Vec<_> = fault.fields.iter().map(|f| (f.field.as_str(), f.code)).collect();
        let wanted: &[_] = if *field == BY_LINE { &[] } else { &[(*field, *code)] };
        assert_eq!(fields, wanted, "{body}: {fault}");
    }
}

#[test]
fn what_is_no_amount_of_money_is_refused_where_it_stands() {
    refused(&[
        // Money is digits in a string or a number, nothing else; and a number is no other text.
        (r#"{"amount":true}"#, V, "amount"),
        (r#"{"amount":null}"#, V, "amount"),
        (r#"{"amount":[1]}"#, V, "amount"),
        (r#"{"amounts":1}"#, V, "amounts"),
        (r#"{"amounts":[1,[2]]}"#, V, "amounts[1]"),
        (r#"{"amounts":[1,null]}"#, V, "amounts[1]"),
        (r#"{"price":{"currency":1}}"#, V, "price.currency"),
        (r#"{"amount":01}"#, M, BY_LINE),
        (r#"{"amount":.5}"#, M, BY_LINE),
        (r#"{"amount":1.}"#, M, BY_LINE),
        (r#"{"amount":NaN}"#, M, BY_LINE),
    ]);
}

/// Every way to write an amount arrives as it was written, whether as a number or as a string: what is no amount is the
/// service's to refuse.
#[test]
fn money_arrives_in_its_own_digits() {
    use serde_json::json;
    let thirty = "123456789012345678901234567890";
    let deep = format!("0.{}", "3".repeat(60));
    for digits in ["1.10", "1e3", "-5", "0.1", "0", "-0", "1E+2", "100.0", "1e400", thirty, &deep] {
        for written in [digits.to_owned(), format!("\"{digits}\"")] {
            let body = format!(
                r#"{{"amount":{written},"amounts":["1",{written}, 2.50],"price":{{"amount":{written}}},
                "prices":[{{}},{{"amount":{written},"currency":"EUR"}}]}}"#
            );
            let wanted = json!({
                "amount": digits, "amounts": ["1", digits, "2.50"], "price": {"amount": digits},
                "prices": [{}, {"amount": digits, "currency": "EUR"}],
                "present": "amount,amounts,price,prices",
            });
            assert_eq!(arrived("POST /t/v1/things", &body), wanted, "{body}");
        }
    }
    // A query has texts only, and they are the amount.
    let listed = arrived("GET /t/v1/things?atLeast=1.10", "");
    assert_eq!(listed, json!({"atLeast": "1.10"}));
}

#[test]
fn a_body_that_is_no_json_object_is_refused_as_such() {
    let cases: &[(&str, Code, &str)] = &[
        ("{", M, "line 1 column 2"),
        ("{\"id\":\n  x}", M, "line 2 column 3"),
        ("{} {}", M, "line 1 column 4"),
        (" ", M, "line 1 column 2"),
        ("[]", V, "not a list"),
        ("\"x\"", V, "not a string"),
        ("null", V, "not null"),
        ("7", V, "not a number"),
    ];
    for (body, code, text) in cases {
        let fault = send("POST /t/v1/things", &[], body.as_bytes()).expect_err(body);
        assert_eq!(fault.code, *code, "{body}");
        assert!(fault.detail.contains(text) && fault.fields.is_empty(), "{body}: {fault}");
    }
    let deep = format!("{}{}", "{\"payOutDetails\":".repeat(40), "}".repeat(40));
    assert_eq!(send("POST /t/v1/things", &[], deep.as_bytes()).unwrap_err().code, M);
    assert_eq!(send("POST /t/v1/things", &[], b"{\"id\":\"\xff\"}").unwrap_err().code, M);
}

#[test]
fn paths_and_queries_are_judged_like_bodies() {
    let cases: &[(&str, &str, Code, &str)] = &[
        ("GET /t/v1/things?maximum=1", "", U, "maximum"),
        ("GET /t/v1/things?page_token=x", "", U, "page_token"),
        ("GET /t/v1/things?details=x", "", U, "details"),
        ("GET /t/v1/things?details.address=x", "", U, "details.address"),
        ("GET /t/v1/things?max=1&max=1", "", V, "max"),
        ("GET /t/v1/things?max=1&m%61x=2", "", V, "max"),
        ("GET /t/v1/things?max=", "", V, "max"),
        ("GET /t/v1/things?max", "", V, "max"),
        ("GET /t/v1/things?max=-1", "", V, "max"),
        ("GET /t/v1/things?max=1.0", "", V, "max"),
        ("GET /t/v1/things?max=%31%", "", V, "max"),
        ("GET /t/v1/things?pageToken=%ff", "", V, "pageToken"),
        ("GET /t/v1/things?pageToken=%00", "", V, "pageToken"),
        ("GET /t/v1/things?closed=1", "", V, "closed"),
        ("GET /t/v1/things?status=ACTIVE&status=x", "", V, "status"),
        ("GET /t/v1/things?from=today", "", V, "from"),
        ("GET /t/v1/things?from=2026-01-01T00:00:00Z&from=2026-01-01T00:00:00Z", "", V, "from"),
        ("GET /t/v1/things?after=9007199254740993", "", V, "after"),
        ("GET /t/v1/things/7?id=8", "", U, "id"),
        ("GET /t/v1/things/%zz", "", V, "id"),
        ("GET /t/v1/things/%ff", "", V, "id"),
        ("GET /t/v1/things/a%00", "", V, "id"),
        ("GET /t/v1/parts/x/thing/7", "", V, "partNumber"),
        ("GET /t/v1/things/7", "{\"id\":\"8\"}", U, "id"),
        ("DELETE /t/v1/things/7", "{\"x\":1}", U, "x"),
        ("POST /t/v1/things?id=7", "{}", U, "id"),
        ("PATCH /t/v1/things/7?name=x", "{}", U, "name"),
        ("PATCH /t/v1/things/7", "{\"id\":\"7\"}", U, "id"),
        ("PATCH /t/v1/things/7", "{\"enabled\":null}", V, "enabled"),
        ("PATCH /t/v1/things/7", "{\"present\":\"name\"}", U, "present"),
        ("PUT /t/v1/things/7/details?details=x", "{}", U, "details"),
        ("PUT /t/v1/things/7/details", "{\"details\":{}}", U, "details"),
        ("PUT /t/v1/things/7/details", "{\"parts\":[{\"tag\":1}]}", V, "parts[0].tag"),
    ];
    for (line, body, code, field) in cases {
        let fault = send(line, &[], body.as_bytes()).expect_err(line);
        assert_eq!((fault.code, fault.fields[0].field.as_str()), (*code, *field), "{line} {body}: {fault}");
    }
    assert_eq!(send("GET /t/v1/things/7", &[], b"[]").unwrap_err().code, V);
}

#[test]
fn media_types_and_encodings() {
    let ok: &[&[(&str, &str)]] = &[
        &[],
        &[("content-type", "application/json")],
        &[("content-type", "Application/JSON; Charset=\"UTF-8\"")],
        &[("content-type", "application/json;charset=utf-8;")],
        &[("content-encoding", "identity")],
    ];
    for headers in ok {
        send("POST /t/v1/things", headers, b"{}").unwrap_or_else(|f| panic!("{headers:?}: {f}"));
    }
    let refused: &[&[(&str, &str)]] = &[
        &[("content-type", "text/plain")],
        &[("content-type", "application/json; charset=latin1")],
        &[("content-type", "application/json; boundary=x")],
        &[("content-type", "application/jsonx")],
        &[("content-type", "application/problem+json")],
        &[("content-type", "application/json"), ("content-type", "application/json")],
        &[("content-type", "")],
        &[("content-encoding", "gzip")],
        &[("content-encoding", "identity, gzip")],
        &[("content-encoding", "")],
    ];
    for headers in refused {
        let fault = send("POST /t/v1/things", headers, b"{}").expect_err(&format!("{headers:?}"));
        assert_eq!(fault.code, Code::UnsupportedMediaType, "{headers:?}");
    }
    send("GET /t/v1/things/7", &[("content-type", "text/plain")], b"").unwrap();
    let fault = send("GET /t/v1/things/7", &[("content-encoding", "br")], b"").unwrap_err();
    assert_eq!(fault.code, Code::UnsupportedMediaType);
}

#[test]
fn what_is_valid_arrives() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let cases = [
        ("GET /t/v1/things", "", "{}"),
        ("GET /t/v1/things?", "", "{}"),
        ("GET /t/v1/things?&&max=0&", "{}", r#"{"max":0}"#),
        (
            "GET /t/v1/things?pageToken=a+b%2Bc%26&closed=false",
            "",
            r#"{"pageToken":"a b+c&","closed":false}"#,
        ),
        (
            "GET /t/v1/things?status=CLOSED&status=ACTIVE",
            "",
            r#"{"status":["THING_STATUS_CLOSED","THING_STATUS_ACTIVE"]}"#,
        ),
        ("GET /t/v1/things?from=2026-01-01T01:00:00%2B01:00", "", r#"{"from":"2026-01-01T00:00:00Z"}"#),
        ("GET /t/v1/things?after=9007199254740992", "", r#"{"after":9007199254740992}"#),
        ("GET /t/v1/things/a%2Fb+c", "", r#"{"id":"a/b+c"}"#),
        ("GET /t/v1/parts/9/thing/x", "", r#"{"id":"x","partNumber":9}"#),
        ("GET /t/v1/things/x?partNumber=3", "", r#"{"id":"x","partNumber":3}"#),
        ("PUT /t/v1/things/7/details", "", r#"{"id":"7","details":{}}"#),
        (
            "PUT /t/v1/things/7/details?at=2026-01-01T00:00:00Z",
            r#"{"tag":""}"#,
            r#"{"id":"7","details":{"tag":""},"at":"2026-01-01T00:00:00Z"}"#,
        ),
        (
            "POST /t/v1/things",
            r#"{"total":"9007199254740992","large":-1}"#,
            r#"{"large":-1,"total":9007199254740992,"present":"large,total"}"#,
        ),
        (
            "POST /t/v1/things",
            r#"{"right":0,"maybe":false}"#,
            r#"{"maybe":false,"right":0,"present":"maybe,right"}"#,
        ),
    ];
    for (line, body, wanted) in cases {
        assert_eq!(arrived(line, body), json(wanted), "{line} {body}");
    }
}

#[test]
fn present_tells_an_empty_list_from_an_absent_one() {
    let paths = |body: &str| {
        let (input, bytes) = send("PATCH /t/v1/things/7", &[], body.as_bytes()).unwrap();
        let message = DynamicMessage::decode(input, bytes.as_slice()).unwrap();
        assert!(message.has_field_by_name("present"));
        let mask: prost_types::FieldMask =
            message.get_field_by_name("present").unwrap().as_message().unwrap().transcode_to().unwrap();
        mask.paths
    };
    assert_eq!(paths(""), Vec::<String>::new());
    assert_eq!(paths("{}"), Vec::<String>::new());
    assert_eq!(paths(r#"{"networkWhitelist":[],"enabled":false}"#), ["network_whitelist", "enabled"]);
}

#[test]
fn equal_requests_have_equal_bytes() {
    let (_, one) = send("POST /t/v1/things", &[], br#"{"id":"a","count":1,"roles":["x"]}"#).unwrap();
    let (_, two) =
        send("POST /t/v1/things", &[], br#" {"roles" : ["\u0078"], "count":1, "id":"a"}"#).unwrap();
    assert_eq!(one, two);
}

fn answer(name: &str, json: &str) -> String {
    let method = SAMPLE.contract.methods().find(|m| m.name == name).unwrap();
    let mut reader = serde_json::Deserializer::from_str(json);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message =
        DynamicMessage::deserialize_with_options(method.descriptor.output(), &mut reader, &options).unwrap();
    String::from_utf8(encode(method, &message.encode_to_vec()).unwrap().to_vec()).unwrap()
}

#[test]
fn answers_write_defaults_and_leave_out_what_is_absent() {
    let wanted = concat!(
        r#"{"id":"","enabled":false,"small":0,"large":0,"count":0,"total":0,"ratio":0.0,"data":"","#,
        r#""status":"UNSPECIFIED","roles":[],"list":[],"totals":{},"history":[]}"#
    );
    assert_eq!(answer("GetThing", "{}"), wanted);
}

#[test]
fn answers_are_proto3_json_with_numbers() {
    let given = r#"{"id":"q\"\n\u0001é","enabled":true,"small":-5,"large":"-9007199254740992","count":4294967295,
        "total":"9007199254740992","ratio":0.25,"data":"AP8=","status":"THING_STATUS_CLOSED","roles":["a","b"],
        "list":[{"address":"x","tag":""}],"payOutDetails":{},"dateCreated":"2026-07-30T12:00:00.120Z",
        "maybe":false,"right":0,"totals":{"b":"2","a":"1"},"history":["THING_STATUS_ACTIVE"]}"#;
    let wanted = concat!(
        r#"{"id":"q\"\n\u0001é","enabled":true,"small":-5,"large":-9007199254740992,"count":4294967295,"#,
        r#""total":9007199254740992,"ratio":0.25,"data":"AP8=","status":"CLOSED","roles":["a","b"],"#,
        r#""list":[{"address":"x","tag":"","parts":[]}],"payOutDetails":{"address":"","parts":[]},"#,
        r#""dateCreated":"2026-07-30T12:00:00.120Z","maybe":false,"right":0,"totals":{"a":1,"b":2},"#,
        r#""history":["ACTIVE"]}"#
    );
    assert_eq!(answer("GetThing", given), wanted);
}

#[test]
fn an_answer_that_is_not_the_contracts_is_our_fault() {
    let method = SAMPLE.contract.methods().find(|m| m.name == "GetThing").unwrap();
    assert_eq!(encode(method, b"\xff\xff\xff").unwrap_err().code, Code::Internal);
}
