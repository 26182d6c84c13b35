//! `pool_down`: an agent host reports that a pool of it cannot run tasks, for the targets of notifications.
//!
//! ```text
//! {"id":1,"method":"pool_down","params":{"pool":"claude","state":"auth_required","note":"log in with `claude login`"}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Done;
use super::notify_take::NOTIFY_ERROR_BYTES;
use crate::{Error, Limits, Method, Params, Verb};
use serde::Serialize;

/// The pool, and why it is down.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PoolDownParams {
    /// The pool's name.
    pub pool: String,
    /// Its state, as in the answer of `pools`: `gave_up`, `auth_required` or `missing`.
    pub state: String,
    /// Advice for a person.
    pub note: Option<String>,
}

impl Verb for PoolDownParams {
    const METHOD: Method = Method::PoolDown;
    type Answer = Done;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<PoolDownParams, Error> {
        let name = |key: &str| {
            let name = params.opt_name(key, limits)?;
            name.ok_or_else(|| params.refuse(key, "a name"))
        };
        Ok(PoolDownParams {
            pool: name("pool")?,
            state: name("state")?,
            note: params.opt_text_within("note", NOTIFY_ERROR_BYTES)?,
        })
    }
}
