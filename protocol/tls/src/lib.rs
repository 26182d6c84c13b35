//! TLS of hub, gateway and clients.
//!
//! A server reads its certificate from files and follows their changes ([`TlsAcceptor`]); a connection that is accepted does
//! its handshake when it is first read ([`ServerStream`]). A client verifies the server by pinned fingerprints or by
//! certificate authorities ([`ClientTls`]); there is no connection that verifies nothing. Certificates of clients are known by
//! their [`Fingerprint`]; the handshake proves that the client has the private key.

mod acceptor;
mod client;
mod error;
mod files;
mod fingerprint;
mod new;
mod server;
mod shared;
mod stream;
mod verify;

pub use acceptor::TlsAcceptor;
pub use client::{ClientStream, ClientTls};
pub use error::{TlsError, explain};
pub use files::{TlsFile, TlsFileError};
pub use fingerprint::{Fingerprint, NotAFingerprint};
pub use new::{SelfSigned, self_signed};
pub use server::ServerTls;
pub use shared::{SharedReader, SharedWriter, shared};
pub use stream::{Handshake, HandshakeMeter, ServerStream};

use rustls::crypto::CryptoProvider;
use std::sync::{Arc, LazyLock};

/// The cryptography of all connections.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    PROVIDER.clone()
}
