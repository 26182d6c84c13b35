//! The signature of a request, by the Standard Webhooks specification (version 1, symmetric).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::ops::RangeInclusive;

/// The beginning of a secret in its written form.
const PREFIX: &str = "whsec_";
/// The bytes of a secret, as the specification recommends.
const SECRET_BYTES: RangeInclusive<usize> = 24..=64;

/// The secret of a signature. It implements no `Debug`.
pub(crate) struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// Reads the written form: `whsec_`, which may be left out, and base64.
    ///
    /// # Errors
    /// A sentence without the secret.
    pub fn parse(text: &str) -> Result<SigningSecret, String> {
        let text = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = STANDARD.decode(text).ok();
        match bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len())) {
            Some(bytes) => Ok(SigningSecret(bytes)),
            None => Err(format!(
                "a secret is {PREFIX} and {} to {} bytes in base64; make one with: echo {PREFIX}$(openssl rand -base64 32)",
                SECRET_BYTES.start(),
                SECRET_BYTES.end()
            )),
        }
    }

    /// The value of the header `webhook-signature`. `at`: Unix seconds, as in `webhook-timestamp`.
    pub fn sign(&self, id: &str, at: u64, body: &[u8]) -> String {
        let mut code = match Hmac::<Sha256>::new_from_slice(&self.0) {
            Ok(code) => code,
            // It takes keys of any length.
            Err(_) => Hmac::new(&Default::default()),
        };
        code.update(format!("{id}.{at}.").as_bytes());
        code.update(body);
        format!("v1,{}", STANDARD.encode(code.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference implementations of the specification.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .ok()
            .unwrap();
        let signature = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_wrong_secret_is_refused_without_showing_it() {
        for wrong in ["", "whsec_", "hunter2hunter2", "whsec_c2hvcnQ="] {
            let error = SigningSecret::parse(wrong).err().unwrap();
            assert!(
                wrong.is_empty() || wrong == PREFIX || !error.contains(wrong),
                "{error}"
            );
        }
    }
}
