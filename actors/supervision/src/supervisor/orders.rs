//! Execution of the orders of handles.

use actix::Context;

use super::{AfterStop, PlanStep, Supervisor};
use crate::exit::ExitReason;
use crate::handle::{OrderReply, SupervisorError, SupervisorOrder};

impl Supervisor {
    pub(super) fn execute(&mut self, order: SupervisorOrder, ctx: &mut Context<Self>) {
        match order {
            SupervisorOrder::Start { spec, reply } => {
                let Some(key) = self.slots.add(*spec) else {
                    let _ = reply.send(Err(SupervisorError::Duplicate));
                    return;
                };
                self.child_state(key).on_start.push(reply);
                self.plan.push_back(PlanStep::Start(key));
                self.advance(ctx);
            }
            SupervisorOrder::Stop { id, remove, reply } => {
                if let Some((key, reply)) = self.known(&id, reply) {
                    self.plan.retain(|step| *step != PlanStep::Start(key));
                    let state = self.child_state(key);
                    if remove {
                        state.after_stop = AfterStop::Remove;
                    } else if state.after_stop == AfterStop::Start {
                        state.after_stop = AfterStop::Keep;
                    }
                    state.on_stop.push(reply);
                    // This order cancels the starts that other callers wait for.
                    for reply in state.on_start.drain(..) {
                        let _ = reply.send(Err(SupervisorError::NotStarted(ExitReason::Stopped)));
                    }
                    self.stop(key, ctx);
                }
            }
            SupervisorOrder::Restart { id, reply } => {
                if let Some((key, reply)) = self.known(&id, reply) {
                    let state = self.child_state(key);
                    if state.after_stop == AfterStop::Remove {
                        // The child still stops, but its removal is decided.
                        let _ = reply.send(Err(SupervisorError::Unknown));
                        return;
                    }
                    state.after_stop = AfterStop::Start;
                    state.on_start.push(reply);
                    self.stop(key, ctx);
                }
            }
        }
    }

    pub(super) fn known(
        &self,
        id: &crate::ChildId,
        reply: OrderReply,
    ) -> Option<(u64, OrderReply)> {
        match self.slots.key_of(id) {
            Some(key) => Some((key, reply)),
            None => {
                let _ = reply.send(Err(SupervisorError::Unknown));
                None
            }
        }
    }
}
