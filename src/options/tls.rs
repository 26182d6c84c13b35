//! TLS of the process's servers, and of its connections to a hub.

use kirosu_config::HubSection;
use kirosu_protocol::client::Endpoint;
use kirosu_tls::{ServerTls, TlsAcceptor, TlsFileError};
use std::sync::Arc;

/// The acceptors of the servers that listen, by the key of their certificate.
#[derive(Clone, Debug, Default)]
pub struct TlsAcceptors(Vec<(&'static str, TlsAcceptor)>);

impl TlsAcceptors {
    /// Opens the acceptor of a server. `key` is that of its certificate, and `files` are its files; without them connections are
    /// plain.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn open(
        &mut self,
        key: &'static str,
        files: Option<ServerTls>,
    ) -> Result<Option<TlsAcceptor>, TlsFileError> {
        let Some(files) = files else {
            return Ok(None);
        };
        let acceptor = TlsAcceptor::open(files)?;
        tracing::info!(%key, fingerprint = %acceptor.fingerprint(), "TLS is required");
        self.0.push((key, acceptor.clone()));
        Ok(Some(acceptor))
    }

    /// Reads the certificates again. Returns the keys of those that have changed.
    ///
    /// # Errors
    /// A file cannot be used; its certificate stays as it was.
    pub fn reload(&self) -> Result<Vec<String>, TlsFileError> {
        let mut changed = Vec::new();
        for (key, acceptor) in &self.0 {
            if acceptor.reload()? {
                changed.push((*key).to_owned());
            }
        }
        Ok(changed)
    }
}

/// The endpoint of a hub at the host and port of the settings: over TLS if they name its certificate.
///
/// # Errors
/// A sentence, if the settings of TLS cannot be used.
pub fn hub_at(host: &str, port: u16, hub: &HubSection) -> Result<Endpoint, String> {
    Ok(match hub.client_tls()? {
        Some(tls) => Endpoint::Tls(host.to_owned(), port, Arc::new(tls)),
        None => Endpoint::Tcp(host.to_owned(), port),
    })
}
