//! What handles ask for at run time.

use actix::Context;

use super::{Step, Supervisor, Then};
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
                let then = if remove { Then::Remove } else { Then::Rest };
                if let Some((key, reply)) = self.known(&id, reply) {
                    self.plan.retain(|step| *step != Step::Start(key));
                    let desk = self.desk(key);
                    desk.then = then;
                    desk.on_stop.push(reply);
                    self.stop(key, ctx);
                }
            }
            Order::Restart { id, reply } => {
                if let Some((key, reply)) = self.known(&id, reply) {
                    let desk = self.desk(key);
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
