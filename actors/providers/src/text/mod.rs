//! Text from bytes: decoding, cutting at character boundaries, line splitting, terminal sequences, bounded capture.

mod ansi;
mod capture;
pub(crate) mod lines;
mod utf8;

pub(crate) use ansi::{Ansi, trimmed};
pub(crate) use capture::{CappedAnswer, StderrTail, cut};
pub(crate) use utf8::{Decoder, pieces};
