//! Errors of tools: a sentence for the model, as a tool result with `isError`.
//!
//! They are not protocol errors: clients do not show those to the model, which then cannot correct its call.

use crate::link::HubError;
use rmcp::model::{ContentBlock, IntoContents};

/// A sentence, followed by the name of the hub's error code if the hub refused the request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ToolError(pub(super) String);

impl From<kirosu_protocol::Error> for ToolError {
    fn from(error: kirosu_protocol::Error) -> ToolError {
        let sentence = error.message.trim_start_matches("invalid params: ");
        ToolError(format!("{sentence} ({})", error.code.as_str()))
    }
}

impl From<HubError> for ToolError {
    fn from(error: HubError) -> ToolError {
        match error {
            HubError::Refused(refusal) => refusal.into(),
            HubError::Unreachable(why) => ToolError(format!("{why} (nothing was done)")),
            HubError::Interrupted(why) | HubError::TimedOut(why) => ToolError(why),
        }
    }
}

impl IntoContents for ToolError {
    fn into_contents(self) -> Vec<ContentBlock> {
        vec![ContentBlock::text(self.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::{Error, ErrorCode};

    #[test]
    fn an_error_has_the_hubs_sentence_and_the_name_of_its_code() {
        let unknown = Error::new(ErrorCode::UnknownTask, "no task has the id 99");
        let wrong = Error::invalid_params("invalid params: `priority` must be a whole number");
        assert_eq!(
            ToolError::from(unknown).0,
            "no task has the id 99 (unknown_task)"
        );
        assert_eq!(
            ToolError::from(wrong).0,
            "`priority` must be a whole number (invalid_params)"
        );
    }
}
