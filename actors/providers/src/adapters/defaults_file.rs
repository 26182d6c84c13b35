//! A file of defaults, where the definition has one: settings that the program reads with the lowest priority. It limits
//! how long the program retries by itself, unless a person has set that otherwise.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

use super::mcp;
use crate::containment::Containment;
use crate::definition::DefaultsFile;
use crate::outcome::RunFailure;

/// The file of one provider, written when a run first needs it.
#[derive(Debug, Default)]
pub(crate) struct Defaults(Mutex<Option<NamedTempFile>>);

impl Defaults {
    /// The variable that names the file. `None` where the definition has no such file, the variable is already set, or this
    /// machine has such a file of its own. `env` is the rest of the program's environment.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn variable(
        &self,
        wanted: Option<&DefaultsFile>,
        env: &[(String, String)],
        containment: &Containment,
    ) -> Result<Option<(String, String)>, RunFailure> {
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        let is_set = mcp::variable(env, &wanted.env).is_some_and(|it| !it.is_empty());
        if is_set
            || wanted
                .machine
                .as_deref()
                .is_some_and(|it| Path::new(it).exists())
        {
            return Ok(None);
        }
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A cleaner of temporary files may have removed it.
        let kept = file.take().filter(|it| it.path().exists());
        let written = match kept {
            Some(kept) => kept,
            None => mcp::write(
                &serde_json::Value::from(wanted.content.clone()).to_string(),
                containment,
            )
            .map_err(|error| mcp::cannot("write the program's settings to a file", &error))?,
        };
        let path = written.path().to_string_lossy().into_owned();
        *file = Some(written);
        Ok(Some((wanted.env.clone(), path)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::containment::RunnerCommand;

    #[test]
    fn the_file_is_named_unless_a_person_names_one() {
        let content = json!({"general": {"maxAttempts": 4}});
        let wanted = DefaultsFile {
            env: "KIROSU_TEST_DEFAULTS".to_owned(),
            machine: None,
            content: content.as_object().unwrap().clone(),
        };
        let defaults = Defaults::default();
        let here = Containment::new(RunnerCommand::this_executable("none"), "test");
        assert_eq!(defaults.variable(None, &[], &here), Ok(None));
        let (name, path) = defaults
            .variable(Some(&wanted), &[], &here)
            .unwrap()
            .unwrap();
        assert_eq!(name, wanted.env);
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, content.to_string());
        // Each run gets the same file, also after it was removed.
        let again = |defaults: &Defaults| {
            defaults
                .variable(Some(&wanted), &[], &here)
                .unwrap()
                .unwrap()
                .1
        };
        assert_eq!(again(&defaults), path);
        std::fs::remove_file(&path).unwrap();
        assert!(Path::new(&again(&defaults)).exists());
        let set = [(wanted.env.clone(), "/mine.json".to_owned())];
        assert_eq!(defaults.variable(Some(&wanted), &set, &here), Ok(None));
        let on_machine = DefaultsFile {
            machine: Some("/etc/passwd".to_owned()),
            ..wanted.clone()
        };
        assert_eq!(defaults.variable(Some(&on_machine), &[], &here), Ok(None));
    }
}
