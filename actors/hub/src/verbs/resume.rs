//! `resume`: leases from a paused queue again, or from all queues.

use super::{Begun, Started, pause};
use crate::connection::RequestScope;
use kirosu_protocol::verbs::resume::ResumeParams;
use kirosu_store::Command;

pub fn begin(params: ResumeParams, _: &mut RequestScope<'_>) -> Begun {
    let command = Command::Resume(params.queue);
    Ok(Started::Submit(command, pause::finish))
}
