//! `notify_test`: stores an event of the kind `test` for one target. It is delivered like every other event, after those that
//! wait.
//!
//! ```text
//! {"id":1,"method":"notify_test","params":{"name":"ops"}}
//! {"id":1,"result":{"number":18},"error":null}
//! ```

use super::key_add::key_name;
use crate::{Error, Limits, Method, Params, Verb};
use serde::{Deserialize, Serialize};

/// The target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotifyTestParams {
    /// Its name.
    pub name: String,
}

/// The event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotifyTestAnswer {
    /// Its number: the target has it once `delivered` of `notify_list` is not below.
    pub number: i64,
}

impl Verb for NotifyTestParams {
    const METHOD: Method = Method::NotifyTest;
    type Answer = NotifyTestAnswer;

    fn read(params: &Params<'_>, _: &Limits) -> Result<NotifyTestParams, Error> {
        Ok(NotifyTestParams {
            name: key_name(params)?,
        })
    }
}
