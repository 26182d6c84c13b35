//! One lane: whether its account may be asked now, and what is under way on it. Pure: time is told, nothing is asked.
//!
//! ```text
//!          429, no login, …                    its time has come, or a person asks
//!   open ───────────────────▶ parked ──────────────────────────▶ probing ──one run works──▶ open
//!    ▲                          ▲                                  │ 429 again
//!    └──────────────────────────┴──────────────────────────────────┘
//! ```
//!
//! What a run that began before the present stop has to tell opens nothing: it says nothing about what came after.

use std::time::Duration;

use kirosu_supervision::{BackoffPolicy, Delays};

use super::limits::{Limits, Moment, Requests, Tokens};

/// Stops of unknown length: a few seconds, longer each time.
const PAUSES: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(5),
    max: Duration::from_secs(600),
    factor: 2.0,
    jitter: 0.3,
    healthy_after: Duration::ZERO,
};

/// Stops because a service cannot be reached: as soon as the network is there again, so is the account.
const NETWORK: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
    ..PAUSES
};

/// Why a lane is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The provider refuses until a time.
    RateLimited,
    /// Nobody is logged in, or the key is no longer good: a person must act.
    AuthRequired,
    /// Its program is not there; another provider runs in its place meanwhile.
    Missing,
    /// It cannot be reached.
    Network,
}

impl Why {
    /// The word on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::AuthRequired => "auth_required",
            Self::Missing => "missing",
            Self::Network => "network",
        }
    }
}

/// Whether the account may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may.
    Open,
    /// It may not until this time; without one, until a person acts.
    Parked { why: Why, until: Option<Moment> },
    /// One run may find out.
    Probing { why: Why, busy: bool },
}

impl Standing {
    /// Whether people should hear of it after that one. Who finds out is nobody's news, nor are a few moments more.
    fn is_news_after(self, before: Self) -> bool {
        match (before, self) {
            (Self::Open, Self::Open) | (Self::Probing { .. }, Self::Probing { .. }) => false,
            // A service that is away is news when it goes and when it is back, and not at each look for it.
            (Self::Parked { why, .. }, Self::Probing { .. })
            | (
                Self::Probing { why, .. },
                Self::Parked {
                    why: Why::Network, ..
                },
            ) if why == Why::Network => false,
            (
                Self::Parked { why, until },
                Self::Parked {
                    why: now,
                    until: then,
                },
            ) => {
                let moved = until.zip(then).map(|(until, then)| then.abs_diff(until));
                why != now || moved.is_some_and(|moved| moved >= Duration::from_secs(1))
            }
            _ => self != before,
        }
    }
}

/// What a run's end tells about the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was answered.
    Works,
    /// Nothing.
    Nothing,
    /// It refuses, for so long where it says so.
    Parks { why: Why, wait: Option<Duration> },
}

/// What a run holds of its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hold {
    /// Stops before it began.
    era: u64,
    /// It is the one that finds out.
    probe: bool,
}

/// One account.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) account: String,
    pub(super) limits: Limits,
    standing: Standing,
    /// What the account said when it was parked.
    pub(super) note: String,
    era: u64,
    pub(super) running: u32,
    /// Turns that were given and may become runs.
    pub(super) reserved: u32,
    requests: Requests,
    tokens: Tokens,
    pauses: Delays,
    network: Delays,
}

impl Lane {
    pub(super) fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            limits: Limits::default(),
            standing: Standing::Open,
            note: String::new(),
            era: 0,
            running: 0,
            reserved: 0,
            requests: Requests::default(),
            tokens: Tokens::default(),
            pauses: PAUSES.delays(),
            network: NETWORK.delays(),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// How many more runs may begin now.
    pub(super) fn room(&mut self, now: Moment) -> u32 {
        let most = match self.standing {
            Standing::Open => u32::MAX,
            Standing::Probing { busy: false, .. } => 1,
            Standing::Probing { busy: true, .. } | Standing::Parked { .. } => return 0,
        };
        if !self.tokens.may(self.limits.tokens_per_minute, now) {
            return 0;
        }
        let side_by_side = self.limits.concurrency.unwrap_or(u32::MAX);
        let begun = self.requests.room(self.limits.requests_per_minute, now);
        most.min(side_by_side.saturating_sub(self.running))
            .min(begun)
            .saturating_sub(self.reserved)
    }

