//! `resume`: leases from a paused queue again, or from all queues.

use super::{Begun, Command, RequestScope, Started, pause};
use kirosu_protocol::ResumeParams;

pub fn begin(params: ResumeParams, _: &mut RequestScope<'_>) -> Begun {
    let command = Command::Resume(params.queue);
    Ok(Started::Submit(command, pause::finish))
}
