//! The certificate authorities that the courier trusts: the system's, and those in a file.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::Error;

/// Returns the TLS configuration for connections to the application.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file {
        let failure = |error: &dyn std::fmt::Display| {
            let file = file.display();
            Error::Usage(format!("cannot read certificate authorities from {file}: {error}"))
        };
        for certificate in CertificateDer::pem_file_iter(file).map_err(|it| failure(&it))? {
            let certificate = certificate.map_err(|it| failure(&it))?;
            roots.add(certificate).map_err(|it| failure(&it))?;
        }
    }
    if roots.is_empty() {
        let reason = "no certificate authorities on this machine; use --ca-file";
        return Err(Error::Usage(reason.to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Unexpected(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
