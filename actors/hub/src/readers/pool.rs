//! The pool of readers. A query goes to the reader with the fewest open queries.

use super::{QueryReader, QueryReply, RunQuery, StoreQuery};
use actix::prelude::*;
use kirosu_protocol::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The addresses of all readers, each with the number of its open queries.
pub struct Readers(Vec<(Addr<QueryReader>, Arc<AtomicUsize>)>);

/// Counts a query as open until it is dropped.
struct OpenQuery(Arc<AtomicUsize>);

impl Drop for OpenQuery {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Readers {
    /// At least one reader.
    pub fn new(readers: Vec<Addr<QueryReader>>) -> Readers {
        Readers(
            readers
                .into_iter()
                .map(|reader| (reader, Arc::default()))
                .collect(),
        )
    }

    /// Runs a query. The outer error means that the reader crashed over it.
    pub fn query(
        &self,
        query: StoreQuery,
    ) -> impl Future<Output = Result<Result<QueryReply, Error>, MailboxError>> + 'static {
        let least = self
            .0
            .iter()
            .min_by_key(|(_, open)| open.load(Ordering::Relaxed));
        let sent = least.map(|(reader, open)| {
            open.fetch_add(1, Ordering::Relaxed);
            (reader.send(RunQuery(query)), OpenQuery(open.clone()))
        });
        async move {
            match sent {
                Some((reply, _open)) => reply.await,
                None => Err(MailboxError::Closed),
            }
        }
    }

    /// The number of open queries.
    pub fn open_queries(&self) -> usize {
        let open = self.0.iter().map(|(_, open)| open.load(Ordering::Relaxed));
        open.sum()
    }
}
