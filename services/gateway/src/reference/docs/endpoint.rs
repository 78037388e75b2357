//! One endpoint: what it does, who may call it, what goes in, what comes out, and a call to copy.

use super::example;
use super::html::{escape, prose};
use crate::reference::describe::{Comments, Operation, access, object, type_name, values, visible};
use prost_reflect::{FieldDescriptor, MessageDescriptor};
use std::fmt::Write;

/// Objects within objects that a table of fields follows.
const NESTING_MAX: usize = 5;

/// A row of a table of fields.
struct Row {
    /// `content[].id`.
    name: String,
    type_name: String,
    /// `path`, `query`, `body`; empty in answers.
    place: &'static str,
    text: String,
    optional: bool,
}

/// The anchor of an operation: the RPC's name, numbered from its second place on.
pub(super) fn anchor(operation: &Operation<'_>) -> String {
    match operation.number {
        0 => operation.method.name.clone(),
        n => format!("{}-{}", operation.method.name, n.saturating_add(1)),
    }
}

/// The verb as a badge.
pub(super) fn badge(operation: &Operation<'_>) -> String {
    let verb = operation.binding.verb.as_str();
    format!("<span class=\"verb {}\">{verb}</span>", verb.to_ascii_lowercase())
}

/// Writes the whole of an endpoint.
pub(super) fn article(page: &mut String, operation: &Operation<'_>, comments: &Comments) {
    let method = operation.method;
    let (anchor, name) = (escape(&anchor(operation)), escape(&method.name));
    let _ = writeln!(
        page,
        "<article id=\"{anchor}\">\n<h3><a href=\"#{anchor}\">{name}</a></h3>\n\
         <p class=\"place\">{badge}<code>{path}</code></p>\n<p>{comment}</p>",
        badge = badge(operation),
        path = breakable(&operation.path()),
        comment = prose(&method.comment),
    );
    chips(page, operation);
    let asked = asked(operation, comments);
    if asked.is_empty() {
        page.push_str("<p class=\"none\">Takes nothing.</p>\n");
    } else {
        table(page, "Request", &asked, true);
    }
    answer(page, operation, comments);
    let _ = writeln!(
        page,
        "<pre class=\"call\"><code>{}</code></pre>\n</article>",
        escape(&example::call(operation))
    );
}

fn chips(page: &mut String, operation: &Operation<'_>) {
    page.push_str("<p class=\"chips\">");
    for who in access(operation.method) {
        let class = if who.contains(':') { "chip role" } else { "chip" };
        let _ = write!(page, "<span class=\"{class}\">{}</span>", escape(&who));
    }
    if operation.method.session {
        page.push_str("<span class=\"chip\">for people</span>");
    }
    if operation.method.sandbox {
        page.push_str("<span class=\"chip\">sandbox only</span>");
    }
    if operation.method.fresh {
        page.push_str("<span class=\"note\">access is checked at the source, never from a cache</span>");
    }
    page.push_str("</p>\n");
}

fn asked(operation: &Operation<'_>, comments: &Comments) -> Vec<Row> {
    let mut rows = Vec::new();
    for field in operation.path_fields() {
        collect(&mut rows, &field, "", "path", comments, &mut Vec::new());
    }
    for field in operation.query_fields() {
        collect(&mut rows, &field, "", "query", comments, &mut Vec::new());
    }
    if let Some((_, fields)) = operation.body_fields() {
        for field in fields {
            collect(&mut rows, &field, "", "body", comments, &mut Vec::new());
        }
    }
    rows
}

fn answer(page: &mut String, operation: &Operation<'_>, comments: &Comments) {
    let output = operation.method.descriptor.output();
    let status = operation.method.success_status();
    if output.full_name() == "google.api.HttpBody" {
        let _ = writeln!(page, "<p class=\"none\">Answers {status} with a stream of bytes.</p>");
        return;
    }
    let mut rows = Vec::new();
    for field in visible(&output) {
        collect(&mut rows, &field, "", "", comments, &mut Vec::new());
    }
    let name = escape(output.name());
    if rows.is_empty() {
        let _ = writeln!(page, "<p class=\"none\">Answers {status} with an empty object.</p>");
        return;
    }
    let _ = writeln!(page, "<details>\n<summary>Answers {status} with <b>{name}</b></summary>");
    table(page, "", &rows, false);
    page.push_str("</details>\n");
}

/// The rows of a field and of what is inside it. `within` holds the messages on the way, so that recursion ends.
fn collect(
    rows: &mut Vec<Row>,
    field: &FieldDescriptor,
    prefix: &str,
    place: &'static str,
    comments: &Comments,
    within: &mut Vec<MessageDescriptor>,
) {
    let name = format!("{prefix}{}", field.json_name());
    let mut text = prose(comments.field(field));
    let closed: Vec<String> = values(field).iter().map(|v| format!("<code>{}</code>", escape(v))).collect();
    if !closed.is_empty() {
        let _ = write!(text, "{}One of {}.", if text.is_empty() { "" } else { " " }, closed.join(", "));
    }
    let optional = place.is_empty() && field.supports_presence();
    rows.push(Row { name: name.clone(), type_name: type_name(field), place, text, optional });
    let inner = object(field).filter(|m| within.len() < NESTING_MAX && !within.contains(m));
    if let Some(message) = inner {
        let prefix = format!("{name}{}.", if field.is_list() { "[]" } else { "" });
        within.push(message.clone());
        for field in visible(&message) {
            collect(rows, &field, &prefix, place, comments, within);
        }
        within.pop();
    }
}

fn table(page: &mut String, caption: &str, rows: &[Row], places: bool) {
    page.push_str("<table class=\"fields\">\n");
    if !caption.is_empty() {
        let _ = writeln!(page, "<caption>{caption}</caption>");
    }
    for row in rows {
        let optional = if row.optional { " <span class=\"note\">may be absent</span>" } else { "" };
        let place =
            if places { format!(" <span class=\"note\">{}</span>", row.place) } else { String::new() };
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\"><code>{}</code></th><td class=\"type\">{}{place}</td><td>{}{optional}</td></tr>",
            breakable(&row.name),
            escape(&row.type_name),
            row.text,
        );
    }
    page.push_str("</table>\n");
}

/// Long names break at their joints on a narrow screen.
fn breakable(text: &str) -> String {
    escape(text).replace('/', "/<wbr>").replace("].", "].<wbr>")
}
