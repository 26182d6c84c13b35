//! TLS: the files of hub, gateway and metrics, and the trust of clients in a hub.

use crate::settings::{GatewaySection, HubSection, MetricsSection, Settings};
use kirosu_tls::{ClientTls, Fingerprint, ServerTls, TlsFile};
use std::path::PathBuf;

/// The TLS keys of a section whose server listens.
struct TlsKeys<'a> {
    section: &'static str,
    certificate: &'a Option<PathBuf>,
    key: &'a Option<PathBuf>,
    client_ca: &'a Option<PathBuf>,
}

macro_rules! tls_keys {
    ($($section:ident $name:literal),*) => {$(
        impl $section {
            fn tls_keys(&self) -> TlsKeys<'_> {
                TlsKeys {
                    section: $name,
                    certificate: &self.tls_certificate,
                    key: &self.tls_key,
                    client_ca: &self.tls_client_ca,
                }
            }

            /// The files of its TLS. `None` means plain connections.
            pub fn tls(&self) -> Option<ServerTls> {
                self.tls_keys().server()
            }
        }
    )*};
}

tls_keys!(HubSection "hub", GatewaySection "gateway", MetricsSection "metrics");

impl TlsKeys<'_> {
    fn server(&self) -> Option<ServerTls> {
        Some(ServerTls {
            certificate: self.certificate.clone()?,
            key: self.key.clone()?,
            client_ca: self.client_ca.clone(),
        })
    }

    /// The key and the message of a fault.
    fn fault(&self) -> Option<(String, String)> {
        let key = |name: &str| format!("{}.{name}", self.section);
        let needs = |name: &str, other: &str| {
            let message = format!("has no effect without {}: set both", key(other));
            Some((key(name), message))
        };
        match (self.certificate, self.key, self.client_ca) {
            (Some(_), None, _) => return needs("tls_certificate", "tls_key"),
            (None, Some(_), _) => return needs("tls_key", "tls_certificate"),
            (None, _, Some(_)) => return needs("tls_client_ca", "tls_certificate"),
            _ => {}
        }
        let fault = self.server()?.check().err()?;
        let name = match fault.file {
            TlsFile::Certificate => "tls_certificate",
            TlsFile::Key => "tls_key",
            TlsFile::Authorities => "tls_client_ca",
        };
        Some((key(name), fault.message))
    }
}

/// The faults of the files of servers that listen.
pub(crate) fn faults(settings: &Settings) -> Vec<(String, String)> {
    let (gateway, metrics) = (&settings.gateway, &settings.metrics);
    let mut all = vec![settings.hub.tls_keys()];
    all.extend(gateway.enabled.then(|| gateway.tls_keys()));
    all.extend(metrics.enabled.then(|| metrics.tls_keys()));
    let mut faults: Vec<_> = all.iter().filter_map(TlsKeys::fault).collect();
    if let Err(fault) = settings.hub.fingerprints() {
        faults.push(("hub.tls_fingerprint".to_owned(), fault));
    }
    faults
}

impl HubSection {
    fn fingerprints(&self) -> Result<Vec<Fingerprint>, String> {
        match &self.tls_fingerprint {
            Some(text) => Fingerprint::list(text).map_err(|fault| fault.to_string()),
            None => Ok(Vec::new()),
        }
    }

    /// The trust of a client in the hub. `None` means that it connects without TLS: nothing names a certificate. A client with
    /// the hub's own settings trusts the hub's certificate file.
    ///
    /// # Errors
    /// A sentence, if a value or file cannot be used.
    pub fn client_tls(&self) -> Result<Option<ClientTls>, String> {
        let named = self.tls_fingerprint.is_some() || self.tls_ca.is_some();
        let identity = match (&self.tls_client_certificate, &self.tls_client_key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => {
                return Err(
                    "hub.tls_client_certificate and hub.tls_client_key belong together: set both"
                        .to_owned(),
                );
            }
        };
        if !named && self.tls_certificate.is_none() {
            return match identity {
                None => Ok(None),
                Some(_) => Err(
                    "hub.tls_client_certificate needs TLS: set hub.tls_fingerprint or hub.tls_ca, by which this client knows the hub"
                        .to_owned(),
                ),
            };
        }
        let tls = ClientTls {
            fingerprints: self.fingerprints()?,
            pinned_file: (!named).then(|| self.tls_certificate.clone()).flatten(),
            ca: self.tls_ca.clone(),
            identity,
        };
        match tls.check() {
            Ok(()) => Ok(Some(tls)),
            Err(fault) => Err(fault.message),
        }
    }
}
