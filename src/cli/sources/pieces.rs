//! Pieces of a source, of the size that the hub takes in one request.

use super::{SourceItem, open};
use crate::cli::Failure;
use kirosu_plan::ItemSource;
use kirosu_protocol::SOURCE_PIECE_BYTES;
use serde_json::Value;
use tokio::sync::mpsc;

/// The most items of a piece.
const PIECE_ITEMS: usize = 1000;
/// Pieces that are read ahead.
const AHEAD: usize = 1;

/// Reads a source, whose templates are rendered, in a thread of its own: pieces of at most [`SOURCE_PIECE_BYTES`] and
/// [`PIECE_ITEMS`]. A failure is the last one. The thread ends when the receiver is dropped, except while it reads.
pub fn pieces(source: ItemSource) -> mpsc::Receiver<Result<Vec<Value>, Failure>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let items = match open(&source) {
            Ok(items) => items,
            // Without a receiver no one needs the failure.
            Err(failure) => return drop(sender.blocking_send(Err(failure))),
        };
        for piece in (SourcePieces { items, next: None }) {
            if sender.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Joins items into pieces.
struct SourcePieces<I> {
    items: I,
    /// The result after the last piece.
    next: Option<Result<SourceItem, Failure>>,
}

impl<I: Iterator<Item = Result<SourceItem, Failure>>> Iterator for SourcePieces<I> {
    type Item = Result<Vec<Value>, Failure>;

    fn next(&mut self) -> Option<Result<Vec<Value>, Failure>> {
        let mut piece = Vec::new();
        // The brackets; each item adds a comma.
        let mut bytes = 2;
        while let Some(item) = self.next.take().or_else(|| self.items.next()) {
            match item {
                Err(failure) if piece.is_empty() => return Some(Err(failure)),
                Ok(item)
                    if piece.len() < PIECE_ITEMS
                        && (piece.is_empty() || bytes + item.bytes < SOURCE_PIECE_BYTES) =>
                {
                    bytes += item.bytes + 1;
                    piece.push(item.value);
                }
                other => {
                    self.next = Some(other);
                    break;
                }
            }
        }
        (!piece.is_empty()).then_some(Ok(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sizes(items: Vec<Result<SourceItem, Failure>>) -> Vec<Result<usize, String>> {
        let items = items.into_iter();
        let pieces = SourcePieces { items, next: None };
        pieces
            .map(|piece| match piece {
                Ok(piece) => {
                    assert!(json!(piece).to_string().len() <= SOURCE_PIECE_BYTES);
                    Ok(piece.len())
                }
                Err(why) => Err(why.to_string()),
            })
            .collect()
    }

    fn texts(count: usize, length: usize) -> Vec<Result<SourceItem, Failure>> {
        let item = || SourceItem::new(json!("x".repeat(length)), String::new);
        (0..count).map(|_| item()).collect()
    }

    #[test]
    fn pieces_respect_the_number_and_the_size_and_lose_no_item() {
        assert_eq!(sizes(texts(2500, 3)), [Ok(1000), Ok(1000), Ok(500)]);
        assert_eq!(
            sizes(texts(3, SOURCE_PIECE_BYTES - 4)),
            [Ok(1), Ok(1), Ok(1)]
        );
        // Two items with quotes, a comma and brackets fill a piece exactly.
        let half = (SOURCE_PIECE_BYTES - 3) / 2 - 2;
        assert_eq!(sizes(texts(4, half)), [Ok(2), Ok(2)]);
        assert_eq!(sizes(Vec::new()), []);
    }

    #[test]
    fn a_failure_comes_after_the_items_before_it() {
        let mut items = texts(2, 1);
        items.push(Err(Failure::Local("line 3".into())));
        assert_eq!(sizes(items), [Ok(2), Err("line 3".into())]);
    }
}
