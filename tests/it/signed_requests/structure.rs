//! The two headers themselves: there, whole, well formed, and fitting each other.

use super::{Cast, Row};
use beem_tests::Wire;

const INPUT: &str = "signature-input";
const SIGNATURE: &str = "signature";

fn signed(cast: &Cast) -> Wire {
    cast.get().sign()
}

const fn invalid(name: &'static str, request: fn(&Cast) -> Wire) -> Row {
    Row { name, status: 401, code: "signature-invalid", request }
}

pub const ROWS: &[Row] = &[
    Row {
        name: "neither header",
        status: 401,
        code: "signature-missing",
        request: |c| signed(c).without(INPUT).without(SIGNATURE),
    },
    Row {
        name: "nothing at all on a write",
        status: 401,
        code: "signature-missing",
        request: |c| Wire::new(c.main.gateway.address, "POST", super::CLIENTS),
    },
    invalid("Signature-Input alone", |c| signed(c).without(SIGNATURE)),
    invalid("Signature alone", |c| signed(c).without(INPUT)),
    invalid("Signature-Input empty", |c| signed(c).replace(INPUT, "")),
    invalid("Signature empty", |c| signed(c).replace(SIGNATURE, "")),
    invalid("Signature-Input not a structured field", |c| signed(c).replace(INPUT, "sig=(\"@method\"")),
    invalid("Signature-Input not a list of components", |c| signed(c).replace(INPUT, "sig=\"@method\"")),
    invalid("Signature-Input with a label in capitals", |c| {
        signed(c).change(INPUT, |v| v.replacen("sig=", "Sig=", 1))
    }),
    invalid("Signature-Input with rubbish behind it", |c| signed(c).change(INPUT, |v| v + " ;;")),
    invalid("Signature-Input that is not ASCII", |c| {
        signed(c).change(INPUT, |v| v.replacen("ed25519", "\u{e9}d", 1))
    }),
    invalid("Signature not a byte sequence", |c| signed(c).change(SIGNATURE, |v| v.replace(':', "\""))),
    invalid("Signature a token", |c| signed(c).replace(SIGNATURE, "sig=abc")),
    invalid("Signature not base64", |c| signed(c).replace(SIGNATURE, "sig=:!!!!:")),
    invalid("label twice in Signature-Input", |c| signed(c).change(INPUT, |v| format!("{v}, {v}"))),
    invalid("label twice in Signature", |c| signed(c).change(SIGNATURE, |v| format!("{v}, {v}"))),
    invalid("label twice over two lines of Signature-Input", |c| {
        let wire = signed(c);
        let input = wire.value(INPUT);
        wire.header(INPUT, input)
    }),
    invalid("label twice over two lines of Signature", |c| {
        let wire = signed(c);
        let signature = wire.value(SIGNATURE);
        wire.header(SIGNATURE, signature)
    }),
    invalid("labels that do not match", |c| signed(c).change(SIGNATURE, |v| v.replacen("sig=", "other=", 1))),
    invalid("a second label without its signature", |c| {
        signed(c).change(INPUT, |v| format!("{v}, {}", v.replacen("sig=", "two=", 1)))
    }),
    invalid("a second signature without its label", |c| {
        signed(c).change(SIGNATURE, |v| format!("{v}, {}", v.replacen("sig=", "two=", 1)))
    }),
    invalid("a component twice", |c| c.get().covering(&["@method", "@target-uri", "@method"]).sign()),
    invalid("a field twice", |c| c.get().covering(&["@method", "@target-uri", "date", "date"]).sign()),
    invalid("a component that is a token", |c| {
        signed(c).change(INPUT, |v| v.replacen("\"@method\"", "method", 1))
    }),
    invalid("a field name in capitals", |c| c.get().covering(&["@method", "@target-uri", "Date"]).sign()),
    invalid("a field that is not there", |c| {
        c.get().covering(&["@method", "@target-uri", "x-absent"]).sign()
    }),
    invalid("a derived component nobody knows", |c| {
        c.get().covering(&["@method", "@target-uri", "@nope"]).sign()
    }),
    invalid("the status of a request", |c| c.get().covering(&["@method", "@target-uri", "@status"]).sign()),
    invalid("a query parameter that is not there", |c| {
        c.get().covering(&["@method", "@target-uri", "\"@query-param\";name=\"max\""]).sign()
    }),
    invalid("the signature parameters as a component", |c| {
        c.get().covering(&["@method", "@target-uri", "@signature-params"]).sign()
    }),
];
