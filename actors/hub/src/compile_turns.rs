//! Turns of requests whose `accept` clauses must be compiled: one thread compiles at a time, and of each party one request waits
//! for it. A party with many connections costs another one the time of a single request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// See the module.
#[derive(Debug)]
pub(crate) struct CompileTurns {
    all: Arc<Semaphore>,
    by_party: Mutex<HashMap<Arc<str>, Weak<Semaphore>>>,
}

/// A turn, over when it is dropped.
pub(crate) struct CompileTurn {
    _own: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
    /// Keeps the party's semaphore for those that wait behind this one.
    _party: Arc<Semaphore>,
}

impl Default for CompileTurns {
    fn default() -> CompileTurns {
        CompileTurns {
            all: Arc::new(Semaphore::new(1)),
            by_party: Mutex::default(),
        }
    }
}

impl CompileTurns {
    fn of_party(&self, party: Arc<str>) -> Arc<Semaphore> {
        let mut by_party = self.by_party.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = by_party.get(&party).and_then(Weak::upgrade) {
            return found;
        }
        by_party.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Semaphore::new(1));
        by_party.insert(party, Arc::downgrade(&turns));
        turns
    }

    /// Waits for a turn.
    pub async fn next(&self, party: Arc<str>) -> CompileTurn {
        let party = self.of_party(party);
        // The semaphores are never closed. If they were, the request would only be read without its turn.
        let own = party.clone().acquire_owned().await.ok();
        let all = self.all.clone().acquire_owned().await.ok();
        CompileTurn {
            _own: own,
            _all: all,
            _party: party,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::pin::pin;

    #[test]
    fn a_party_with_many_requests_takes_turns_with_another() {
        let turns = CompileTurns::default();
        let busy = || turns.next("busy".into());
        let first = busy().now_or_never().expect("nobody else has a turn");
        let (mut second, mut third) = (pin!(busy()), pin!(busy()));
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        let mut other = pin!(turns.next("other".into()));
        assert!((&mut other).now_or_never().is_none());
        drop(first);
        // The second request of the busy party begins to wait for the thread behind the other party.
        assert!((&mut second).now_or_never().is_none());
        let other = (&mut other).now_or_never().expect("its turn");
        drop(other);
        let second = (&mut second).now_or_never().expect("its turn");
        assert!((&mut third).now_or_never().is_none());
        drop(second);
        assert!((&mut third).now_or_never().is_some());
        assert!(turns.by_party.lock().unwrap().len() <= 2);
    }
}
