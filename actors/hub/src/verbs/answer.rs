//! `answer`: completes a `human` task with a person's text.

use super::{Begun, Command, RequestScope, Started, finish_ok};
use kirosu_protocol::AnswerParams;

pub fn begin(params: AnswerParams, _: &mut RequestScope<'_>) -> Begun {
    let command = Command::Answer {
        task: params.task_id,
        text: params.text,
        by: params.by,
    };
    Ok(Started::Submit(command, finish_ok))
}
