//! The output of a run on its way to the hub: bounded over the whole run, and sent in pieces.

use kirosu_protocol::text::head;

/// Maximum size of a piece, in bytes; a full piece is sent at once.
const BATCH_BYTES: usize = 16 << 10;

/// Output that was not sent yet.
#[derive(Debug, Default)]
pub(super) struct OutputBatch {
    text: String,
    /// Bytes taken so far, over the whole run.
    taken: usize,
    limit: usize,
    cut: bool,
}

impl OutputBatch {
    /// Takes at most `limit` bytes over the whole run.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        if self.cut {
            return;
        }
        if self.taken.saturating_add(text.len()) > self.limit {
            self.cut = true;
            self.text.push_str(head(text, self.limit - self.taken));
            let mark = format!(
                "\n[kirosu: output beyond {} bytes is not shown]\n",
                self.limit
            );
            self.text.push_str(&mark);
            return;
        }
        self.taken += text.len();
        self.text.push_str(text);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= BATCH_BYTES
    }

    /// Takes the next piece, at most [`BATCH_BYTES`] long, cut between characters.
    pub(super) fn take(&mut self) -> String {
        let end = head(&self.text, BATCH_BYTES).len();
        let rest = self.text.split_off(end);
        std::mem::replace(&mut self.text, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(batch: &mut OutputBatch) -> Vec<String> {
        let mut pieces = Vec::new();
        while !batch.is_empty() {
            pieces.push(batch.take());
        }
        pieces
    }

    #[test]
    fn pieces_are_bounded_and_cut_between_characters() {
        let text = "wörter ".repeat(5000);
        let mut batch = OutputBatch::new(usize::MAX);
        batch.push(&text);
        let pieces = all(&mut batch);
        assert!(pieces.len() > 1 && pieces.iter().all(|p| p.len() <= BATCH_BYTES));
        assert_eq!(pieces.concat(), text);
    }

    #[test]
    fn what_waits_for_the_hub_is_kept_up_to_the_limit() {
        let mut batch = OutputBatch::new(1 << 20);
        batch.push(&"a".repeat(1 << 19));
        batch.take();
        batch.push(&"b".repeat(1 << 19));
        let rest = all(&mut batch).concat();
        assert_eq!(rest.len(), (1 << 20) - BATCH_BYTES);
    }

    #[test]
    fn output_beyond_the_limit_is_cut_once() {
        let mut batch = OutputBatch::new(4);
        batch.push("abö");
        batch.push("öx");
        batch.push("y");
        let shown = all(&mut batch).concat();
        assert_eq!(shown, "abö\n[kirosu: output beyond 4 bytes is not shown]\n");
    }
}
