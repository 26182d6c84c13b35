//! stub
use crate::pool::Pool;
use actix::prelude::*;
use kirosu_supervision::{ChildContext, supervised};
use std::sync::Arc;
pub(crate) struct Session {
    _c: ChildContext,
    _p: Arc<Pool>,
}
supervised!(Session);
impl Session {
    pub(crate) fn new(child: &ChildContext, pool: &Arc<Pool>, _index: u32) -> Self {
        Self {
            _c: child.clone(),
            _p: pool.clone(),
        }
    }
}
impl Actor for Session {
    type Context = Context<Self>;
}
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;
impl Handler<Crash> for Session {
    type Result = ();
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("crashed on purpose")
    }
}
