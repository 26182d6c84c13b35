//! A hub that cannot write: its limit of file size is set to nothing, or to somewhere within its log, so that a write is
//! torn there. The hub was started with SIGXFSZ ignored (the plan's `bears_full_disk`); it sees a failing write, as on a
//! broken disk.

use super::{Field, Nemesis};
use crate::Fault;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

pub(super) struct Full;

fn limit(field: &Field<'_>, bytes: Option<u64>) -> Result<(), Fault> {
    let pid = i32::try_from(field.server.pid())
        .ok()
        .and_then(Pid::from_raw);
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit)?;
    Ok(())
}

impl Nemesis for Full {
    fn lasts_ms(&self) -> (u64, u64) {
        (200, 800)
    }

    fn start(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        let bytes = match field.rng.bool() {
            true => 0,
            false => field.rng.u64(0..1 << 20),
        };
        limit(field, Some(bytes))
    }

    fn heal(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        limit(field, None)
    }
}
