//! The key of a service: read when it is needed, sent, and never shown.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::Unready;
use crate::outcome::FailureKind;
use crate::shortage::is_shortage;

/// Bytes of a key, at most. A longer file is most likely the wrong one.
const LONGEST: usize = 16 * 1024;

/// A file that cannot be read in this time (a pipe without a writer) has no key.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of a header value that is hidden, at least. Shorter values may occur in error texts by chance.
const SHORTEST_HIDDEN: usize = 8;

const HIDDEN: &str = "[hidden]";

/// The place of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeySource {
    /// The service needs no key.
    None,
    /// A variable of this process.
    Env(String),
    /// A file that contains only the key.
    File(PathBuf),
}

/// A key. It implements no `Debug` or `Display`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ApiKey(String);

impl ApiKey {
    /// The key itself, for the request's header.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl KeySource {
    /// Reads the key. It is read for each run, so a renewed key is used at the next one.
    ///
    /// # Errors
    /// When there is no key, or the machine lacks a resource to read it: where it was searched and what to do.
    pub(super) async fn read(&self) -> Result<Option<ApiKey>, Unready> {
        match self {
            Self::None => Ok(None),
            Self::Env(name) => match std::env::var(name) {
                Ok(text) if !text.trim().is_empty() => key(&text, &format!("in ${name}")).map(Some),
                Ok(_) | Err(std::env::VarError::NotPresent) => Err(no_key(format!(
                    "there is no key: the variable {name} is not set; set it where kirosu is started, or use a file"
                ))),
                Err(_) => Err(no_key(format!(
                    "the key in ${name} is not text; set it anew"
                ))),
            },
            Self::File(path) => {
                let shown = path.display();
                let read = tokio::time::timeout(READ_LIMIT, beginning(path)).await;
                let bytes = read.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
                let bytes = bytes.map_err(|error| match is_shortage(&error) {
                    true => Unready {
                        class: FailureKind::Shortage,
                        why: format!("cannot read the key from {shown}: {error}"),
                    },
                    false => no_key(format!("cannot read the key from {shown}: {error}; write it there, or correct key_file")),
                })?;
                let text = String::from_utf8(bytes).map_err(|_| {
                    no_key(format!("the key in {shown} is not text; write it anew"))
                })?;
                key(&text, &format!("in {shown}")).map(Some)
            }
        }
    }

    /// The place of the key, as part of a sentence for a person.
    pub(super) fn place(&self) -> String {
        match self {
            Self::None => "none is set (key_env, key_file)".to_owned(),
            Self::Env(name) => format!("it is in the variable {name}"),
            Self::File(path) => format!("it is in {}", path.display()),
        }
    }
}

/// Reads at most one byte more than the longest key.
async fn beginning(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(LONGEST as u64 + 1)
        .read_to_end(&mut bytes)
        .await?;
    Ok(bytes)
}

fn no_key(why: String) -> Unready {
    Unready {
        class: FailureKind::AuthRequired,
        why,
    }
}

fn key(text: &str, place: &str) -> Result<ApiKey, Unready> {
    let text = text.trim();
    let fits = |byte: u8| byte.is_ascii_graphic();
    if text.is_empty() || text.len() > LONGEST || !text.bytes().all(fits) {
        return Err(no_key(format!(
            "the key {place} cannot be one: a line of visible ASCII characters is needed"
        )));
    }
    Ok(ApiKey(text.to_owned()))
}

/// Values that must not appear in text from a service.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn new<'s>(values: impl Iterator<Item = &'s str>) -> Self {
        let long = values.filter(|value| value.len() >= SHORTEST_HIDDEN);
        Self(long.map(str::to_owned).collect())
    }

    pub(super) fn with(&self, key: Option<&ApiKey>) -> Self {
        let mut all = self.clone();
        all.0.extend(key.map(|key| key.0.clone()));
        all
    }

    /// The text without these values, and without words that begin like a key: services repeat keys in a shortened form.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.as_str(), HIDDEN);
        }
        let mut shown = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find("sk-") {
            let is_start = !rest[..at].ends_with(|c: char| c.is_alphanumeric());
            let (before, found) = rest.split_at(at);
            shown.push_str(before);
            let length = found
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '.')))
                .unwrap_or(found.len());
            let (word, after) = found.split_at(length);
            shown.push_str(if is_start && length > 6 { HIDDEN } else { word });
            rest = after;
        }
        shown + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_seen_in_no_text() {
        let secrets = Secrets::new(["application/json", "org-1234567", "beta"].into_iter());
        let secrets = secrets.with(Some(&ApiKey("k".repeat(5))));
        let text = "bad key kkkkk of org-1234567, not sk-ab****wxyz; beta desk-lamps";
        let shown = "bad key [hidden] of [hidden], not [hidden]; beta desk-lamps";
        assert_eq!(secrets.redact(text), shown);
    }

    #[tokio::test]
    async fn a_key_is_one_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = KeySource::File(file.path().to_owned());
        std::fs::write(file.path(), "abc\n").unwrap();
        assert_eq!(source.read().await.ok().flatten().unwrap().expose(), "abc");
        for wrong in ["", "two words", "two\nlines"] {
            std::fs::write(file.path(), wrong).unwrap();
            assert!(source.read().await.is_err(), "{wrong:?}");
        }
        let endless = KeySource::File("/dev/zero".into());
        let error = endless.read().await.err().unwrap().why;
        assert!(error.contains("cannot be one"), "{error}");
        let missing = KeySource::Env("KIROSU_TEST_NO_SUCH_KEY".to_owned());
        let error = missing.read().await.err().unwrap().why;
        assert!(error.contains("KIROSU_TEST_NO_SUCH_KEY is not set"));
    }
}
