//! A client's end of a TLS connection.

use crate::error::{TlsError, explain};
use crate::files::{TlsFile, TlsFileError, authorities, certificates, private_key};
use crate::verify::PinnedServer;
use crate::{Fingerprint, provider};
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::ServerName;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A client's end of a TLS connection.
pub type ClientStream = tokio_rustls::client::TlsStream<TcpStream>;

/// The server that a client trusts, and the client's own certificate. Files are read at each connection, so that renewed ones
/// need no restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// The certificate is one of these.
    pub fingerprints: Vec<Fingerprint>,
    /// The certificate is the first one of this file.
    pub pinned_file: Option<PathBuf>,
    /// The certificate is signed by an authority of this file and is for the host. With fingerprints, both must hold.
    pub ca: Option<PathBuf>,
    /// Files with the client's own certificate and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ClientTls {
    /// Checks the files.
    ///
    /// # Errors
    /// A file cannot be read or is not of its kind, or nothing names the server that is trusted.
    pub fn check(&self) -> Result<(), TlsFileError> {
        self.config().map(drop)
    }

    /// Does the handshake over a stream to a host. Nothing else is sent before the server is verified.
    ///
    /// # Errors
    /// A [`TlsError`] in an `io::Error`, or the error of the stream.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<ClientStream> {
        let bare = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(bare.clone()).map_err(|_| TlsError::Name(bare))?;
        let config = self.config().map_err(TlsError::File)?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream);
        connected.await.map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                let closed = "the other side closed the connection; it may have too many";
                return TlsError::Handshake(closed.to_owned()).into();
            }
            match explain(&error) {
                Some(known) => known.into(),
                None => error,
            }
        })
    }

    fn config(&self) -> Result<ClientConfig, TlsFileError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsFileError::new(TlsFile::Certificate, error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier()?);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(TlsFile::Certificate, certificate)?;
                let own = builder.with_client_auth_cert(chain, private_key(key)?);
                own.map_err(|error| {
                    let (certificate, key) = (certificate.display(), key.display());
                    let message = format!(
                        "cannot use the certificate {certificate} with the key {key}: {error}"
                    );
                    TlsFileError::new(TlsFile::Key, message)
                })?
            }
        };
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, TlsFileError> {
        let chain = self.ca.as_deref().map(of_authorities).transpose()?;
        let mut fingerprints = self.fingerprints.clone();
        if let Some(path) = &self.pinned_file {
            fingerprints.push(Fingerprint::of_file(path)?);
        }
        match chain {
            Some(chain) if fingerprints.is_empty() => Ok(chain),
            // Without anything that it trusts, it trusts no server.
            chain => Ok(Arc::new(PinnedServer {
                fingerprints,
                chain,
            })),
        }
    }
}

fn of_authorities(path: &Path) -> Result<Arc<dyn ServerCertVerifier>, TlsFileError> {
    let roots = Arc::new(authorities(path)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    verifier
        .map(|it| it as Arc<dyn ServerCertVerifier>)
        .map_err(|error| {
            let message = format!("cannot use the authorities in {}: {error}", path.display());
            TlsFileError::new(TlsFile::Authorities, message)
        })
}
