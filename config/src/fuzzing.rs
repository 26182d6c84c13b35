//! The entry point of the fuzz target `toml_layers` (`fuzz/`). A test calls it too, with random texts.

use crate::load::FoundFile;
use crate::{LoadOptions, Purpose, SecretDisplay, Settings, diff};

/// Loads a text as the settings file, with one environment variable above it, for a hub and for a client.
///
/// # Panics
/// When a fault has no sentence, or accepted settings differ from themselves.
pub fn toml_layers(text: &str) {
    for purpose in [Purpose::Serve, Purpose::Client] {
        let found = FoundFile {
            path: "kirosu.toml".into(),
            text: text.to_owned(),
            found_here: false,
        };
        let options = LoadOptions {
            purpose,
            ..LoadOptions::with_env([("KIROSU_HUB__PORT", "7001")])
        };
        match Settings::load_found(options, Some(found), Vec::new()) {
            Ok(loaded) => {
                assert!(diff(&loaded.settings, &loaded.settings).is_empty());
                loaded.to_toml(SecretDisplay::Hidden);
            }
            Err(faults) => assert!(!faults.0.is_empty() && !faults.to_string().is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_loaded_or_refused(
            lines in prop::collection::vec(
                r#"(\[(hub|store|limits|lease|gateway|retry|log|budget|x)\]|\[\[pool\]\]|\[providers\.[a-z]{1,2}\]|(port|name|queues|size|provider|kind|retention|nesting|level|env|x) = (-?[0-9]{1,20}|"[a-z0-9$ {}%]{0,8}"|true|\[("a",?)*\]|\{a = 1\}|1\.5)|.{0,12})"#,
                0..12,
            )
        ) {
            super::toml_layers(&lines.join("\n"));
        }
    }
}
