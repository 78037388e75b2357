//! The reference for people: one page that loads nothing, runs nothing, and reads on a phone and in the dark.

mod endpoint;
mod example;
mod html;
mod tables;

use super::describe::{Comments, Operation, operations};
use beem_proto::Contract;
use html::escape;
use std::fmt::Write;

const STYLE: &str = include_str!("docs/page.css");

/// What is the same for every endpoint, and how to sign: prose of our own, no part of the contract's files.
const BASICS: &str = include_str!("docs/basics.html");

/// How a person signs in, with curl: prose likewise.
const SIGNING_IN: &str = include_str!("docs/signing_in.html");

/// The page of `/docs`.
#[must_use]
pub fn docs_page(contract: &Contract) -> String {
    let comments = Comments::of(&contract.pool);
    let operations = operations(contract);
    let sections = sections(&operations);
    let mut page = String::with_capacity(64 * 1024);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>BEEM API reference</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n"
    );
    navigation(&mut page, &sections);
    page.push_str("<main>\n");
    let _ = write!(
        page,
        "<header class=\"title\"><h1>BEEM API reference</h1>\n<p class=\"lede\">{count} endpoints, version {version}. \
         The same contract for tools: <a href=\"/openapi.json\">openapi.json</a>.</p></header>\n{BASICS}{SIGNING_IN}",
        count = operations.len(),
        version = env!("CARGO_PKG_VERSION"),
    );
    for (name, members) in &sections {
        section(&mut page, name, members, &comments);
    }
    tables::role_matrix(&mut page, &operations);
    tables::error_codes(&mut page);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// The operations by gRPC service, in order.
fn sections<'o, 'c>(operations: &'o [Operation<'c>]) -> Vec<(String, Vec<&'o Operation<'c>>)> {
    let mut sections: Vec<(String, Vec<&Operation<'_>>)> = Vec::new();
    for operation in operations {
        let name = operation.method.descriptor.parent_service().name().to_owned();
        match sections.iter_mut().find(|(known, _)| *known == name) {
            Some((_, members)) => members.push(operation),
            None => sections.push((name, vec![operation])),
        }
    }
    sections
}

fn navigation(page: &mut String, sections: &[(String, Vec<&Operation<'_>>)]) {
    page.push_str("<nav aria-label=\"Contents\">\n<a class=\"brand\" href=\"#top\">BEEM</a>\n");
    page.push_str(
        "<ul>\n<li><a href=\"#basics\">Basics</a></li>\n<li><a href=\"#signing\">Signing</a></li>\n\
         <li><a href=\"#signing-in\">Signing in</a></li>\n",
    );
    for (name, members) in sections {
        let name = escape(name);
        let _ = writeln!(page, "<li><a href=\"#section-{name}\">{name}</a>\n<ul class=\"calls\">");
        for operation in members {
            let anchor = escape(&endpoint::anchor(operation));
            let call = escape(&operation.method.name);
            let _ = writeln!(page, "<li><a href=\"#{anchor}\">{call}</a></li>");
        }
        page.push_str("</ul></li>\n");
    }
    page.push_str("<li><a href=\"#roles\">Role matrix</a></li>\n<li><a href=\"#errors\">Errors</a></li>\n</ul>\n</nav>\n");
}

fn section(page: &mut String, name: &str, members: &[&Operation<'_>], comments: &Comments) {
    let comment = members.first().map_or("", |o| comments.service(o.method.descriptor.parent_service()));
    let (name, comment) = (escape(name), html::prose(comment));
    let _ =
        writeln!(page, "<section id=\"section-{name}\">\n<h2>{name}</h2>\n<p class=\"lede\">{comment}</p>");
    for operation in members {
        endpoint::article(page, operation, comments);
    }
    page.push_str("</section>\n");
}
