//! Certificates for people without an authority.

use crate::Fingerprint;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use std::time::{Duration, SystemTime};

/// Time by which the validity begins early: clocks differ.
const EARLY: Duration = Duration::from_secs(24 * 3600);

/// A certificate that its own key has signed.
pub struct SelfSigned {
    /// The certificate in PEM.
    pub certificate: String,
    /// Its private key in PEM.
    pub key: String,
    /// The certificate's fingerprint.
    pub fingerprint: Fingerprint,
}

/// Makes a certificate for host names and addresses, with a new key (ECDSA P-256). It serves servers and clients.
///
/// # Errors
/// A sentence, if a name cannot be in a certificate, or the system has no random bytes.
pub fn self_signed(
    names: &[String],
    now: SystemTime,
    validity: Duration,
) -> Result<SelfSigned, String> {
    let wrong = |error: rcgen::Error| format!("cannot make a certificate: {error}");
    let mut params = CertificateParams::new(names).map_err(wrong)?;
    let common = names.first().map_or("kirosu", String::as_str);
    params.distinguished_name.push(DnType::CommonName, common);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.not_before = (now - EARLY).into();
    params.not_after = (now + validity).into();
    let key = KeyPair::generate().map_err(wrong)?;
    let certificate = params.self_signed(&key).map_err(wrong)?;
    Ok(SelfSigned {
        fingerprint: Fingerprint::of(certificate.der()),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}
