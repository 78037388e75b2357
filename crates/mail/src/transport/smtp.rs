//! To a server by SMTP (RFC 5321), one connection a mail. The dialogue is held here and not by lettre's own transport,
//! because what a refusal means depends on which command it answers.

use super::{Outgoing, Stage, Transport, Undelivered};
use crate::{SmtpSettings, SmtpTls};
use beem_fault::{Fault, Result};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use std::path::Path;
use std::time::Duration;

/// The wait for an answer to QUIT, which changes nothing any more.
const GOODBYE: Duration = Duration::from_secs(1);
/// Replies that ask for TLS or another sign-in first (RFC 4954, section 6), whatever they answer: about us, not the mail.
const ABOUT_US: [u16; 4] = [530, 534, 535, 538];

pub(crate) struct Smtp {
    host: String,
    port: u16,
    tls: SmtpTls,
    parameters: TlsParameters,
    credentials: Option<Credentials>,
    hello: ClientId,
    limit: Duration,
}

impl Smtp {
    /// `domain` is that of the sender, and our name in EHLO.
    ///
    /// # Errors
    /// `validation-failed` for a CA file that cannot be read or has no certificate.
    pub(crate) fn new(settings: &SmtpSettings, domain: &str) -> Result<Self> {
        let mut tls = TlsParameters::builder(settings.host.clone());
        if let Some(path) = &settings.ca_file {
            tls = tls.add_root_certificate(authorities(path)?);
        }
        let credentials = settings.username.clone().zip(settings.password.clone());
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port,
            tls: settings.tls,
            parameters: tls.build().map_err(|e| Fault::field("smtp.ca_file", e.to_string()))?,
            credentials: credentials.map(|(name, word)| Credentials::new(name, word.into_exposed())),
            hello: ClientId::Domain(domain.to_owned()),
            limit: Duration::from_secs(settings.timeout_s.into()),
        })
    }

    /// Connected, hidden as asked and signed in.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Undelivered> {
        let wrapped = (self.tls == SmtpTls::Tls).then(|| self.parameters.clone());
        let server = (self.host.as_str(), self.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, wrapped, None);
        let mut connection = connecting.await.map_err(|e| {
            let stage = if e.is_tls() { Stage::Tls } else { Stage::Connect };
            refused(stage, &e)
        })?;
        if self.tls == SmtpTls::Starttls {
            let upgrading = connection.starttls(self.parameters.clone(), &self.hello);
            upgrading.await.map_err(|e| refused(Stage::Tls, &e))?;
        }
        if let Some(credentials) = &self.credentials {
            let signing_in = connection.auth(DEFAULT_MECHANISMS, credentials);
            signing_in.await.map_err(|e| refused(Stage::Auth, &e))?;
        }
        Ok(connection)
    }
}

impl Transport for Smtp {
    fn send<'a>(&'a self, mail: &'a Outgoing) -> BoxFuture<'a, Result<(), Undelivered>> {
        async move {
            let timeout = Undelivered { stage: Stage::Timeout, code: None, permanent: false };
            let dialogue = async {
                let mut connection = self.connect().await?;
                let outcome = hand_over(&mut connection, mail).await;
                Ok((connection, outcome))
            };
            let (mut connection, outcome) =
                tokio::time::timeout(self.limit, dialogue).await.map_err(|_| timeout)??;
            // Whether it says goodbye in time does not matter.
            drop(tokio::time::timeout(GOODBYE, connection.quit()).await);
            outcome
        }
        .boxed()
    }
}

/// The mail itself: it is the server's once that has answered the end of the content.
async fn hand_over(connection: &mut AsyncSmtpConnection, mail: &Outgoing) -> Result<(), Undelivered> {
    let from = Mail::new(Some(mail.from.clone()), Vec::new());
    connection.command(from).await.map_err(|e| refused(Stage::Sender, &e))?;
    let to = Rcpt::new(mail.to.clone(), Vec::new());
    connection.command(to).await.map_err(|e| refused(Stage::Recipient, &e))?;
    connection.command(Data).await.map_err(|e| refused(Stage::Content, &e))?;
    connection.message(&mail.bytes).await.map_err(|e| refused(Stage::Content, &e))?;
    Ok(())
}

/// Its words stay here: they may repeat the address. Only what is said of this recipient or this content is for ever.
fn refused(stage: Stage, error: &Error) -> Undelivered {
    let code = error.status().map(u16::from);
    let about_the_mail = matches!(stage, Stage::Recipient | Stage::Content);
    let permanent =
        about_the_mail && error.is_permanent() && code.is_some_and(|code| !ABOUT_US.contains(&code));
    Undelivered { stage, code, permanent }
}

fn authorities(path: &Path) -> Result<Certificate> {
    let wrong = |detail: String| Fault::field("smtp.ca_file", format!("{}: {detail}", path.display()));
    let pem = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(wrong("no certificate in it".into()));
    }
    Certificate::from_pem(&pem).map_err(|e| wrong(e.to_string()))
}
