//! The two tables at the end: which role opens what, and what every error code means.

use super::endpoint::{anchor, badge};
use super::html::escape;
use crate::reference::describe::Operation;
use beem_fault::Code;
use beem_proto::Access;
use beem_roles::Role;
use std::fmt::Write;

/// Every endpoint against the 15 roles.
pub(super) fn role_matrix(page: &mut String, operations: &[Operation<'_>]) {
    page.push_str(
        "<section id=\"roles\">\n<h2>Role matrix</h2>\n<p class=\"lede\">Any one of the marked roles allows the call. Roles add \
         up and none implies another. In full every name begins with <code>layer1:role:</code>.</p>\n\
         <div class=\"scroll\" tabindex=\"0\"><table class=\"matrix\">\n<thead><tr><td></td>",
    );
    for role in Role::ALL {
        let _ = write!(page, "<th scope=\"col\"><span>{}</span></th>", escape(role.short()));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for operation in operations {
        let (anchor, name) = (escape(&anchor(operation)), escape(&operation.method.name));
        let badge = badge(operation);
        let _ = write!(page, "<tr><th scope=\"row\">{badge}<a href=\"#{anchor}\">{name}</a></th>");
        cells(page, &operation.method.access);
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n</section>\n");
}

fn cells(page: &mut String, access: &Access) {
    let everyone = match access {
        Access::AnyOf(roles) => {
            for role in Role::ALL {
                page.push_str(if roles.has(role) {
                    "<td class=\"yes\" title=\"allows\">●</td>"
                } else {
                    "<td></td>"
                });
            }
            return;
        }
        Access::SignedIn => "signed in, whatever the roles",
        Access::Public => "public",
        Access::Internal(_) => "internal",
    };
    let _ = write!(page, "<td class=\"all\" colspan=\"{}\">{everyone}</td>", Role::ALL.len());
}

/// Every code with its status and title.
pub(super) fn error_codes(page: &mut String) {
    page.push_str(
        "<section id=\"errors\">\n<h2>Errors</h2>\n<p class=\"lede\">Match on <code>code</code>. Codes are stable; texts \
         are for people and may change.</p>\n<table class=\"codes\">\n\
         <thead><tr><th scope=\"col\">Status</th><th scope=\"col\">Code</th><th scope=\"col\">Meaning</th></tr></thead>\n<tbody>\n",
    );
    let mut codes = Code::ALL.to_vec();
    codes.sort_by_key(|code| code.http());
    for code in codes {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td><code>{}</code></td><td>{}</td></tr>",
            code.http(),
            escape(code.as_str()),
            escape(code.title()),
        );
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
}
