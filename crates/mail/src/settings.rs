//! What an operator says about mail.

use crate::message::mailbox;
use beem_fault::{Code, Fault, FieldFault};
use beem_settings::Secret;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;

/// Who mail is from and where it goes. With SMTP and a folder, SMTP wins; with neither there is no [`crate::Mailer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailSettings {
    /// The sender: an address, or a name with an address in angle brackets.
    pub from: String,
    /// A folder that gets a file `.eml` for each mail, made if it is not there.
    pub folder: Option<PathBuf>,
    /// The server that takes mail from us.
    pub smtp: Option<SmtpSettings>,
}

/// A server for outgoing mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpSettings {
    /// A name, which its certificate has to carry, or an IP address.
    pub host: String,
    /// 587 is usual with `starttls`, 465 with `tls`, 25 with `none`.
    pub port: u16,
    pub tls: SmtpTls,
    /// Authorities (PEM) whose certificates are taken beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// With a password, or neither.
    pub username: Option<String>,
    pub password: Option<Secret<String>>,
    /// Seconds one mail may take in all, 1 to 300.
    pub timeout_s: u32,
}

/// How the way to the server is kept from others. A server without it is not spoken to in the clear instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// In the clear: for a relay on this machine or this network.
    None,
    /// In the clear until STARTTLS (RFC 3207), which the server must offer.
    #[default]
    Starttls,
    /// From the first byte (RFC 8314).
    Tls,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self { from: "BEEM <beem@localhost>".into(), folder: None, smtp: None }
    }
}

impl Default for SmtpSettings {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            tls: SmtpTls::default(),
            ca_file: None,
            username: None,
            password: None,
            timeout_s: 30,
        }
    }
}

impl MailSettings {
    /// Whether mail has somewhere to go.
    #[must_use]
    pub const fn goes_somewhere(&self) -> bool {
        self.smtp.is_some() || self.folder.is_some()
    }

    /// Whether this can work at all.
    ///
    /// # Errors
    /// `validation-failed` naming each field that is wrong.
    pub fn validate(&self) -> Result<(), Fault> {
        let mut wrong = Vec::new();
        let mut check = |fits: bool, field: &str, detail: &str| {
            if !fits {
                let (field, detail) = (field.to_owned(), detail.to_owned());
                wrong.push(FieldFault { field, code: Code::ValidationFailed, detail });
            }
        };
        let from = mailbox(&self.from).is_some();
        check(from, "from", "an address, or a name with an address in angle brackets");
        if let Some(folder) = &self.folder {
            check(!folder.as_os_str().is_empty(), "folder", "the path of a folder");
        }
        if let Some(smtp) = &self.smtp {
            check(!smtp.host.is_empty() && !smtp.host.contains(char::is_whitespace), "smtp.host", "a name");
            check(smtp.port > 0, "smtp.port", "1 to 65535");
            check((1..=300).contains(&smtp.timeout_s), "smtp.timeout_s", "1 to 300");
            check(smtp.username.is_some() == smtp.password.is_some(), "smtp.password", "with a username");
            let hidden = smtp.username.is_none() || smtp.tls != SmtpTls::None || smtp.is_here();
            check(hidden, "smtp.tls", "a password needs starttls or tls, but on this machine");
        }
        if wrong.is_empty() { Ok(()) } else { Err(Fault::fields(wrong)) }
    }
}

impl SmtpSettings {
    /// Whether the server is this machine.
    fn is_here(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(smtp: SmtpSettings) -> MailSettings {
        MailSettings { smtp: Some(smtp), ..MailSettings::default() }
    }

    #[test]
    fn the_defaults_fit_and_go_nowhere() {
        MailSettings::default().validate().unwrap();
        assert!(!MailSettings::default().goes_somewhere());
    }

    #[test]
    fn every_wrong_field_is_named() {
        let smtp =
            SmtpSettings { port: 0, timeout_s: 0, username: Some("u".into()), ..SmtpSettings::default() };
        let wrong = MailSettings { from: "no address".into(), folder: Some(PathBuf::new()), ..with(smtp) };
        let fault = wrong.validate().unwrap_err();
        let named: Vec<_> = fault.fields.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(named, ["from", "folder", "smtp.host", "smtp.port", "smtp.timeout_s", "smtp.password"]);
    }

    #[test]
    fn a_password_goes_in_the_clear_only_on_this_machine() {
        let plain = |host: &str| {
            with(SmtpSettings {
                host: host.into(),
                tls: SmtpTls::None,
                username: Some("u".into()),
                password: Some("p".to_owned().into()),
                ..SmtpSettings::default()
            })
        };
        assert_eq!(plain("relay.example").validate().unwrap_err().fields[0].field, "smtp.tls");
        for here in ["localhost", "127.0.0.1", "::1"] {
            plain(here).validate().unwrap();
        }
    }

    #[test]
    fn the_password_does_not_print_and_a_misspelt_key_is_an_error() {
        let text =
            r#"{"smtp": {"host": "relay.example", "username": "u", "password": "hunter2", "tls": "tls"}}"#;
        let settings: MailSettings = serde_json::from_str(text).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        assert_eq!(settings.smtp.unwrap().tls, SmtpTls::Tls);
        assert!(serde_json::from_str::<MailSettings>(r#"{"smpt": {}}"#).is_err());
    }
}
