//! Error answers and their codes.

use serde_json::{Value, json};

wire_enum! {
    /// The reason why a request was refused. Numbers and names are part of the protocol and never change their meaning.
    pub enum ErrorCode {
        /// The line is not JSON. Defined by JSON-RPC.
        ParseError,
        /// The line is JSON but not a request. Defined by JSON-RPC.
        InvalidRequest,
        /// There is no such method. Defined by JSON-RPC.
        MethodNotFound,
        /// A parameter is missing, of the wrong type or out of range. Defined by JSON-RPC.
        InvalidParams,
        /// The hub failed; `data.effect` is an [`Effect`]. Defined by JSON-RPC.
        Internal,
        /// The key is wrong or missing.
        Unauthorized,
        /// No task has that id.
        UnknownTask,
        /// The lease is no longer the caller's.
        StaleLease,
        /// The task's state does not allow this.
        WrongState,
        /// The hub is at a limit; the request had no effect. Send it again later.
        Busy,
        /// A limit of size or nesting is exceeded.
        TooLarge,
        /// This hub does not have the feature.
        Unsupported,
        /// The hub or pool has not opted in to the execution of code.
        NotTrusted,
        /// The hub is draining or stopping.
        ShuttingDown,
        /// There is no such session, pool, queue, connection or permission request.
        NotFound,
        /// The permission request is already decided, or its agent no longer waits for the decision.
        StaleApproval,
        /// The client's key does not have the right; `data.right` names it.
        Forbidden,
    }
}

impl ErrorCode {
    /// The number on the wire. JSON-RPC reserves -32768 to -32000; codes of its own a server takes from -32099 to -32000.
    pub fn number(self) -> i64 {
        match self {
            ErrorCode::ParseError => -32700,
            ErrorCode::InvalidRequest => -32600,
            ErrorCode::MethodNotFound => -32601,
            ErrorCode::InvalidParams => -32602,
            ErrorCode::Internal => -32603,
            ErrorCode::Unauthorized => -32001,
            ErrorCode::UnknownTask => -32002,
            ErrorCode::StaleLease => -32003,
            ErrorCode::WrongState => -32004,
            ErrorCode::Busy => -32005,
            ErrorCode::TooLarge => -32006,
            ErrorCode::Unsupported => -32007,
            ErrorCode::NotTrusted => -32008,
            ErrorCode::ShuttingDown => -32009,
            ErrorCode::NotFound => -32010,
            ErrorCode::StaleApproval => -32011,
            ErrorCode::Forbidden => -32012,
        }
    }

    /// The code with this number on the wire.
    pub fn from_number(number: i64) -> Option<ErrorCode> {
        ErrorCode::ALL.into_iter().find(|c| c.number() == number)
    }
}

wire_enum! {
    /// The effect of a request on which the hub failed: `data.effect` of [`ErrorCode::Internal`].
    pub enum Effect {
        /// The request changed nothing. The client may send it again.
        None,
        /// The request took effect as a whole or not at all; the hub does not know which.
        Unknown,
    }
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The stable code.
    pub code: ErrorCode,
    /// A sentence for a person. It may change between versions.
    pub message: String,
    /// Data for a program, in addition to the code's name.
    pub data: Option<Value>,
}

impl Error {
    /// An error without data.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Error {
        Error {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// An `internal` error with its `data.effect`.
    pub fn internal(effect: Effect, message: impl Into<String>) -> Error {
        Error::new(ErrorCode::Internal, message).with_data(json!({"effect": effect.as_str()}))
    }

    /// An `invalid_params` error.
    pub fn invalid_params(message: impl Into<String>) -> Error {
        Error::new(ErrorCode::InvalidParams, message)
    }

    /// An `unauthorized` error. Clients match its words `Invalid KIRO_SWARM_KEY`.
    pub fn unauthorized() -> Error {
        Error::new(
            ErrorCode::Unauthorized,
            "Invalid KIRO_SWARM_KEY: send the hub's key as `auth_token`",
        )
    }

    /// The same error with data for a program.
    pub fn with_data(mut self, data: Value) -> Error {
        self.data = Some(data);
        self
    }
}
