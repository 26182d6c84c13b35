//! Certificates and keys in files.

use rustix::fs::OFlags;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The longest file, in bytes: a bundle of all public authorities has 200 KiB.
const LONGEST: u64 = 4 << 20;

/// The purpose of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    /// A certificate, with those of the authorities between it and the root.
    Certificate,
    /// The private key of a certificate.
    Key,
    /// Certificates of authorities.
    Authorities,
}

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TlsFileError {
    /// The file's purpose.
    pub file: TlsFile,
    /// A sentence that names the file and says what to do.
    pub message: String,
}

impl TlsFileError {
    pub(crate) fn new(file: TlsFile, message: impl Into<String>) -> TlsFileError {
        TlsFileError {
            file,
            message: message.into(),
        }
    }
}

/// The certificates of a PEM file, at least one.
pub(crate) fn certificates(
    file: TlsFile,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let text = read(file, path)?;
    let shown = path.display();
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = read.map_err(|error| {
        let message = format!("cannot read a certificate from {shown}: {error:?}; PEM is needed");
        TlsFileError::new(file, message)
    })?;
    match all.is_empty() {
        true => Err(TlsFileError::new(
            file,
            format!("{shown} has no certificate: a PEM file with BEGIN CERTIFICATE is needed"),
        )),
        false => Ok(all),
    }
}

/// The private key of a PEM file.
///
/// # Errors
/// Also if every user of the machine may read the file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let shown = path.display();
    let fault = |message: String| TlsFileError::new(TlsFile::Key, message);
    let (text, mode) = read_with_mode(TlsFile::Key, path)?;
    if mode & 0o007 != 0 {
        return Err(fault(format!(
            "every user of this machine can use the private key {shown}: chmod 600 it, and make a new one if others may have read it"
        )));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        fault(format!(
            "{shown} has no private key: a PEM file with BEGIN PRIVATE KEY, without a passphrase, is needed"
        ))
    })
}

/// The authorities of a PEM file.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(TlsFile::Authorities, path)? {
        roots.add(certificate).map_err(|error| {
            let message = format!(
                "{} has a certificate that cannot be an authority: {error}",
                path.display()
            );
            TlsFileError::new(TlsFile::Authorities, message)
        })?;
    }
    Ok(roots)
}

fn read(file: TlsFile, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    Ok(read_with_mode(file, path)?.0)
}

/// The content and the permissions of a file. Links are followed: tools that renew certificates exchange links.
fn read_with_mode(file: TlsFile, path: &Path) -> Result<(Vec<u8>, u32), TlsFileError> {
    let cannot = |error: io::Error| {
        let message = format!("cannot read {}: {error}", path.display());
        TlsFileError::new(file, message)
    };
    // A FIFO would block otherwise.
    let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
    let opened = File::options()
        .read(true)
        .custom_flags(flags as i32)
        .open(path)
        .map_err(cannot)?;
    let found = opened.metadata().map_err(cannot)?;
    if !found.is_file() {
        return Err(cannot(io::Error::other("it is not a regular file")));
    }
    let mut text = Vec::new();
    opened
        .take(LONGEST + 1)
        .read_to_end(&mut text)
        .map_err(cannot)?;
    if text.len() as u64 > LONGEST {
        return Err(cannot(io::Error::other(
            "it is longer than certificates are",
        )));
    }
    Ok((text, found.mode()))
}

/// The state of a file by which a change is seen. `None` means that there is no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStamp(Option<[i64; 5]>);

impl FileStamp {
    pub(crate) fn of(path: &Path) -> FileStamp {
        FileStamp(path.metadata().ok().map(|found| {
            [
                found.mtime(),
                found.mtime_nsec(),
                found.ctime_nsec(),
                found.size() as i64,
                found.ino() as i64,
            ]
        }))
    }
}
