//! Signs of a program's login that need no call of it: variables that hold a key, files that a login leaves.
//!
//! A sign shows that a person has logged in, not that the service still accepts the login. A missing sign proves nothing
//! where a program keeps its login in a keyring. Values and contents are not read.

use std::path::PathBuf;

use super::table_reader::define_table;

define_table! {
    /// The places to search; one sign is enough.
    #[derive(PartialEq, Eq)]
    pub struct Login {
        /// Variables that hold a key or token.
        pub env: Vec<String>,
        /// Files. `~/` is the home folder, `$NAME/` the value of a variable; a file is skipped where the variable is not set.
        pub files: Vec<String>,
    }
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginSign {
    /// This variable is set, or this file exists.
    Found(String),
    /// No sign. The places that were searched.
    None(Vec<String>),
    /// The definition names no places.
    Unknown,
}

impl Login {
    /// Searches for a sign. `var` reads the variables of the program. Blocks on the file system.
    pub fn find(&self, var: impl Fn(&str) -> Option<String>) -> LoginSign {
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

/// The path that a definition names. `None` where its variable is not set.
pub(crate) fn place(file: &str, var: &impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
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
        let find = |more: &[(&str, &str)]| {
            login.find(|name| {
                let own = more.iter().find(|(known, _)| *known == name);
                match name {
                    "HOME" => Some(home.path().display().to_string()),
                    _ => own.map(|(_, value)| (*value).to_owned()),
                }
            })
        };
        assert!(matches!(find(&[]), LoginSign::None(places) if places.len() == 4));
        assert!(matches!(find(&[("A_KEY", "")]), LoginSign::None(_)));
        assert_eq!(
            find(&[("B_KEY", "k")]),
            LoginSign::Found("B_KEY".to_owned())
        );
        std::fs::create_dir(home.path().join(".code")).unwrap();
        std::fs::write(home.path().join(".code/auth"), "{}").unwrap();
        assert_eq!(find(&[]), LoginSign::Found("~/.code/auth".to_owned()));
        assert_eq!(Login::default().find(|_| None), LoginSign::Unknown);
    }
}
