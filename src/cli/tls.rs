//! `kirosu tls`: makes certificates, and shows their fingerprints.

use super::{Context, Failure, whole};
use clap::Subcommand;
use kirosu_tls::{Fingerprint, self_signed};
use serde_json::json;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const EXAMPLES: &str = "\
Examples:
  kirosu tls new --name hub.lan --name 192.168.1.7 --out ~/.config/kirosu/tls
  kirosu tls new --name gpu-1 --out gpu-1    for an agent host: kirosu key add gpu-1 --role work --certificate gpu-1/certificate.pem
  kirosu tls show ~/.config/kirosu/tls/certificate.pem
A hub with tls_certificate and tls_key in [hub] takes only TLS. Its clients know it by the fingerprint: hub.tls_fingerprint in
their settings, or --tls-fingerprint.";

/// The file of a certificate.
const CERTIFICATE: &str = "certificate.pem";
/// The file of its private key.
const KEY: &str = "key.pem";
/// The longest validity in days: a hundred years.
const DAYS_MAX: i64 = 36_500;
/// The usual validity in days.
const DAYS: i64 = 3650;
const DAY: Duration = Duration::from_secs(86_400);

/// Makes certificates for TLS, and shows their fingerprints
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: TlsCommand,
}

#[derive(Debug, Subcommand)]
enum TlsCommand {
    /// Makes a certificate that its own key signs: certificate.pem and key.pem
    New {
        /// A host name or address by which clients connect; may be repeated
        #[arg(long = "name", value_name = "HOST", required = true)]
        names: Vec<String>,
        /// The folder of the two files, which is made if it is missing
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Days for which it is valid [default: 3650]
        #[arg(long, value_name = "NUMBER", value_parser = whole::<u32>(1..=DAYS_MAX, DAYS))]
        days: Option<u32>,
    },
    /// Prints the fingerprint of a certificate
    Show {
        /// The PEM file
        certificate: PathBuf,
    },
}

/// Runs the subcommand.
///
/// # Errors
/// A file cannot be read or written, or a name cannot be in a certificate.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    match &args.command {
        TlsCommand::New { names, out, days } => {
            let days = days.unwrap_or(DAYS as u32);
            let validity = DAY * days;
            let made = self_signed(names, SystemTime::now(), validity).map_err(Failure::Usage)?;
            let (certificate, key) = (out.join(CERTIFICATE), out.join(KEY));
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(out)
                .map_err(|why| Failure::local(format!("cannot make {}", out.display()), why))?;
            write(&key, 0o600, &made.key)?;
            write(&certificate, 0o644, &made.certificate)?;
            let fingerprint = made.fingerprint.to_string();
            let answer = json!({
                "certificate": certificate, "key": key, "fingerprint": fingerprint,
            });
            screen.answer(&answer, || {
                let (certificate, key) = (certificate.display(), key.display());
                screen.note(&format!("wrote {certificate} and its private key {key}"))?;
                screen.print(&fingerprint)
            })
        }
        TlsCommand::Show { certificate } => {
            let fingerprint = Fingerprint::of_file(certificate);
            let fingerprint = fingerprint
                .map_err(|fault| Failure::Local(fault.message))?
                .to_string();
            screen.answer(&json!({ "fingerprint": fingerprint }), || {
                screen.print(&fingerprint)
            })
        }
    }
}

/// Writes a new file. One that is there may be in use, and is left as it is.
fn write(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let tried = || format!("cannot write {}", path.display());
    let opened = File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let mut file = opened.map_err(|why| match why.kind() {
        io::ErrorKind::AlreadyExists => Failure::local(tried(), "it exists; name another --out"),
        _ => Failure::local(tried(), why),
    })?;
    file.write_all(text.as_bytes())
        .map_err(|why| Failure::local(tried(), why))
}
