//! Receivers by https.

use super::{Way, hasty, settings};
use crate::receiver::{Answer, Authority, Receiver};
use beem_hooks::HooksSettings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn believing(authority: &Path) -> Way {
    let way = Way::with(&HooksSettings { authorities_file: authority.to_owned(), ..settings() });
    for host in ["receiver.example", "other.example"] {
        way.resolver.says(host, &["127.0.0.1"]);
    }
    way
}

#[tokio::test]
async fn a_certificate_is_for_the_host_and_by_a_known_authority() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let receiver = Receiver::start_tls(&authority, "receiver.example", Answer::with(200, &[], "safe")).await;
    let way = believing(authority.file());
    let sent = way.send(&receiver.url()).await;
    assert!(sent.finding.is_acknowledged(), "{sent:?}");
    assert_eq!(sent.answer.as_deref(), Some("safe"));
    assert_eq!(
        way.failure(&receiver.url_at("other.example")).await,
        "TLS: the certificate is not for this host"
    );
    let stranger = believing(Path::new(""));
    assert_eq!(stranger.failure(&receiver.url()).await, "TLS: the certificate's authority is not known");
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, issuer.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let way = believing(&file);
    for (years, want) in [
        ((2020, 2021), "TLS: the certificate has expired"),
        ((3020, 3021), "TLS: the certificate is not valid yet"),
    ] {
        let mut params = CertificateParams::new(vec!["receiver.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://receiver.example:{}/", listener.local_addr().unwrap().port());
        let serving = async {
            let (stream, _) = listener.accept().await.unwrap();
            TlsAcceptor::from(Arc::new(config)).accept(stream).await.is_ok()
        };
        assert_eq!(tokio::join!(way.failure(&url), serving), (want.to_owned(), false));
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_does_not_answer() {
    let way = Way::new();
    let plain = way.against_bytes("https", b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert_eq!(plain.finding.error.as_deref(), Some("TLS: the answer was not TLS"));
    let gone = way.against_bytes("https", b"").await;
    assert_eq!(gone.finding.error.as_deref(), Some("could not connect"));
    let silent = Receiver::start(Answer::Deaf).await;
    let url = silent.url().replace("http:", "https:");
    assert_eq!(Way::with(&hasty()).failure(&url).await, "no answer within 1 s");
}
