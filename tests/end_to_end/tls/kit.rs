//! Certificates, and commands that use them.

use crate::common::{Hub, Setup};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A certificate and its private key.
pub struct Files {
    pub certificate: String,
    pub key: String,
    pub fingerprint: String,
}

impl Files {
    /// Made by `kirosu tls new` in a folder of this name.
    pub fn new(home: &Path, name: &str, hosts: &[&str]) -> Files {
        let mut arguments = vec!["tls", "new", "--out", name];
        for host in hosts {
            arguments.extend(["--name", host]);
        }
        let output = command(home, &arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Files::at(
            &home.join(name),
            String::from_utf8(output.stdout).unwrap().trim(),
        )
    }

    fn at(folder: &Path, fingerprint: &str) -> Files {
        Files {
            certificate: folder.join("certificate.pem").display().to_string(),
            key: folder.join("key.pem").display().to_string(),
            fingerprint: fingerprint.to_owned(),
        }
    }

    /// The flags of a client with this certificate.
    pub fn identity(&self) -> [&str; 4] {
        let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        [
            "--set",
            leak(format!("hub.tls_client_certificate={}", self.certificate)),
            "--set",
            leak(format!("hub.tls_client_key={}", self.key)),
        ]
    }
}

/// An authority.
pub struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority(Issuer::new(params, key), pem)
    }

    pub fn pem(&self) -> &str {
        &self.1
    }

    /// A certificate that it has signed.
    pub fn sign(&self, home: &Path, name: &str) -> Files {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.0).unwrap();
        let folder = home.join(name);
        std::fs::create_dir(&folder).unwrap();
        let files = Files::at(&folder, "");
        std::fs::write(&files.certificate, signed.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o600)).unwrap();
        files
    }
}

/// The built binary in a folder that is its home, with nothing of the surroundings.
pub fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kirosu"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("NO_COLOR", "1")
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

/// A hub with TLS.
pub fn hub(settings: &[&str]) -> (Hub, Files) {
    let setup = Setup::new();
    let files = Files::new(setup.directory.path(), "hub", &["127.0.0.1", "localhost"]);
    let setup = settings.iter().fold(setup, |setup, it| setup.set(it));
    (tls(setup, &files).start(), files)
}

/// The settings of a hub with this certificate.
pub fn tls(setup: Setup, files: &Files) -> Setup {
    setup
        .set(&format!("hub.tls_certificate={}", files.certificate))
        .set(&format!("hub.tls_key={}", files.key))
}

/// Runs a verb against a hub; exit code and output.
pub fn run(hub: &Hub, verb: &[&str], flags: &[&str]) -> (Option<i32>, String) {
    run_with(hub, verb, flags, &[])
}

/// The same, with more in the environment.
pub fn run_with(
    hub: &Hub,
    verb: &[&str],
    flags: &[&str],
    environment: &[(&str, &str)],
) -> (Option<i32>, String) {
    let port = hub.port.to_string();
    let arguments = [verb, flags, &["--port", &port]].concat();
    let mut command = command(hub.setup.directory.path(), &arguments);
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stderr) + &text(&output.stdout),
    )
}

/// Settings with a fault, the key that it has, and a part of its message.
pub fn wrong_files(folder: &Path, good: &Files) -> Vec<(Vec<String>, &'static str, &'static str)> {
    let other = Files::new(folder, "other", &["localhost"]);
    let open = folder.join("open.pem");
    std::fs::copy(&good.key, &open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let certificate = |path: &str| format!("hub.tls_certificate={path}");
    let key = |path: &str| format!("hub.tls_key={path}");
    let both = |first: &str, second: &str| vec![certificate(first), key(second)];
    let open = open.display().to_string();
    let folder = folder.display().to_string();
    vec![
        (
            vec![certificate(&good.certificate)],
            "hub.tls_certificate",
            "without hub.tls_key",
        ),
        (
            vec![key(&good.key)],
            "hub.tls_key",
            "without hub.tls_certificate",
        ),
        (
            both("/nonexistent", &good.key),
            "hub.tls_certificate",
            "cannot read /nonexistent",
        ),
        (
            both(&folder, &good.key),
            "hub.tls_certificate",
            "not a regular file",
        ),
        (
            both(&good.key, &good.key),
            "hub.tls_certificate",
            "has no certificate",
        ),
        (
            both(&good.certificate, &good.certificate),
            "hub.tls_key",
            "can use the private key",
        ),
        (
            both(&good.certificate, &other.key),
            "hub.tls_key",
            "is not the private key of",
        ),
        (both(&good.certificate, &open), "hub.tls_key", "chmod 600"),
        (
            vec!["hub.tls_fingerprint=abc".to_owned()],
            "hub.tls_fingerprint",
            "is not a fingerprint",
        ),
        (
            vec![
                "metrics.enabled=true".to_owned(),
                "metrics.tls_client_ca=/x".to_owned(),
            ],
            "metrics.tls_client_ca",
            "without metrics.tls_certificate",
        ),
    ]
}
