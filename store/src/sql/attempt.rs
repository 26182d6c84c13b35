//! Ended attempts.

use super::long_text::{last_piece, whole};
use super::{insert, row, statement};
use kirosu_protocol::NotAccepted;

insert! {
    /// The end of an attempt. A late ack replaces the `lost` of its own fence.
    InsertAttempt<'a> {
        task_id: i64,
        fence: i64,
        outcome: &'a str,
        worker: Option<&'a str>,
        started_at: i64,
        ended_at: i64,
        result: Option<&'a str>,
        error: Option<&'a str>,
        usage: Option<&'a str>,
        provider: Option<&'a str>,
        text_id: Option<i64>,
    } "INSERT OR REPLACE INTO attempt"
}

statement! {
    /// Outcome and worker of an attempt.
    SelectAttemptEnd { task_id: i64, fence: i64 }
    "SELECT outcome, worker FROM attempt WHERE task_id = ? AND fence = ?"
}

statement! {
    /// The number of ended attempts of a task.
    CountAttempts { task_id: i64 } "SELECT count(*) FROM attempt WHERE task_id = ?"
}

statement! {
    /// The error of an attempt, of a long one its beginning; or its outcome.
    SelectAttemptError { task_id: i64, fence: i64 }
    "SELECT coalesce(error, outcome) FROM attempt WHERE task_id = ? AND fence = ?"
}

statement! {
    /// The newest result of a task that was not accepted: the end of it, in characters. The last piece of a long one is
    /// longer than that.
    SelectNotAccepted { task_id: i64 }
    concat!("SELECT fence, coalesce(", whole!("error", "second"), ", ''), coalesce(substr(", last_piece!("result"), ", -8192), ''), \
     coalesce(length(", last_piece!("result"), ") > 8192, 0) \
     FROM attempt WHERE task_id = ? AND outcome = 'not_accepted' ORDER BY fence DESC LIMIT 1")
}

row! { NotAccepted { fence, reason, answer, cut } }

row! {
    /// The end of an attempt.
    pub(crate) struct AttemptEnd {
        pub outcome: String,
        pub worker: Option<String>,
    }
}
