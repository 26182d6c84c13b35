//! `shutdown`: answers, then the hub drains and stops.
//!
//! ```text
//! {"id":1,"method":"shutdown"}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Verb;
use crate::method::Method;
use serde::Serialize;

/// No parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShutdownParams {}

impl Verb for ShutdownParams {
    const METHOD: Method = Method::Shutdown;
    type Answer = super::Ok;
}
