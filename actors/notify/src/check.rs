//! Checks of a target without a delivery, for the doctor.

use crate::desktop;
use crate::options::{TargetOptions, Way};
use crate::sign::SigningSecret;
use crate::webhook;
use kirosu_providers::{find_program, read_secret};

/// Checks that a delivery could be tried: the address, the secret and the program are there. Nothing is sent.
///
/// # Errors
/// A sentence for a person that names the missing part.
pub async fn examine(target: &TargetOptions) -> Result<String, String> {
    match &target.way {
        Way::Webhook {
            address,
            plain,
            secret_env,
            secret_file,
        } => {
            let url = webhook::url(address, *plain)?;
            let shown = webhook::shown(&url);
            let secret = read_secret(secret_env.as_deref(), secret_file.as_deref()).await;
            match secret.map_err(|why| format!("no secret for the signature: {why}"))? {
                Some(secret) => {
                    SigningSecret::parse(&secret)?;
                    Ok(format!("webhook {shown}, signed"))
                }
                None => Ok(format!("webhook {shown}, not signed")),
            }
        }
        Way::Command(argv) => program(argv.first().map_or("", String::as_str)),
        Way::Desktop => {
            desktop::check()?;
            program(desktop::PROGRAM)
        }
    }
}

fn program(name: &str) -> Result<String, String> {
    match find_program(name, &[]) {
        Some(path) => Ok(path.display().to_string()),
        None => Err(format!(
            "the program {name} is not in PATH; install it, or correct its name"
        )),
    }
}
