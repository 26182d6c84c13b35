//! `.kiro/context.md`: instructions of a folder for every agent that works in it.

use std::fs;
use std::io::Read as _;
use std::path::Path;

/// Maximum size in bytes.
const CONTEXT_BYTES: u64 = 256 << 10;

/// Returns the nearest `.kiro/context.md`, from the folder up to the root of the workspace; cut at 256 KiB. Blocks on
/// the file system.
pub(crate) fn context(dir: &Path, root: &Path) -> Option<String> {
    let within = dir.ancestors().take_while(|it| it.starts_with(root));
    let mut found = within.filter_map(read);
    found.next()
}

fn read(dir: &Path) -> Option<String> {
    let file = fs::File::open(dir.join(".kiro").join("context.md")).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(CONTEXT_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}
