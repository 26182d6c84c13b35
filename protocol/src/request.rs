//! A method and its parameters become one typed request.

use crate::verbs;
use crate::{Error, ErrorCode, Limits, Method, Params, Right, Verb, VerbEffect};

macro_rules! request {
    ($($(#[$doc:meta])* $module:ident: $variant:ident($params:ident), $effect:ident, $right:ident;)*) => {
        /// A request, with its parameters read and checked.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $($(#[$doc])* $variant(verbs::$module::$params),)*
        }

        impl Request {
            /// Reads a request's parameters and checks them against the hub's limits.
            ///
            /// # Errors
            /// `method_not_found` for an unknown method; the errors of [`Verb::read`] for its parameters.
            pub fn read(
                method: &str,
                params: &Params<'_>,
                limits: &Limits,
            ) -> Result<Request, Error> {
                let Some(method) = Method::from_name(method) else {
                    let message = format!("Unknown method: {method}");
                    return Err(Error::new(ErrorCode::MethodNotFound, message));
                };
                match method {
                    $(Method::$variant => Verb::read(params, limits).map(Request::$variant),)*
                }
            }

            /// The request's method.
            pub fn method(&self) -> Method {
                match self {
                    $(Request::$variant(_) => Method::$variant,)*
                }
            }

            /// Whether the request changes the store.
            pub fn effect(&self) -> VerbEffect {
                self.method().effect()
            }
        }

        // A row of the table and the type that it names agree on the method.
        $(const _: () = assert!(matches!(
            <verbs::$module::$params as Verb>::METHOD,
            Method::$variant
        ));)*
    };
}

crate::for_each_verb!(request);

impl Request {
    /// The rights that the request needs.
    pub fn rights(&self) -> impl Iterator<Item = Right> {
        let more = match self {
            Request::Pools(params) if params.resize.is_some() || params.probe.is_some() => {
                Some(Right::Admin)
            }
            // The page shows tasks.
            Request::WebLogin(params) if params.ticket.is_none() => Some(Right::Observe),
            _ => None,
        };
        std::iter::once(self.method().right()).chain(more)
    }
}
