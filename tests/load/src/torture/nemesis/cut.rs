//! A wire that swallows: requests that never arrive, answers that never come, or both.

use super::{Field, Nemesis};
use crate::Fault;
use crate::torture::proxy::Gate;

pub(super) struct Cut;

impl Nemesis for Cut {
    fn lasts_ms(&self) -> (u64, u64) {
        (400, 1_600)
    }

    fn start(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        let (to_hub, to_worker) = match field.rng.u32(0..3) {
            0 => (Gate::Cut, Gate::Open),
            1 => (Gate::Open, Gate::Cut),
            _ => (Gate::Cut, Gate::Cut),
        };
        field.gates.set(to_hub, to_worker);
        Ok(())
    }

    fn heal(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        field.gates.set(Gate::Open, Gate::Open);
        Ok(())
    }
}
