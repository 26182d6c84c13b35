//! Power loss: whatever part of the unsynced bytes reaches the disk, every answered command is there, and none is there
//! in part.
//!
//! A seeded story of commands runs against a real file with `durability = "full"`. Between two batches, database and
//! log are on the disk. A power cut may keep, lose, tear or garble the bytes that the next batch changes: for many such
//! endings a copy is made and opened, as a hub does after the cut. Every table of it must equal, byte for byte, its
//! state before the batch or after it.
//!
//! Files cannot show whether the sync was really requested; docs/reliability.md describes how that was checked. And one
//! order is assumed, as SQLite enforces it by a sync: a restarted log has its new header on the disk before its new
//! frames.

mod contents;
mod disk;
mod story;

use crate::common::*;
use contents::contents;
use disk::Disk;
use kirosu_store::*;
use std::path::Path;
use story::{Random, Story};

/// Each seed is one story.
const SEEDS: [u64; 4] = [3, 11, 42, 20_26];
const BATCHES: usize = 40;
/// Endings tried for each batch.
const CUTS: usize = 4;

/// Opens the state after a cut and returns its contents, after the checks that need no history.
fn reopened(options: &StoreOptions, disk: &Disk, folder: &Path, what: &str) -> (Store, String) {
    let path = folder.join("copy.db");
    // Each is an examination of the same moment, not of a later one.
    let _ = std::fs::remove_file(folder.join("copy.db.epoch"));
    disk.put(&path);
    let options = StoreOptions {
        path: path.clone(),
        ..options.clone()
    };
    let store = Store::open(&options).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(contents::integrity(&path), "ok", "{what}");
    assert_eq!(
        contents::kept_counts(&path),
        contents::real_counts(&path),
        "{what}: counters"
    );
    let held = contents(&path);
    (store, held)
}

/// The first differing row, rather than both databases.
fn difference<'a>(held: &'a str, wanted: &'a str) -> (&'a str, &'a str) {
    let rows = held.lines().zip(wanted.lines());
    let mut unlike = rows.filter(|(a, b)| a != b);
    unlike.next().unwrap_or(("one has more rows", ""))
}

/// The possible states after a power cut during one batch or checkpoint.
fn cut(
    bench: &Bench,
    random: &mut Random,
    before: (&Disk, &str),
    after: (&Disk, &str),
    about: &str,
) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = 0;
    for n in 0..CUTS {
        let (disk, how) = before.0.cut_on_the_way_to(after.0, n, random);
        let what = format!("{about}, cut {n} ({how})");
        let (_store, held) = reopened(&bench.options, &disk, folder.path(), &what);
        assert!(
            held == before.1 || held == after.1,
            "{what}: neither as before nor as after; it differs from before by {:?}, from after by {:?}",
            difference(&held, before.1),
            difference(&held, after.1)
        );
        whole += usize::from(held == after.1 && after.1 != before.1);
    }
    whole
}

/// After the answer a cut loses nothing, and repeated requests get the same answers.
fn answered_is_kept(bench: &Bench, story: &Story, synced: &Disk, wanted: &str, about: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, held) = reopened(&bench.options, synced, folder.path(), about);
    assert!(
        held == wanted,
        "{about}: an answered command is gone: {:?}",
        difference(&held, wanted)
    );
    story.ask_again(&mut store, bench.now, about);
}

fn run(seed: u64) -> [usize; 3] {
    let mut bench = Bench::with(|options| {
        options.wal_limit_bytes = 1 << 20;
        options.output_limit_bytes = 2_000;
    });
    let (mut random, mut story) = (Random(seed), Story::default());
    let (mut cuts, mut whole, mut between) = (0, 0, 0);
    let mut disk = Disk::of(&bench.options.path);
    let mut held = contents(&bench.options.path);
    for batch in 0..BATCHES {
        let about = format!("seed {seed}, batch {batch}");
        match random.below(12) {
            0 => bench.store.checkpoint().unwrap(),
            1 => contents::passive_checkpoint(&bench.options.path),
            _ => story.batch(&mut bench, &mut random),
        }
        let after = Disk::of(&bench.options.path);
        // The start after a cut ends a batch that is under way.
        let then = match story.is_between_parts() {
            true => {
                let folder = tempfile::tempdir().unwrap();
                between += 1;
                reopened(&bench.options, &after, folder.path(), &about).1
            }
            false => contents(&bench.options.path),
        };
        if disk.can_be_cut_to(&after) {
            whole += cut(&bench, &mut random, (&disk, &held), (&after, &then), &about);
            cuts += CUTS;
        }
        answered_is_kept(&bench, &story, &after, &then, &about);
        (disk, held) = (after, then);
    }
    [cuts, whole, between]
}

#[test]
fn a_power_cut_keeps_answered_commands_and_tears_none() {
    let runs: Vec<_> = SEEDS
        .map(|seed| std::thread::spawn(move || run(seed)))
        .into_iter()
        .map(|story| story.join().unwrap())
        .collect();
    let [cuts, whole, between] = [0, 1, 2].map(|at| runs.iter().map(|run| run[at]).sum::<usize>());
    println!(
        "{cuts} cuts, after {whole} of them the batch under way was there as a whole; {between} between two parts of a large one"
    );
    assert!(
        cuts > SEEDS.len() * BATCHES * CUTS / 2,
        "too few cuts: {cuts}"
    );
    assert!(
        whole > 0,
        "no cut let a batch through: they all cut too much"
    );
    assert!(between > SEEDS.len(), "too few large batches: {between}");
}

/// A check of the test itself: the loss of synced bytes is detected.
#[test]
fn a_disk_that_lies_about_a_sync_is_found_out() {
    let mut bench = Bench::new();
    bench.chat("synced");
    let disk = Disk::of(&bench.options.path);
    bench.chat("answered, but lost by the disk");
    let wanted = contents(&bench.options.path);
    let folder = tempfile::tempdir().unwrap();
    let (_store, held) = reopened(&bench.options, &disk, folder.path(), "the lie");
    assert!(held != wanted && held.contains("synced") && !held.contains("answered, but"));
}
