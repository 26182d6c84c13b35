//! The files of the web page, in the folder `page/` of this crate.

use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write;
#[cfg(debug_assertions)]
use std::path::Path;

/// The file at `/`.
pub(super) const INDEX: &str = "index.html";

/// The table of the files. A test compares it with the folder.
macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        #[cfg(any(test, not(debug_assertions)))]
        const EMBEDDED: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("../../page/", $name)))),*];
    };
}

embedded![
    "app.js",
    "core.js",
    "icon.svg",
    "inbox.js",
    "index.html",
    "more.js",
    "overview.js",
    "pools.js",
    "preact.js",
    "rows.js",
    "runs.js",
    "samples.js",
    "style.css",
    "task.js",
    "tasks.js",
    "ui.js",
];

/// The content type of a file by the end of its name. `None`: the page has no such files.
pub(super) fn content_type(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    Some(match end {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

/// Whether a name can be that of a file: no way out of the folder, no hidden file.
fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain)
}

/// A file as it is served.
#[derive(Clone)]
pub(super) struct PageFile {
    pub(super) content_type: &'static str,
    /// Its entity tag: the SHA-256 of its bytes.
    pub(super) tag: String,
    pub(super) bytes: Cow<'static, [u8]>,
}

impl PageFile {
    fn new(name: &str, bytes: Cow<'static, [u8]>) -> Option<PageFile> {
        let mut tag = String::from("\"");
        for byte in Sha256::digest(&bytes) {
            // Writing to a string does not fail.
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        Some(PageFile {
            content_type: content_type(name)?,
            tag,
            bytes,
        })
    }
}

/// A file by its name. A debug build reads it from the source tree, so that a change is seen without a build.
#[cfg(debug_assertions)]
pub(super) fn find(name: &str) -> Option<PageFile> {
    if !is_name(name) {
        return None;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
    let bytes = std::fs::read(folder.join(name)).ok()?;
    PageFile::new(name, Cow::Owned(bytes))
}

/// A file by its name.
#[cfg(not(debug_assertions))]
pub(super) fn find(name: &str) -> Option<PageFile> {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;
    static FILES: LazyLock<BTreeMap<&str, PageFile>> = LazyLock::new(|| {
        let files = EMBEDDED.iter().filter(|(name, _)| is_name(name));
        let files = files.map(|(name, bytes)| (*name, PageFile::new(name, Cow::Borrowed(bytes))));
        files
            .filter_map(|(name, file)| Some((name, file?)))
            .collect()
    });
    FILES.get(name).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;

    /// The most bytes that a browser loads for one screen: frame, sheet and modules.
    const SCREEN_BYTES: usize = 60_000;
    /// The most bytes of all files together.
    const MOST_BYTES: usize = 90_000;
    /// The library, as its authors distribute it. It can set HTML; the page's own files do not name the property for it.
    const VENDORED: &str = "preact.js";
    /// Words of code that makes elements or code from texts.
    const FORBIDDEN: [&str; 9] = [
        "dangerouslySetInnerHTML",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "javascript:",
        "<style",
    ];

    fn folder() -> BTreeMap<String, Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let files = fs::read_dir(folder).unwrap().map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        });
        files.collect()
    }

    fn texts() -> impl Iterator<Item = (String, String)> {
        let texts = folder().into_iter();
        texts.filter_map(|(name, bytes)| Some((name, String::from_utf8(bytes).ok()?)))
    }

    #[test]
    fn the_table_has_each_file_of_the_folder_and_each_is_served() {
        let table: BTreeMap<String, Vec<u8>> = EMBEDDED
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
            .collect();
        let folder = folder();
        let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(&table),
            names(&folder),
            "page/files.rs lists the files"
        );
        for (name, bytes) in folder {
            let served = find(&name).unwrap_or_else(|| panic!("{name} has no content type"));
            assert_eq!(*served.bytes, *bytes);
        }
    }

    /// A module and those that it imports.
    fn with_imports(name: &str, files: &BTreeMap<String, Vec<u8>>, found: &mut BTreeSet<String>) {
        if !found.insert(name.to_owned()) {
            return;
        }
        let text = String::from_utf8(files[name].clone()).unwrap();
        for part in text.split(" from './").skip(1) {
            let (import, _) = part.split_once('\'').unwrap();
            with_imports(import, files, found);
        }
    }

    #[test]
    fn the_page_is_small() {
        let files = folder();
        let bytes: usize = files.values().map(Vec::len).sum();
        assert!(bytes <= MOST_BYTES, "the page has {bytes} bytes");
        // Each module can be that of the first screen.
        for module in files.keys().filter(|name| name.ends_with(".js")) {
            let mut loaded: BTreeSet<String> = files
                .keys()
                .filter(|name| !name.ends_with(".js"))
                .cloned()
                .collect();
            with_imports("app.js", &files, &mut loaded);
            with_imports(module, &files, &mut loaded);
            let bytes: usize = loaded.iter().map(|name| files[name].len()).sum();
            assert!(bytes <= SCREEN_BYTES, "{module} loads {bytes} bytes");
        }
    }

    #[test]
    fn no_file_makes_elements_or_code_from_texts() {
        for (name, text) in texts().filter(|(name, _)| name != VENDORED) {
            for word in FORBIDDEN {
                assert!(!text.contains(word), "{name} contains {word}");
            }
        }
    }

    #[test]
    fn no_script_style_or_handler_is_inline_and_nothing_comes_from_elsewhere() {
        for (name, text) in texts() {
            if name.ends_with(".html") {
                for part in text.split("<script").skip(1) {
                    let (tag, rest) = part.split_once('>').unwrap();
                    assert!(tag.contains("src="), "{name} has an inline script");
                    assert!(
                        rest.trim_start().starts_with("</script>"),
                        "{name} has an inline script"
                    );
                }
                for attribute in [" style=", " onclick=", " onload=", " onerror="] {
                    assert!(!text.contains(attribute), "{name} has{attribute}");
                }
            }
            // The names of XML's namespaces are addresses that nothing is loaded from.
            let text = text.replace("http://www.w3.org/", "");
            for scheme in ["http://", "https://", "\"//", "'//", "url(//"] {
                let at = text.find(scheme);
                let shown = at.map(|at| text[at..].chars().take(60).collect::<String>());
                assert_eq!(shown, None, "{name} names an address outside");
            }
        }
    }

    #[test]
    fn a_name_leads_to_no_other_folder() {
        for name in [
            "",
            "..",
            "../Cargo.toml",
            "a/../index.html",
            ".hidden.js",
            "%2e%2e",
            "index",
        ] {
            assert!(find(name).is_none(), "{name}");
        }
        assert!(find(INDEX).is_some());
    }
}
