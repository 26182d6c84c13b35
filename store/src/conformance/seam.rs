//! The code above the seam uses the store through [`Backend`](crate::backend::Backend) alone.

use std::path::Path;

/// The files above the seam: the state in memory and the commands.
const ABOVE: [&str; 17] = [
    "core.rs",
    "audit.rs",
    "batch.rs",
    "credentials.rs",
    "deadlines.rs",
    "idle.rs",
    "ledger.rs",
    "notify.rs",
    "outputs.rs",
    "schedules.rs",
    "prefetch.rs",
    "tasks.rs",
    "web_sessions.rs",
    "command",
    "parked",
    "rules",
    "work",
];

#[test]
fn nothing_above_the_seam_sees_diesel() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut left: Vec<_> = ABOVE.map(|name| sources.join(name)).into();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ["diesel", "SqliteConnection"] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}
