//! The readers, and which of them is asked.

use super::{Ask, Question, Reader, Told};
use actix::prelude::*;
use kirosu_protocol::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The addresses of all readers; a question goes to the one with the fewest that are not answered.
pub struct Readers(Vec<(Addr<Reader>, Arc<AtomicUsize>)>);

/// A question that counts for its reader until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Readers {
    /// At least one reader.
    pub fn new(readers: Vec<Addr<Reader>>) -> Readers {
        Readers(
            readers
                .into_iter()
                .map(|reader| (reader, Arc::default()))
                .collect(),
        )
    }

    /// Asks a reader.
    pub fn ask(
        &self,
        question: Question,
    ) -> impl Future<Output = Result<Result<Told, Error>, MailboxError>> + 'static {
        let least = self
            .0
            .iter()
            .min_by_key(|(_, open)| open.load(Ordering::Relaxed));
        let asked = least.map(|(reader, open)| {
            open.fetch_add(1, Ordering::Relaxed);
            (reader.send(Ask(question)), Open(open.clone()))
        });
        async move {
            match asked {
                Some((asked, _open)) => asked.await,
                None => Err(MailboxError::Closed),
            }
        }
    }

    /// Questions that are not answered.
    pub fn waiting(&self) -> usize {
        let open = self.0.iter().map(|(_, open)| open.load(Ordering::Relaxed));
        open.sum()
    }
}
