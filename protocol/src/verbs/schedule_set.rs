//! `schedule_set`: pauses a schedule, or lets it go on. Times that pass while it is paused are left out. Repeating it is
//! harmless.
//!
//! ```text
//! {"id":1,"method":"schedule_set","params":{"name":"nightly","paused":true}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Done;
use super::key_add::key_name;
use crate::{Error, Limits, Method, Params, Verb};
use serde::Serialize;

/// The schedule, and its new state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ScheduleSetParams {
    /// Its name.
    pub name: String,
    /// Whether it is paused.
    pub paused: bool,
}

impl Verb for ScheduleSetParams {
    const METHOD: Method = Method::ScheduleSet;
    type Answer = Done;

    fn read(params: &Params<'_>, _: &Limits) -> Result<ScheduleSetParams, Error> {
        let name = key_name(params)?;
        if params.raw("paused").is_none() {
            return Err(params.refuse("paused", "true or false"));
        }
        let paused = params.flag("paused", false)?;
        Ok(ScheduleSetParams { name, paused })
    }
}
