//! The reasons why a client has no TLS connection, as sentences that say what to do.

use crate::{Fingerprint, TlsFileError};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use std::io;

/// The certificate of a server is not one of the pinned ones.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the certificate has the fingerprint {found}")]
pub(crate) struct WrongFingerprint {
    pub(crate) found: Fingerprint,
}

/// The reason why there is no TLS connection.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate is not a pinned one.
    #[error(
        "its certificate is another than the pinned one: it has {0}; nothing was sent. If the certificate was renewed, compare this with `kirosu tls show` on its machine, then correct tls_fingerprint"
    )]
    WrongFingerprint(Fingerprint),
    /// The certificate is not one of the authorities, or not for this name, or not valid now.
    #[error(
        "its certificate is not trusted: {0}; nothing was sent. Give the authority that signed it as tls_ca, connect by a name in the certificate, or pin it by tls_fingerprint"
    )]
    NotTrusted(String),
    /// The other side does not speak TLS.
    #[error(
        "it takes connections without TLS only: set tls_certificate and tls_key there, or none of tls_ca and tls_fingerprint here"
    )]
    Plain,
    /// The other side wants a certificate of the client.
    #[error(
        "it refuses clients without a certificate of an authority that it knows ({0}): set tls_client_certificate and tls_client_key to one"
    )]
    WantsCertificate(String),
    /// A file of this side cannot be used.
    #[error("{0}")]
    File(#[from] TlsFileError),
    /// The name cannot be in a certificate.
    #[error("{0:?} is not a name that a certificate can have: use a host name or an address")]
    Name(String),
    /// Any other failure of the handshake.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// The TLS error behind an error of a client's stream. `None` means that it has another cause.
pub fn explain(error: &io::Error) -> Option<TlsError> {
    let inner = error.get_ref()?;
    if let Some(error) = inner.downcast_ref::<TlsError>() {
        return Some(error.clone());
    }
    Some(of_rustls(inner.downcast_ref::<Error>()?))
}

fn of_rustls(error: &Error) -> TlsError {
    use AlertDescription as Alert;
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            match other.0.downcast_ref::<WrongFingerprint>() {
                Some(wrong) => TlsError::WrongFingerprint(wrong.found),
                None => TlsError::NotTrusted(other.to_string()),
            }
        }
        Error::InvalidCertificate(why) => TlsError::NotTrusted(why.to_string()),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge,
        ) => TlsError::Plain,
        Error::AlertReceived(
            alert @ (Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied),
        ) => TlsError::WantsCertificate(format!("{alert:?}")),
        other => TlsError::Handshake(other.to_string()),
    }
}
