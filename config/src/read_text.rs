//! Reads files that a person names, up to a limit: some files have no end (`/dev/zero`).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Reads a text file of at most `most` bytes.
///
/// # Errors
/// The file cannot be read, is longer, or is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let why = format!(
            "it has more than {most} bytes, which is the most that is read of such a file; name another file"
        );
        return Err(io::Error::other(why));
    }
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(bytes).map_err(not_text)
}
