//! Fingerprints of certificates.

use crate::files::{TlsFile, TlsFileError, certificates};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Bytes of a SHA-256.
const BYTES: usize = 32;
/// The prefix of the written form.
const PREFIX: &str = "sha256:";

/// The SHA-256 of a certificate in DER. Written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; BYTES]);

/// A text that is not a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a fingerprint: write it as sha256: and 64 hexadecimal digits, as `kirosu tls show CERTIFICATE` prints it"
)]
pub struct NotAFingerprint(String);

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(certificate).into())
    }

    /// The fingerprint of the first certificate of a PEM file.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificate.
    pub fn of_file(path: &Path) -> Result<Fingerprint, TlsFileError> {
        let certificates = certificates(TlsFile::Certificate, path)?;
        // `certificates` returns at least one.
        let first = certificates.first().map(AsRef::as_ref).unwrap_or_default();
        Ok(Fingerprint::of(first))
    }

    /// Whether a text claims to be a fingerprint in the written form.
    pub fn is_written(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Reads fingerprints that are separated by commas.
    ///
    /// # Errors
    /// The first part that is not a fingerprint.
    pub fn list(text: &str) -> Result<Vec<Fingerprint>, NotAFingerprint> {
        text.split(',').map(str::parse).collect()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Reads the written form; also without the prefix, in capitals and with colons, as other programs print it.
    fn from_str(text: &str) -> Result<Fingerprint, NotAFingerprint> {
        let fault = || NotAFingerprint(text.to_owned());
        let plain = text.trim().to_ascii_lowercase();
        let digits: Vec<u8> = plain
            .strip_prefix(PREFIX)
            .unwrap_or(&plain)
            .bytes()
            .filter(|byte| *byte != b':')
            .collect();
        let mut bytes = [0; BYTES];
        if digits.len() != 2 * BYTES {
            return Err(fault());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                return Err(fault());
            };
            *byte = (high << 4 | low) as u8;
        }
        Ok(Fingerprint(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_this_and_other_programs_print_it() {
        let own = Fingerprint::of(b"certificate");
        let text = own.to_string();
        assert_eq!((text.len(), text.parse()), (71, Ok(own)));
        let digits = text.strip_prefix("sha256:").unwrap().to_uppercase();
        let pairs: Vec<&str> = (0..32).map(|at| &digits[2 * at..2 * at + 2]).collect();
        let colons = pairs.join(":");
        assert_eq!(colons.parse(), Ok(own));
        assert_eq!(
            Fingerprint::list(&format!("{text}, {colons}")),
            Ok(vec![own, own])
        );
        for wrong in [
            "",
            "sha256:",
            &text[..70],
            "sha1:ab",
            &text.replace('a', "g").replace('0', "x"),
        ] {
            let read: Result<Fingerprint, _> = wrong.parse();
            assert!(read.is_err(), "{wrong}");
        }
        assert!(Fingerprint::list(&format!("{text},")).is_err());
    }
}
