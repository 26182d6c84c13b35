//! `web_login`: begins a session of a browser, for twelve hours. With a ticket, the session has the rights that the ticket gives; without
//! one, those of the client's key, except that the hub's own key does not decide as a person. The session ends with its key.
//! A gateway sends its secret as `auth_token` of the browser's requests, after `client:`.
//!
//! ```text
//! {"id":1,"method":"web_login","params":{"ticket":"krl_7d1f..."}}
//! {"id":1,"result":{"session":"krw_02ab...","who":"ada","expires_at":1790043200.0},"error":null}
//! ```

use super::hello::SessionSecret;
use crate::{Error, Limits, Method, Params, Verb};
use serde::{Deserialize, Serialize};

/// The login of a browser.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebLoginParams {
    /// The ticket. `None`: the session is for the client that sends the request.
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub ticket: Option<SessionSecret>,
    /// Whether the browser is one of the gateway's own user on its machine.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub same_user: bool,
}

/// A new session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebLoginAnswer {
    /// Its secret.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub session: SessionSecret,
    /// The name for records of what is done in it.
    pub who: String,
    /// Unix seconds.
    pub expires_at: f64,
}

impl Verb for WebLoginParams {
    const METHOD: Method = Method::WebLogin;
    type Answer = WebLoginAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<WebLoginParams, Error> {
        Ok(WebLoginParams {
            ticket: params
                .opt_text_within("ticket", limits.name_bytes)?
                .map(SessionSecret),
            same_user: params.flag("same_user", false)?,
        })
    }
}
