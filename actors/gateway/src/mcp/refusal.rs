//! Why a tool did not do what it was asked to: a sentence for the model, as a tool result with `isError`.
//!
//! Not a protocol error: clients keep those from the model, which then cannot correct itself.

use crate::link::AskError;
use rmcp::model::{ContentBlock, IntoContents};

/// A sentence, with the hub's code word behind it where the hub refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal(pub(super) String);

impl From<kirosu_protocol::Error> for Refusal {
    fn from(error: kirosu_protocol::Error) -> Refusal {
        let sentence = error.message.trim_start_matches("invalid params: ");
        Refusal(format!("{sentence} ({})", error.code.name()))
    }
}

impl From<AskError> for Refusal {
    fn from(error: AskError) -> Refusal {
        match error {
            AskError::Refused(refusal) => refusal.into(),
            AskError::Away(why) => Refusal(format!("{why} (nothing was done)")),
            AskError::Broken(why) | AskError::TimedOut(why) => Refusal(why),
        }
    }
}

impl IntoContents for Refusal {
    fn into_contents(self) -> Vec<ContentBlock> {
        vec![ContentBlock::text(self.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::{Error, ErrorCode};

    #[test]
    fn a_refusal_is_the_hubs_sentence_and_its_word() {
        let unknown = Error::new(ErrorCode::UnknownTask, "no task has the id 99");
        let wrong = Error::invalid_params("invalid params: `priority` must be a whole number");
        assert_eq!(
            Refusal::from(unknown).0,
            "no task has the id 99 (unknown_task)"
        );
        assert_eq!(
            Refusal::from(wrong).0,
            "`priority` must be a whole number (invalid_params)"
        );
    }
}
