//! `schedule_list`: lists the schedules.
//!
//! ```text
//! {"id":1,"method":"schedule_list"}
//! {"id":1,"result":{"schedules":[{"name":"nightly","cron":"0 3 * * *","tz":"UTC","missed":"one","overlap":"skip","paused":false,"queue":"default","type":"chat","prompt":"Check the links","next_at":1790000000.0,"fired":3,"skipped":0,"created_at":1780000000.0}]},"error":null}
//! ```

use crate::schedule::ScheduleInfo;
use serde::{Deserialize, Serialize};

no_params!(ScheduleListParams, ScheduleList -> ScheduleListAnswer);

/// The schedules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ScheduleListAnswer {
    /// By name. Finished ones are listed until they are removed.
    pub schedules: Vec<ScheduleInfo>,
}
