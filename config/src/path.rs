//! Paths in settings: `~` is the home directory; nothing else is expanded.

/// Replaces `~` or a leading `~/` of a path or a program by the home directory.
///
/// # Errors
/// The path contains a variable (`$HOME/x`) or the home of a named user (`~me/x`), which are not expanded, or `~` while
/// HOME is not set. The sentence says what to write instead.
pub(crate) fn expand(path: &str, home: Option<&str>) -> Result<String, String> {
    if let Some(variable) = path.split('/').find(|part| is_variable(part)) {
        return Err(format!(
            "cannot take {path:?}: a variable such as {variable} is not expanded; write ~/ for the home directory, or the whole path"
        ));
    }
    let Some(rest) = path.strip_prefix('~') else {
        return Ok(path.to_owned());
    };
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err(format!(
            "cannot take {path:?}: only ~/ is expanded, not the home directory of a named user; write the whole path"
        ));
    }
    match home {
        Some(home) => Ok(format!("{}{rest}", home.trim_end_matches('/'))),
        None => Err(format!(
            "cannot take {path:?}: ~ needs HOME, which is not set; write the whole path"
        )),
    }
}

/// Whether a shell would expand the part: `$NAME...` or `${NAME}...`.
fn is_variable(part: &str) -> bool {
    let name = part
        .strip_prefix('$')
        .map(|name| name.trim_start_matches('{'));
    name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn only_the_home_directory_is_expanded() {
        for (path, expected) in [
            ("~/bin/agent", "/home/me/bin/agent"),
            ("~", "/home/me"),
            ("/opt/~/x", "/opt/~/x"),
            ("bin/agent", "bin/agent"),
            ("a$b/c", "a$b/c"),
            ("/x/$1", "/x/$1"),
            ("/x/$", "/x/$"),
        ] {
            assert_eq!(expand(path, Some("/home/me/")).as_deref(), Ok(expected));
        }
        for path in [
            "$HOME/x",
            "${HOME}/x",
            "/srv/$USER/x",
            "/srv/$USER",
            "~me/x",
        ] {
            assert!(expand(path, Some("/home/me")).is_err(), "{path}");
        }
        assert!(expand("~/x", None).is_err());
    }
}
