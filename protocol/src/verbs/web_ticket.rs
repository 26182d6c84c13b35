//! `web_ticket`: makes a ticket with which a browser logs in to the web page once, with the rights of the client that asks for it. A
//! client with the hub's key on a terminal of the hub's user, outside of runs, gives the right to decide as a person on, too. A
//! ticket that is not used within five minutes ends, and with the hub.
//!
//! ```text
//! {"id":1,"method":"web_ticket","params":{"by":"ada"}}
//! {"id":1,"result":{"ticket":"krl_7d1f...","who":"ada","rights":["connect","observe"],"expires_at":1790000300.0,"url":"http://127.0.0.1:8000/"},"error":null}
//! ```

use super::hello::SessionSecret;
use crate::{Error, Limits, Method, Params, Verb};
use serde::{Deserialize, Serialize};

/// The ticket to make.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebTicketParams {
    /// The person, for records of what is done in the page. A client with a key of its own has that key's name.
    pub by: Option<String>,
    /// Whether only a browser of the gateway's own user on its machine may use the ticket, if the client is one of that user: other
    /// users of the machine may read the arguments of the browser's process.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub same_user: bool,
}

/// A new ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebTicketAnswer {
    /// The secret, which the page sends once.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub ticket: SessionSecret,
    /// The name for records of what is done in the page.
    pub who: String,
    /// The rights that the page will have.
    pub rights: Vec<String>,
    /// Unix seconds.
    pub expires_at: f64,
    /// The address of the page that the hub's process serves. `None`: it serves none. A page of another gateway takes the ticket, too.
    pub url: Option<String>,
}

impl WebTicketAnswer {
    /// The link that logs a browser in at a page of this address, which ends with `/`. Browsers do not send what follows the `#`, so
    /// the ticket reaches no log of a server.
    pub fn link(&self, page: &str) -> String {
        format!("{page}#ticket={}", self.ticket.0)
    }
}

impl Verb for WebTicketParams {
    const METHOD: Method = Method::WebTicket;
    type Answer = WebTicketAnswer;

    fn read(params: &Params<'_>, limits: &Limits) -> Result<WebTicketParams, Error> {
        Ok(WebTicketParams {
            by: params.opt_name("by", limits)?,
            same_user: params.flag("same_user", false)?,
        })
    }
}
