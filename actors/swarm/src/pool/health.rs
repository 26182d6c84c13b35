//! Whether a pool's provider can run anything now, and what to say when it cannot.

use std::time::Duration;

use tokio::time::Instant;

/// The pool's standing with its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// Nobody has looked yet; no task is taken.
    Unknown,
    /// Tasks are taken.
    Ready,
    /// No task is taken.
    Blocked {
        /// Why, in one word of the protocol's pool states.
        word: Block,
        /// What a person should know or do.
        note: String,
        /// When to go on without having looked; none: only a look or a change of options ends it.
        until: Option<Instant>,
    },
}

/// Why a pool takes no tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// The provider's program, or the folder it is to work in, is not there.
    Missing,
    /// Nobody is logged in.
    AuthRequired,
    /// The provider refuses until a time.
    RateLimited,
    /// It would run code of tasks, and the pool has not opted in.
    NotTrusted,
}

impl Block {
    /// The word on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::AuthRequired => "auth_required",
            Self::RateLimited => "rate_limited",
            Self::NotTrusted => "not_trusted",
        }
    }
}

/// A pool whose provider wants a login is tried again this often: somebody may have logged in.
const AUTH_PAUSE: Duration = Duration::from_secs(60);
/// Pause after a rate limit of unknown length.
const RATE_PAUSE: Duration = Duration::from_secs(60);

/// What a run told about the provider, beyond its own end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Symptom {
    /// It works.
    Fine,
    /// Its program, or the folder it is to work in, is not there.
    Missing(String),
    /// It wants a login.
    AuthRequired(String),
    /// It refuses for so long, or for an unknown time.
    RateLimited(Option<Duration>, String),
}

impl Health {
    /// Whether tasks may be taken.
    pub(crate) fn is_ready(&self) -> bool {
        *self == Self::Ready
    }

    /// The standing after a run told this.
    pub(crate) fn after(symptom: Symptom, now: Instant) -> Self {
        let blocked = |word, note, until| Self::Blocked { word, note, until };
        match symptom {
            Symptom::Fine => Self::Ready,
            Symptom::Missing(note) => blocked(Block::Missing, note, None),
            Symptom::AuthRequired(note) => {
                blocked(Block::AuthRequired, note, Some(now + AUTH_PAUSE))
            }
            Symptom::RateLimited(wait, note) => {
                let until = now + wait.unwrap_or(RATE_PAUSE);
                blocked(Block::RateLimited, note, Some(until))
            }
        }
    }
}
