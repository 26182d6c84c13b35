//! An examination from outside changes nothing and finds damage.

use kirosu_store::{Store, StoreOptions, StoreState, inspect};
use std::fs;
use std::path::Path;

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|it| {
            (
                it.file_name().into_string().unwrap(),
                fs::read(it.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn an_examination_leaves_a_store_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kirosu.db");
    assert!(inspect(&path).is_err());
    let store = Store::open(&StoreOptions::new(&path, 0)).unwrap();
    let held = inspect(&path).unwrap().state;
    assert_eq!(held, StoreState::Held(std::process::id().to_string()));
    // As a killed hub leaves it: with its log.
    let copy = tempfile::tempdir().unwrap();
    for (name, bytes) in files(folder.path()) {
        fs::write(copy.path().join(name), bytes).unwrap();
    }
    drop(store);
    for folder in [folder.path(), copy.path()] {
        let before = files(folder);
        let seen = inspect(&folder.join("kirosu.db")).unwrap();
        let sound = StoreState::Sound {
            pending: 0,
            checked: true,
        };
        assert_eq!(seen.state, sound);
        assert!(seen.bytes > 0);
        let names = |files: &[(String, Vec<u8>)]| -> Vec<_> {
            files
                .iter()
                .map(|(name, bytes)| (name.clone(), bytes.len()))
                .collect()
        };
        let after = files(folder);
        assert_eq!(names(&after), names(&before));
        assert!(after == before);
    }
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0x5a);
    bytes[2048..3000].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let found = inspect(&path);
    assert!(
        !matches!(&found, Ok(it) if matches!(it.state, StoreState::Sound { .. })),
        "{found:?}"
    );
    fs::write(&path, "no database at all, but long enough to have a header of a hundred bytes or more than that, surely so").unwrap();
    assert!(inspect(&path).is_err());
}
