//! A letter: what a mail says, once, as plain text and as HTML.

use crate::message::one_line;

/// A mail ready to be put into its envelope. It does not print: it may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Who it is for, beside the address; empty for none.
    pub to_name: String,
    pub subject: String,
    /// The plain text, lines ending in `\n`.
    pub text: String,
    /// The same as a whole HTML document.
    pub html: String,
}

/// Builds a [`Rendered`]: block after block, both forms at once. Whatever it is given is text: markup in it is shown, and
/// a line break in it is a space.
#[derive(Clone)]
pub struct Letter {
    to_name: String,
    subject: String,
    text: String,
    html: String,
}

/// Inline, because mail programs drop style sheets; nothing is fetched from anywhere.
const HEAD: &str = "<meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">";
const BODY: &str = "margin:0;padding:24px;background:#ffffff;color:#1a1a1a;font:16px/1.5 sans-serif";
const HEADING: &str = "margin:0 0 16px;font-size:22px;line-height:1.3";
const BUTTON: &str = "display:inline-block;padding:12px 20px;border-radius:6px;background:#1a1a1a;color:#ffffff;\
    text-decoration:none";
const CODE: &str = "padding:12px 16px;background:#f2f2f2;font:18px/1.5 monospace";
const NOTE: &str = "color:#666666;font-size:13px;overflow-wrap:anywhere";

impl Letter {
    /// A letter with this subject, which is its heading as well.
    #[must_use]
    pub fn new(subject: &str) -> Self {
        let subject = one_line(subject);
        let text = format!("{subject}\n");
        let html = format!("<h1 style=\"{HEADING}\">{}</h1>\n", escape(&subject));
        Self { to_name: String::new(), subject, text, html }
    }

    /// The name of who it is for, as it stands in the header `To`.
    #[must_use]
    pub fn to_name(mut self, name: &str) -> Self {
        self.to_name = one_line(name);
        self
    }

    /// A paragraph.
    #[must_use]
    pub fn paragraph(self, text: &str) -> Self {
        let text = one_line(text);
        self.block(&text, &format!("<p>{}</p>", escape(&text)))
    }

    /// A button in the HTML with the address under it, label and address in the text. Only `http` and `https` can be
    /// clicked.
    #[must_use]
    pub fn button(self, label: &str, url: &str) -> Self {
        let (label, url) = (one_line(label), one_line(url));
        let shown = escape(&url);
        let clicked = if ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme)) {
            format!("<p><a style=\"{BUTTON}\" href=\"{shown}\">{}</a></p>\n", escape(&label))
        } else {
            format!("<p>{}</p>\n", escape(&label))
        };
        self.block(&format!("{label}:\n{url}"), &format!("{clicked}<p style=\"{NOTE}\">{shown}</p>"))
    }

    /// Something to be typed or compared, set apart.
    #[must_use]
    pub fn code(self, text: &str) -> Self {
        let text = one_line(text);
        self.block(&format!("    {text}"), &format!("<p style=\"{CODE}\">{}</p>", escape(&text)))
    }

    /// A remark in small print.
    #[must_use]
    pub fn note(self, text: &str) -> Self {
        let text = one_line(text);
        self.block(&text, &format!("<p style=\"{NOTE}\">{}</p>", escape(&text)))
    }

    #[must_use]
    pub fn finish(self) -> Rendered {
        let title = escape(&self.subject);
        let html = format!(
            "<!doctype html>\n<html><head>{HEAD}<title>{title}</title></head>\n<body style=\"{BODY}\">\n\
             <div style=\"max-width:560px;margin:0 auto\">\n{}</div>\n</body></html>\n",
            self.html
        );
        Rendered { to_name: self.to_name, subject: self.subject, text: self.text, html }
    }

    fn block(mut self, text: &str, html: &str) -> Self {
        self.text.extend(["\n", text, "\n"]);
        self.html.extend([html, "\n"]);
        self
    }
}

/// Text as it stands in HTML, between tags and inside quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let letter = Letter::new("Welcome")
            .to_name("Ada")
            .paragraph("Hello Ada.")
            .button("Activate", "https://pay.example/activate?token=abc&x=1")
            .code("123 456")
            .note("Valid for 72 hours.")
            .finish();
        assert_eq!(
            letter.text,
            "Welcome\n\nHello Ada.\n\nActivate:\nhttps://pay.example/activate?token=abc&x=1\n\n    123 456\n\n\
             Valid for 72 hours.\n"
        );
        for part in [
            ">Welcome</h1>",
            "<p>Hello Ada.</p>",
            "href=\"https://pay.example/activate?token=abc&amp;x=1\">Activate</a>",
            ">123 456</p>",
            ">Valid for 72 hours.</p>",
        ] {
            assert!(letter.html.contains(part), "{part} in {}", letter.html);
        }
    }

    #[test]
    fn a_hostile_name_is_only_text() {
        let name = "<img src=x onerror=alert(1)>\r\nBcc: \"mallory\"'";
        let letter =
            Letter::new(&format!("Welcome, {name}")).to_name(name).paragraph(name).note(name).finish();
        assert!(!letter.html.contains("<img"), "{}", letter.html);
        assert!(letter.html.contains("&lt;img src=x onerror=alert(1)&gt;"));
        assert!(letter.text.lines().all(|line| !line.starts_with("Bcc")), "{}", letter.text);
        assert!(!letter.to_name.contains(['\r', '\n']) && !letter.subject.contains(['\r', '\n']));
    }

    #[test]
    fn only_an_address_of_the_web_can_be_clicked() {
        let letter = |url: &str| Letter::new("s").button("Open", url).finish().html;
        assert!(!letter("javascript:alert(1)").contains("href"));
        let broken_out = letter("https://x/\" onclick=\"alert(1)");
        assert!(broken_out.contains("href=\"https://x/&quot; onclick=&quot;alert(1)\""), "{broken_out}");
    }
}
