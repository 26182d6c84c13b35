//! `answer`: completes a `human` task with a person's text.

use super::{Begun, Started, finish_ok};
use crate::connection::RequestScope;
use kirosu_protocol::verbs::answer::AnswerParams;
use kirosu_store::Command;

pub fn begin(params: AnswerParams, _: &mut RequestScope<'_>) -> Begun {
    let command = Command::Answer {
        task: params.task_id,
        text: params.text,
        by: params.by,
    };
    Ok(Started::Submit(command, finish_ok))
}