    /// Begins a run.
    pub(super) fn begin(&mut self, now: Moment) -> Hold {
        self.running += 1;
        self.requests.start(self.limits.requests_per_minute, now);
        let mut hold = Hold {
            era: self.era,
            probe: false,
        };
        if let Standing::Probing { busy, .. } = &mut self.standing {
            *busy = true;
            hold.probe = true;
        }
        hold
    }

    /// Ends a run. Whether its standing is another now.
    pub(super) fn end(&mut self, hold: Hold, verdict: Verdict, tokens: u64, now: Moment) -> bool {
        self.running = self.running.saturating_sub(1);
        self.tokens
            .spend(self.limits.tokens_per_minute, tokens, now);
        let before = self.standing;
        let newest = hold.era == self.era;
        match verdict {
            Verdict::Works if newest => self.works(hold),
            // A person has acted since it began.
            Verdict::Parks {
                why: Why::AuthRequired,
                ..
            } if !newest && !matches!(self.standing, Standing::Parked { .. }) => {}
            Verdict::Parks { why, wait } => self.park(why, wait, now),
            Verdict::Works | Verdict::Nothing => {}
        }
        if let Standing::Probing { busy, .. } = &mut self.standing
            && hold.probe
            && newest
        {
            *busy = false;
        }
        self.standing.is_news_after(before)
    }

    fn works(&mut self, hold: Hold) {
        if hold.probe || self.standing == Standing::Open {
            self.standing = Standing::Open;
            self.pauses.reset();
            self.network.reset();
        }
    }

    /// Stops the account. One that is stopped already is stopped for the longer of both times; a person's turn is
    /// longer than any.
    pub(super) fn park(&mut self, why: Why, wait: Option<Duration>, now: Moment) {
        let wait = wait.filter(|wait| !wait.is_zero());
        if let Standing::Parked { why: was, until } = &mut self.standing {
            match (why, wait) {
                (Why::AuthRequired, _) => (*was, *until) = (why, None),
                // Runs side by side tell the same; that is no reason to wait longer and longer.
                (_, None) => {}
                (_, Some(wait)) => {
                    let new = now.saturating_add(wait);
                    *until = until.map(|until| until.max(new));
                }
            }
            return;
        }
        self.era += 1;
        let until = match why {
            Why::AuthRequired => None,
            _ => {
                let pauses = match why {
                    Why::Network => &mut self.network,
                    _ => &mut self.pauses,
                };
                let wait = wait.or_else(|| pauses.next()).unwrap_or(PAUSES.max);
                Some(now.saturating_add(wait))
            }
        };
        self.standing = Standing::Parked { why, until };
    }

    /// Lets one run find out whether it works again, ahead of the time.
    pub(super) fn probe(&mut self) -> bool {
        let Standing::Parked { why, .. } = self.standing else {
            return false;
        };
        self.standing = Standing::Probing { why, busy: false };
        true
    }

    /// The same, where the time has come.
    pub(super) fn tick(&mut self, now: Moment) -> bool {
        match self.standing {
            Standing::Parked {
                until: Some(until), ..
            } if until <= now => self.probe(),
            _ => false,
        }
    }

    /// When a run may begin that may not now; none where nobody knows.
    pub(super) fn next(&self) -> Option<Moment> {
        let limits = self.limits;
        match self.standing {
            Standing::Parked { until, .. } => until,
            Standing::Probing { busy: true, .. } => None,
            _ => self
                .requests
                .next(limits.requests_per_minute)
                .max(self.tokens.next(limits.tokens_per_minute)),
        }
    }
}
