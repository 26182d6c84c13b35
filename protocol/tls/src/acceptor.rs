//! Accepts TLS connections with the certificate that the files have now.

use crate::Fingerprint;
use crate::files::{FileStamp, TlsFileError};
use crate::server::{LoadedTls, ServerTls};
use crate::stream::{HandshakeMeter, ServerStream};
use rustls::ServerConfig;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The files are looked at for a change at most this often.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Accepts TLS connections. It looks at its files when a client connects: a changed certificate serves the connections from then
/// on, and one with a fault is logged and changes nothing. Cheap to clone.
#[derive(Clone)]
pub struct TlsAcceptor(Arc<AcceptorState>);

struct AcceptorState {
    files: ServerTls,
    present: Mutex<Present>,
}

struct Present {
    loaded: LoadedTls,
    /// The files at the last look, whether they could be used or not.
    stamps: Vec<FileStamp>,
    looked: Instant,
}

impl TlsAcceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// As [`ServerTls::check`].
    pub fn open(files: ServerTls) -> Result<TlsAcceptor, TlsFileError> {
        let present = Present {
            stamps: files.stamps(),
            loaded: files.load()?,
            looked: Instant::now(),
        };
        let present = Mutex::new(present);
        Ok(TlsAcceptor(Arc::new(AcceptorState { files, present })))
    }

    /// The TLS connection over a stream, whose handshake begins when it is first read. `meter` counts the bytes of the handshake.
    pub fn accept(
        &self,
        stream: TcpStream,
        meter: Option<Box<dyn HandshakeMeter>>,
    ) -> ServerStream {
        ServerStream::new(stream, self.config(), meter)
    }

    /// Looks at the files now. Returns whether the certificate has changed.
    ///
    /// # Errors
    /// As [`ServerTls::check`]; the previous certificate stays in use.
    pub fn reload(&self) -> Result<bool, TlsFileError> {
        self.0.reload(&mut self.present())
    }

    /// The fingerprint of the certificate in use.
    pub fn fingerprint(&self) -> Fingerprint {
        self.present().loaded.fingerprint
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.0
            .present
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> Arc<ServerConfig> {
        let mut present = self.present();
        if present.looked.elapsed() >= CHECK_INTERVAL {
            present.looked = Instant::now();
            if present.stamps != self.0.files.stamps()
                && let Err(error) = self.0.reload(&mut present)
            {
                tracing::error!(%error, "the changed certificate cannot be used; the previous one stays in use");
            }
        }
        present.loaded.config.clone()
    }
}

impl AcceptorState {
    fn reload(&self, present: &mut Present) -> Result<bool, TlsFileError> {
        // Before they are read: a change meanwhile is seen at the next look.
        present.stamps = self.files.stamps();
        let loaded = self.files.load()?;
        let has_changed = loaded.fingerprint != present.loaded.fingerprint;
        if has_changed {
            tracing::info!(
                certificate = %self.files.certificate.display(),
                fingerprint = %loaded.fingerprint,
                "a new certificate is in use"
            );
        }
        present.loaded = loaded;
        Ok(has_changed)
    }
}

impl std::fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsAcceptor")
            .field("files", &self.0.files)
            .finish_non_exhaustive()
    }
}
