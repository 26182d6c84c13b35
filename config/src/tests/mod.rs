//! Tests from the user's side: the text of a file, variables and flags as input; settings or faults as output.

mod client;
mod example;
mod faults;
mod layers;
mod profiles;
mod reload;
mod show;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Flag, LoadOptions, Loaded, Settings};

/// A folder with a `kirosu.toml`, an environment and flags.
struct Case {
    dir: TempDir,
    options: LoadOptions,
}

impl Case {
    fn new(file: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kirosu.toml");
        std::fs::write(&path, file).unwrap();
        let mut options = LoadOptions::with_env([("HOME", "/home/me")]);
        options.file = Some(path);
        Self { dir, options }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.options.env.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        let name = format!("--{}", key.replace('.', "-"));
        self.options.flags.push(Flag::new(name, key, value));
        self
    }

    fn load(&self) -> Loaded {
        Settings::load(self.options.clone()).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn settings(&self) -> Settings {
        self.load().settings
    }

    /// The faults as a user reads them, without the path of the temporary folder.
    fn faults(&self) -> Vec<String> {
        let faults =
            Settings::load(self.options.clone()).expect_err("these settings have to be refused");
        let dir = format!("{}/", self.dir.path().display());
        faults
            .to_string()
            .replace(&dir, "")
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

/// The folder of this crate.
fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
