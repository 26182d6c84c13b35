//! `.kiro/context.md`: instructions of a folder for every agent that works in it.

use std::io::ErrorKind;
use std::path::Path;

use kirosu_providers::AgentFile;

/// Maximum size in bytes.
const CONTEXT_BYTES: u64 = 256 << 10;
const FILE: &str = ".kiro/context.md";

/// Returns the nearest `.kiro/context.md`, from the folder up to the root of the workspace; cut at 256 KiB. A file that
/// is not used because of what it is (a link, a FIFO) gets a warning, as an agent can have put it there to have a secret
/// sent with the next prompt. Blocks on the file system.
pub(crate) fn context(dir: &Path, root: &Path, warnings: &mut Vec<String>) -> Option<String> {
    let within = dir.ancestors().take_while(|it| it.starts_with(root));
    let mut found = within.filter_map(|dir| {
        read(dir, root).unwrap_or_else(|why| {
            let warning = format!("{} is ignored: {why}", dir.join(FILE).display());
            tracing::warn!("{warning}");
            warnings.push(warning);
            None
        })
    });
    found.next()
}

fn read(dir: &Path, root: &Path) -> std::io::Result<Option<String>> {
    let name = dir.strip_prefix(root).unwrap_or(Path::new("")).join(FILE);
    let bytes = match AgentFile::beneath(root, &name).and_then(|it| it.beginning(CONTEXT_BYTES)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    Ok((!text.is_empty()).then_some(text))
}
