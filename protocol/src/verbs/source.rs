//! `source`: stores items for a map of a plan, in pieces. A run names the source in its metadata; a source that no run has
//! named within a day is deleted.
//!
//! ```text
//! {"id":1,"method":"source","params":{"items":["a.md","b.md"]}}
//! {"id":1,"result":{"source_id":7,"items":2},"error":null}
//! ```

use crate::run::SourceId;
use crate::{Error, Limits, Method, Params, Verb};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of a piece, as JSON.
pub const SOURCE_PIECE_BYTES: usize = 1 << 20;

/// The next items of a source.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SourceParams {
    /// The source. `None` makes a new one.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub source_id: Option<SourceId>,
    /// The position of the first of the items in the source, from 0: the number of those that were stored before. A piece that
    /// is sent twice is stored once.
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub first: u64,
    /// At least one; together at most [`SOURCE_PIECE_BYTES`].
    pub items: Vec<Value>,
}

/// A source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SourceAnswer {
    /// Its number.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub source_id: SourceId,
    /// The items that it has now.
    pub items: u64,
}

impl Verb for SourceParams {
    const METHOD: Method = Method::Source;
    type Answer = SourceAnswer;

    fn read(params: &Params<'_>, _: &Limits) -> Result<SourceParams, Error> {
        let items = match params.json("items", SOURCE_PIECE_BYTES)? {
            Some(Value::Array(items)) if !items.is_empty() => items,
            _ => return Err(params.refuse("items", "a list with at least one item")),
        };
        let source_id = params.opt_positive("source_id", 1..=i64::MAX)?;
        let first = params.opt_int("first", 0..=i64::MAX)?.unwrap_or(0);
        if source_id.is_none() && first > 0 {
            return Err(params.refuse("first", "0 without `source_id`"));
        }
        Ok(SourceParams {
            source_id,
            first: u64::try_from(first).unwrap_or(0),
            items,
        })
    }
}
