//! Which RPC a verb and a path mean.

use crate::contracts;
use beem_gateway::routes::{Match, Routes, allow};
use beem_proto::Contract;

/// "GetThing(id=7)", "405 GET, HEAD", "404".
fn said(routes: &Routes, verb: &str, path: &str) -> String {
    match routes.find(&verb.parse().unwrap(), path) {
        Match::Found(found) => {
            let variables: Vec<String> =
                found.variables.iter().map(|v| format!("{}={}", v.field.name(), v.raw)).collect();
            format!("{}({})", found.method.name, variables.join(","))
        }
        Match::WrongMethod(verbs) => format!("405 {}", allow(&verbs)),
        Match::Nothing => "404".into(),
    }
}

#[test]
fn a_verb_and_a_path_mean_one_rpc() {
    let routes = Routes::from_contract(&contracts::sample()).unwrap();
    let cases = [
        ("GET", "/t/v1/things", "ListThings()"),
        ("HEAD", "/t/v1/things", "ListThings()"),
        ("POST", "/t/v1/things", "CreateThing()"),
        ("GET", "/t/v1/things/7", "GetThing(id=7)"),
        ("GET", "/t/v1/things/newest", "GetNewest()"),
        ("GET", "/t/v1/things/newest2", "GetThing(id=newest2)"),
        // A literal without this verb does not hide the variable beside it.
        ("DELETE", "/t/v1/things/newest", "DeleteThing(id=newest)"),
        ("GET", "/t/v1/parts/9/thing/x%2Fy", "GetThing(part_number=9,id=x%2Fy)"),
        ("PUT", "/t/v1/things/7/details", "PutDetails(id=7)"),
        ("DELETE", "/t/v1/things", "405 GET, HEAD, POST"),
        ("PUT", "/t/v1/things/7", "405 GET, HEAD, PATCH, DELETE"),
        ("OPTIONS", "/t/v1/things/7/details", "405 PUT"),
        ("PROPFIND", "/t/v1/nothing", "404"),
        ("GET", "/t/v1/things/", "404"),
        ("GET", "/t/v1/things/7/", "404"),
        ("GET", "/t/v1//things", "404"),
        ("GET", "//t/v1/things", "404"),
        ("GET", "/t/v1/thing%73", "404"),
        ("GET", "/T/v1/things", "404"),
        ("GET", "/", "404"),
        ("GET", "", "404"),
        ("GET", "*", "404"),
        ("GET", "/t/v1/things/7/details/more", "404"),
    ];
    for (verb, path, wanted) in cases {
        assert_eq!(said(&routes, verb, path), wanted, "{verb} {path}");
    }
}

#[test]
fn the_contract_of_this_build_has_routes() {
    let contract = Contract::load().unwrap();
    let routes = Routes::from_contract(&contract).unwrap();
    assert_eq!(said(&routes, "POST", "/platform/v1/clients/0198/rotate"), "RotateClientKey(id=0198)");
    for method in contract.methods().filter(|m| m.http.is_empty()) {
        assert_eq!(said(&routes, "POST", &method.path), "404", "internal methods have no place in HTTP");
    }
}

fn refused(methods: &str, messages: &str) -> String {
    let messages = format!("message Out {{ string id = 1; }} {messages}");
    Routes::from_contract(&contracts::with(methods, &messages)).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_routed_stops_the_start() {
    let m = contracts::method;
    let twice = format!("{}{}", m("A", "Out", "get: \"/a/{id}\""), m("B", "In", "get: \"/a/{x}\""));
    assert!(
        refused(&twice, "message In { string x = 1; }").contains("declared by"),
        "same route, other names"
    );
    let cases = [
        ("get: \"a\"", "string x = 1;", "slash"),
        ("get: \"/a/{x=b/*}\"", "string x = 1;", "cannot read"),
        ("get: \"/a/{y}\"", "string x = 1;", "no single field"),
        ("get: \"/a/{x}\"", "repeated string x = 1;", "no single field"),
        ("get: \"/a/{x}\"", "Out x = 1;", "no single field"),
        ("get: \"/a/{x}/{x}\"", "string x = 1;", "twice"),
        ("post: \"/a\" body: \"x\"", "string x = 1;", "no single message field"),
        ("post: \"/a\" body: \"*\"", "map<string, string> x = 1;", "no map"),
        (
            "post: \"/a\" body: \"*\"",
            "Deep x = 1; message Deep { google.protobuf.Struct y = 1; }",
            "no google.protobuf.Struct",
        ),
        ("post: \"/a\" body: \"*\"", "google.protobuf.FieldMask mask = 1;", "no google.protobuf.FieldMask"),
    ];
    for (http, fields, problem) in cases {
        let error = refused(&m("A", "In", http), &format!("message In {{ {fields} }}"));
        assert!(error.contains(problem), "{http} {fields}: {error}");
    }
}

#[test]
fn a_recursive_request_is_no_endless_walk() {
    let method = contracts::method("A", "In", "post: \"/a\" body: \"*\"");
    let contract = contracts::with(&method, "message Out {} message In { In again = 1; }");
    Routes::from_contract(&contract).unwrap();
}
