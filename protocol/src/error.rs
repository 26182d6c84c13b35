//! Error codes: stable numbers, one meaning each.

use serde_json::{Value, json};

/// Why a request was refused. The numbers are part of the protocol and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The line is not JSON (JSON-RPC).
    ParseError,
    /// The line is JSON but not a request (JSON-RPC).
    InvalidRequest,
    /// No such method (JSON-RPC).
    MethodNotFound,
    /// A parameter is missing, of the wrong type or out of range (JSON-RPC).
    InvalidParams,
    /// The hub failed; `data.effect` says whether the request changed nothing ([`Effect`]) (JSON-RPC).
    Internal,
    /// The key is wrong or missing.
    Unauthorized,
    /// No task has that id.
    UnknownTask,
    /// The lease is no longer the caller's.
    StaleLease,
    /// The task's state does not allow this.
    WrongState,
    /// The hub is full; send it again later.
    Busy,
    /// A limit of size or nesting is exceeded.
    TooLarge,
    /// The feature is part of the protocol but not of this hub.
    Unsupported,
    /// Dangerous execution without the opt-in.
    NotTrusted,
    /// The hub is draining or stopping.
    ShuttingDown,
    /// No such session, pool, queue, connection or tool question.
    NotFound,
    /// The tool question is decided already, or nobody waits for its answer any more.
    StaleApproval,
}

impl ErrorCode {
    /// Every code, for tables and tests.
    pub const ALL: [ErrorCode; 16] = [
        ErrorCode::ParseError,
        ErrorCode::InvalidRequest,
        ErrorCode::MethodNotFound,
        ErrorCode::InvalidParams,
        ErrorCode::Internal,
        ErrorCode::Unauthorized,
        ErrorCode::UnknownTask,
        ErrorCode::StaleLease,
        ErrorCode::WrongState,
        ErrorCode::Busy,
        ErrorCode::TooLarge,
        ErrorCode::Unsupported,
        ErrorCode::NotTrusted,
        ErrorCode::ShuttingDown,
        ErrorCode::NotFound,
        ErrorCode::StaleApproval,
    ];

    /// The number on the wire. JSON-RPC reserves -32768..-32000; ours are -32000 to -32099.
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
        }
    }

    /// The word beside the number, as `error.data.code`.
    pub fn name(self) -> &'static str {
        match self {
            ErrorCode::ParseError => "parse_error",
            ErrorCode::InvalidRequest => "invalid_request",
            ErrorCode::MethodNotFound => "method_not_found",
            ErrorCode::InvalidParams => "invalid_params",
            ErrorCode::Internal => "internal",
            ErrorCode::Unauthorized => "unauthorized",
            ErrorCode::UnknownTask => "unknown_task",
            ErrorCode::StaleLease => "stale_lease",
            ErrorCode::WrongState => "wrong_state",
            ErrorCode::Busy => "busy",
            ErrorCode::TooLarge => "too_large",
            ErrorCode::Unsupported => "unsupported",
            ErrorCode::NotTrusted => "not_trusted",
            ErrorCode::ShuttingDown => "shutting_down",
            ErrorCode::NotFound => "not_found",
            ErrorCode::StaleApproval => "stale_approval",
        }
    }

    /// The code a number stands for, or `None`.
    pub fn from_number(number: i64) -> Option<ErrorCode> {
        ErrorCode::ALL.into_iter().find(|c| c.number() == number)
    }
}

/// What a request has changed on whose way the hub failed; `data.effect` of [`ErrorCode::Internal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing: it may be sent again, or given up.
    None,
    /// Nobody knows: all of it or nothing may have been kept.
    Unknown,
}

impl Effect {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::None => "none",
            Effect::Unknown => "unknown",
        }
    }
}

/// An error answer: a stable code, a sentence for a person, and data for a program.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The stable code.
    pub code: ErrorCode,
    /// A sentence for a person.
    pub message: String,
    /// Facts for a program, beside the code's name.
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

    /// The hub failed on the request, which has had this effect.
    pub fn internal(effect: Effect, message: impl Into<String>) -> Error {
        Error::new(ErrorCode::Internal, message).with_data(json!({"effect": effect.as_str()}))
    }

    /// A parameter is missing, of the wrong type or out of range.
    pub fn invalid_params(message: impl Into<String>) -> Error {
        Error::new(ErrorCode::InvalidParams, message)
    }

    /// The key is wrong or missing. Clients match the words `Invalid KIRO_SWARM_KEY`.
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
