//! Who may vouch for a receiver's certificate: the system's authorities, and those an operator adds.

use beem_fault::{Fault, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// A client's TLS: 1.2 or 1.3, HTTP/1.1, no certificate of its own. `authorities` may be empty: then only the system's.
///
/// # Errors
/// `validation-failed` about `authorities_file` when there is one that cannot be read or has no certificate in it.
pub(super) fn tls(authorities: &Path) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    for certificate in added(authorities)? {
        roots.add(certificate).map_err(|e| wrong("has a certificate that is no authority's", e))?;
    }
    if roots.is_empty() {
        tracing::warn!(
            "this system has no certificate authorities: no receiver's certificate can be verified"
        );
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Fault::internal)?;
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn added(authorities: &Path) -> Result<Vec<CertificateDer<'static>>> {
    if authorities.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let text = std::fs::read(authorities).map_err(|e| wrong("cannot be read", e))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|e| wrong("is not PEM", e))?;
    if certificates.is_empty() {
        return Err(Fault::field("authorities_file", "has no certificate in it"));
    }
    Ok(certificates)
}

fn wrong(detail: &str, source: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::field("authorities_file", detail).caused_by(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_authorities_is_read_or_named_as_what_is_wrong() {
        assert!(tls(Path::new("")).is_ok());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authorities.pem");
        let refused = || tls(&file).unwrap_err().fields.remove(0).detail;
        assert_eq!(refused(), "cannot be read");
        std::fs::write(&file, "nothing").unwrap();
        assert_eq!(refused(), "has no certificate in it");
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n").unwrap();
        assert_eq!(refused(), "is not PEM");
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert_eq!(refused(), "has a certificate that is no authority's");
        let own = rcgen::generate_simple_self_signed(["authority.example".to_owned()]).unwrap();
        std::fs::write(&file, own.cert.pem()).unwrap();
        assert!(tls(&file).is_ok());
    }
}
