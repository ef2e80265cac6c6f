//! The certificate authorities that the client trusts: the system's, and those in a file.

use std::path::Path;

use rustls::crypto::ring;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Returns the TLS configuration.
///
/// # Errors
///
/// Returns an error if the file cannot be read or contains no certificate, or if there is no
/// certificate authority at all.
pub(crate) fn config(ca_file: Option<&Path>) -> Result<TlsConfig, String> {
    // ureq uses the default provider of the process. An error means that one is already installed.
    let _ = ring::default_provider().install_default();
    let native = rustls_native_certs::load_native_certs();
    let mut roots: Vec<_> =
        native.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    if let Some(file) = ca_file {
        roots.extend(read(file)?);
    }
    if roots.is_empty() {
        return Err("no certificate authorities on this machine; use --ca-file".to_owned());
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).build())
}

fn read(file: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let failure = |error: &dyn std::fmt::Display| {
        format!("cannot read certificate authorities from {}: {error}", file.display())
    };
    let pem = std::fs::read(file).map_err(|error| failure(&error))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| failure(&error))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(failure(&"the file contains no certificate"));
    }
    Ok(certificates)
}
