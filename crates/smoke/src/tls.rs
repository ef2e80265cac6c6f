//! Whose certificates are believed: those of the machine's authorities, and of a file.

use std::path::Path;

use rustls::crypto::ring;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// # Errors
///
/// When the file cannot be read, has no certificate in it, or there is nobody at all to believe.
pub(crate) fn config(ca_file: Option<&Path>) -> Result<TlsConfig, String> {
    // ureq asks for the provider of the process. Whoever has set one before has meant it.
    let _ = ring::default_provider().install_default();
    let native = rustls_native_certs::load_native_certs();
    let mut roots: Vec<_> =
        native.certs.iter().map(|it| Certificate::from_der(it).to_owned()).collect();
    if let Some(file) = ca_file {
        roots.extend(read(file)?);
    }
    if roots.is_empty() {
        return Err("this machine has no certificate authorities: give --ca-file".to_owned());
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).build())
}

fn read(file: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let cannot = |error: &dyn std::fmt::Display| {
        format!("the certificate authorities in {} cannot be read: {error}", file.display())
    };
    let pem = std::fs::read(file).map_err(|error| cannot(&error))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| cannot(&error))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(cannot(&"no certificate is in it"));
    }
    Ok(certificates)
}
