//! Where a program's login shows without asking it: variables that hold a key, files that a login leaves behind.
//!
//! A sign says that somebody has logged in, not that the service still takes it; that no sign is there does not say the
//! opposite where a program keeps its login in a keyring. Nothing is read but whether it is there.

use std::path::PathBuf;

use super::table_reader::TableReader;

/// Where to look; any of them is enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// Variables that hold a key or token.
    pub env: Vec<String>,
    /// Files; `~/` is the home folder, `$NAME/` what a variable says (the file is left out where it is not set).
    pub files: Vec<String>,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginSign {
    /// This variable is set, or this file is there.
    Found(String),
    /// None of these.
    None(Vec<String>),
    /// The definition names no place.
    Unknown,
}

pub(super) fn read(taker: &TableReader<'_>) -> Login {
    let list = |name| taker.texts(name).unwrap_or_default();
    Login {
        env: list("env"),
        files: list("files"),
    }
}

impl Login {
    /// Looks, with the variables that the program will have. Blocks on the file system.
    pub fn look(&self, var: impl Fn(&str) -> Option<String>) -> LoginSign {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        if let Some(name) = self.env.iter().find(|name| set(name).is_some()) {
            return LoginSign::Found(name.clone());
        }
        let there = self.files.iter().find(|file| {
            place(file, &set).is_some_and(|path| path.metadata().is_ok_and(|it| it.len() > 0))
        });
        match there {
            Some(file) => LoginSign::Found(file.clone()),
            None if self.env.is_empty() && self.files.is_empty() => LoginSign::Unknown,
            None => LoginSign::None([self.env.as_slice(), self.files.as_slice()].concat()),
        }
    }
}

pub(super) fn place(file: &str, var: &impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let (root, rest) = match file.split_once('/') {
        Some(("~", rest)) => (var("HOME")?, rest),
        Some((root, rest)) if root.starts_with('$') => (var(&root[1..])?, rest),
        _ => return Some(PathBuf::from(file)),
    };
    Some(PathBuf::from(root).join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_shows_in_a_variable_or_a_file() {
        let home = tempfile::tempdir().unwrap();
        let login = Login {
            env: vec!["A_KEY".to_owned(), "B_KEY".to_owned()],
            files: vec!["$CODE_HOME/auth".to_owned(), "~/.code/auth".to_owned()],
        };
        let look = |more: &[(&str, &str)]| {
            login.look(|name| {
                let own = more.iter().find(|(known, _)| *known == name);
                match name {
                    "HOME" => Some(home.path().display().to_string()),
                    _ => own.map(|(_, value)| (*value).to_owned()),
                }
            })
        };
        assert!(matches!(look(&[]), LoginSign::None(places) if places.len() == 4));
        assert!(matches!(look(&[("A_KEY", "")]), LoginSign::None(_)));
        assert_eq!(
            look(&[("B_KEY", "k")]),
            LoginSign::Found("B_KEY".to_owned())
        );
        std::fs::create_dir(home.path().join(".code")).unwrap();
        std::fs::write(home.path().join(".code/auth"), "{}").unwrap();
        assert_eq!(look(&[]), LoginSign::Found("~/.code/auth".to_owned()));
        assert_eq!(Login::default().look(|_| None), LoginSign::Unknown);
    }
}
