//! What handles ask for at run time.

use actix::Context;

use super::{Step, Supervisor, Then};
use crate::exit::ExitReason;
use crate::handle::{Order, Reply, SupervisorError};

impl Supervisor {
    pub(super) fn obey(&mut self, order: Order, ctx: &mut Context<Self>) {
        match order {
            Order::Start { spec, reply } => {
                let Some(key) = self.recipe.add(*spec) else {
                    let _ = reply.send(Err(SupervisorError::Duplicate));
                    return;
                };
                self.desk(key).on_start.push(reply);
                self.plan.push_back(Step::Start(key));
                self.advance(ctx);
            }
            Order::Stop { id, remove, reply } => {
                if let Some((key, reply)) = self.known(&id, reply) {
                    self.plan.retain(|step| *step != Step::Start(key));
                    let desk = self.desk(key);
                    if remove {
                        desk.then = Then::Remove;
                    } else if desk.then == Then::Start {
                        desk.then = Then::Rest;
                    }
                    desk.on_stop.push(reply);
                    // The start that others wait for is called off.
                    for reply in desk.on_start.drain(..) {
                        let _ = reply.send(Err(SupervisorError::NotStarted(ExitReason::Stopped)));
                    }
                    self.stop(key, ctx);
                }
            }
            Order::Restart { id, reply } => {
                if let Some((key, reply)) = self.known(&id, reply) {
                    let desk = self.desk(key);
                    if desk.then == Then::Remove {
                        // It still stops, but for others it is out of the tree already.
                        let _ = reply.send(Err(SupervisorError::Unknown));
                        return;
                    }
                    desk.then = Then::Start;
                    desk.on_start.push(reply);
                    self.stop(key, ctx);
                }
            }
        }
    }

    pub(super) fn known(&self, id: &crate::ChildId, reply: Reply) -> Option<(u64, Reply)> {
        match self.recipe.key_of(id) {
            Some(key) => Some((key, reply)),
            None => {
                let _ = reply.send(Err(SupervisorError::Unknown));
                None
            }
        }
    }
}
