//! `schedule_remove`: removes a schedule. Its tasks stay.
//!
//! ```text
//! {"id":1,"method":"schedule_remove","params":{"name":"nightly"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Done;
use super::key_add::key_name;
use crate::{Error, Limits, Method, Params, Verb};
use serde::Serialize;

/// The schedule to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ScheduleRemoveParams {
    /// Its name.
    pub name: String,
}

impl Verb for ScheduleRemoveParams {
    const METHOD: Method = Method::ScheduleRemove;
    type Answer = Done;

    fn read(params: &Params<'_>, _: &Limits) -> Result<ScheduleRemoveParams, Error> {
        let name = key_name(params)?;
        Ok(ScheduleRemoveParams { name })
    }
}
