//! The TLS configuration of a server, from files.

use crate::files::{FileStamp, TlsFile, TlsFileError, authorities, certificates, private_key};
use crate::verify::AnyClient;
use crate::{Fingerprint, provider};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{Error, ServerConfig};
use std::path::PathBuf;
use std::sync::Arc;

/// The files of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// PEM file with the certificate, then those between it and the root.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
    /// PEM file with authorities: only clients with a certificate that one of them has signed are accepted. `None` accepts all
    /// clients, and any certificate whose key they have.
    pub client_ca: Option<PathBuf>,
}

/// A configuration, and the fingerprint of its certificate.
#[derive(Clone)]
pub(crate) struct LoadedTls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) fingerprint: Fingerprint,
}

impl ServerTls {
    /// Checks the files.
    ///
    /// # Errors
    /// A file cannot be read or is not of its kind, the private key is not that of the certificate, or every user of the machine
    /// may read it.
    pub fn check(&self) -> Result<(), TlsFileError> {
        self.load().map(drop)
    }

    pub(crate) fn load(&self) -> Result<LoadedTls, TlsFileError> {
        let chain = certificates(TlsFile::Certificate, &self.certificate)?;
        // `certificates` returns at least one.
        let fingerprint = Fingerprint::of(chain.first().map(AsRef::as_ref).unwrap_or_default());
        let key = private_key(&self.key)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsFileError::new(TlsFile::Certificate, error.to_string()))?
            .with_client_cert_verifier(self.verifier()?);
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            match error {
                Error::InconsistentKeys(_) => TlsFileError::new(
                    TlsFile::Key,
                    format!("{key} is not the private key of the certificate {certificate}"),
                ),
                error => TlsFileError::new(
                    TlsFile::Certificate,
                    format!("cannot use the certificate {certificate} with the key {key}: {error}"),
                ),
            }
        })?;
        // Each connection verifies its client anew: a resumed one would keep what the first one has found.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(LoadedTls {
            config: Arc::new(config),
            fingerprint,
        })
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsFileError> {
        let Some(path) = &self.client_ca else {
            return Ok(Arc::new(AnyClient));
        };
        let roots = Arc::new(authorities(path)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
        verifier.map_err(|error| {
            let message = format!("cannot use the authorities in {}: {error}", path.display());
            TlsFileError::new(TlsFile::Authorities, message)
        })
    }

    pub(crate) fn stamps(&self) -> Vec<FileStamp> {
        let files = [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_ref(),
        ];
        files
            .into_iter()
            .flatten()
            .map(|path| FileStamp::of(path))
            .collect()
    }
}
