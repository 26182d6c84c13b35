//! `notify_list`: lists the targets of notifications with the state of their deliveries.
//!
//! ```text
//! {"id":1,"method":"notify_list"}
//! {"id":1,"result":{"targets":[{"name":"ops","kind":"webhook","events":["failed","drained"],"pending":3,"lost":0,"delivered":17,"delivered_at":1790000000.0,"failing":{"since":1790000060.0,"failures":4,"error":"the connection was refused","next_at":1790000090.0}}]},"error":null}
//! ```

use crate::notify::NotifyTargetInfo;
use serde::{Deserialize, Serialize};

no_params!(NotifyListParams, NotifyList -> NotifyListAnswer);

/// The targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotifyListAnswer {
    /// By name.
    pub targets: Vec<NotifyTargetInfo>,
}
