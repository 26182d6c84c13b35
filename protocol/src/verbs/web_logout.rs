//! `web_logout`: ends the session of a browser. Repeating it is harmless.
//!
//! ```text
//! {"id":1,"method":"web_logout","params":{"session":"krw_02ab..."}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```

use super::Done;
use super::hello::SessionSecret;
use crate::{Error, Limits, Method, Params, Verb};
use serde::Serialize;

/// The session to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebLogoutParams {
    /// Its secret.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub session: SessionSecret,
}

impl Verb for WebLogoutParams {
    const METHOD: Method = Method::WebLogout;
    type Answer = Done;

    fn read(params: &Params<'_>, _: &Limits) -> Result<WebLogoutParams, Error> {
        Ok(WebLogoutParams {
            session: SessionSecret(params.text("session")?),
        })
    }
}
