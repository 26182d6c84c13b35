//! A file system without a free byte, and then with space again.

use super::{Field, Nemesis};
use crate::Fault;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

/// More free bytes than this are not ours to fill.
const LARGEST: u64 = 1 << 30;

pub(super) struct Fill;

fn ballast(field: &Field<'_>) -> PathBuf {
    field.plan.folder.join("ballast")
}

impl Nemesis for Fill {
    fn lasts_ms(&self) -> (u64, u64) {
        (200, 800)
    }

    fn start(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        let system = rustix::fs::statvfs(&field.plan.folder)?;
        if system.f_bavail * system.f_frsize > LARGEST {
            return Err(Fault::new(format!(
                "cannot fill the file system of {}: it has more than {} MiB free; put --dir on a small one of its own",
                field.plan.folder.display(),
                LARGEST >> 20
            )));
        }
        let mut file = File::create(ballast(field))?;
        for block in [1 << 20, 4096, 1] {
            let zeros = vec![0; block];
            // `write_all` would leave it open how much of a block was written; that is as well here.
            while file.write_all(&zeros).map_err(|e| e.kind()) != Err(ErrorKind::StorageFull) {}
        }
        Ok(())
    }

    fn heal(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        Ok(std::fs::remove_file(ballast(field))?)
    }
}
