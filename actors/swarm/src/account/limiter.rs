//! The limiter of one account: whether runs may start now, and how many are running. Pure: the caller passes the
//! time.
//!
//! ```text
//!          429, no login, …                    its time is over, or a person probes
//!   open ───────────────────▶ parked ──────────────────────────▶ probing ──one run works──▶ open
//!    ▲                          ▲                                  │ 429 again
//!    └──────────────────────────┴──────────────────────────────────┘
//! ```
//!
//! A run that began before the account was parked cannot open it: its result says nothing about the time after.

use std::time::Duration;

use kirosu_supervision::{BackoffPolicy, RestartDelays};

use super::limits::{AccountLimits, QueueTime, RequestMeter, TokenMeter};

/// Pauses when the provider does not state how long it refuses.
const PAUSES: BackoffPolicy = BackoffPolicy {
    jitter: 0.3,
    ..BackoffPolicy::between(Duration::from_secs(5), Duration::from_secs(600))
};

/// Pauses when the service cannot be reached. They are shorter, as the account works as soon as the network does.
const NETWORK: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
    ..PAUSES
};

/// Why an account is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParkReason {
    /// The provider refuses requests until a certain time.
    RateLimited,
    /// There is no login, or the key is no longer valid; a person has to act.
    AuthRequired,
    /// The provider's program is missing; another provider runs the tasks meanwhile.
    Missing,
    /// The service cannot be reached.
    Network,
}

impl ParkReason {
    /// Returns the name of the state on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::AuthRequired => "auth_required",
            Self::Missing => "missing",
            Self::Network => "network",
        }
    }
}

/// Whether runs may use the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccountHealth {
    /// Runs may start.
    Open,
    /// No run may start until `until`; `None` means until a person acts.
    Parked {
        why: ParkReason,
        until: Option<QueueTime>,
    },
    /// One run may start to find out whether the account works. `busy`: that run has started.
    Probing { why: ParkReason, busy: bool },
}

impl AccountHealth {
    /// Whether the change from `before` is logged. The start of a probing run is not, nor a pause prolonged by less
    /// than a second.
    fn is_reportable_after(self, before: Self) -> bool {
        match (before, self) {
            (Self::Open, Self::Open) | (Self::Probing { .. }, Self::Probing { .. }) => false,
            // A service that cannot be reached is logged when it goes away and when it is back, not at each probe.
            (Self::Parked { why, .. }, Self::Probing { .. })
            | (
                Self::Probing { why, .. },
                Self::Parked {
                    why: ParkReason::Network,
                    ..
                },
            ) if why == ParkReason::Network => false,
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

/// The effect of a run's end on its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccountVerdict {
    /// The provider answered: the account works.
    Works,
    /// The end says nothing about the account.
    Nothing,
    /// The provider refuses; `wait` is how long, if it said so.
    Parks {
        why: ParkReason,
        wait: Option<Duration>,
    },
}

/// A run's claim on its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunHold {
    /// The account's epoch when the run began.
    era: u64,
    /// This run probes the account.
    probe: bool,
    /// Its agent waits for tasks below its own.
    waits: bool,
}

/// One account.
#[derive(Debug)]
pub(super) struct AccountLimiter {
    pub(super) name: String,
    pub(super) limits: AccountLimits,
    health: AccountHealth,
    /// The provider's message when the account was parked.
    pub(super) note: String,
    era: u64,
    pub(super) running: u32,
    /// Those of the running ones whose agents wait for tasks below their own. Others may run meanwhile: else the tasks for which
    /// they wait might never run.
    waiting: u32,
    /// Turns that were given and may become runs.
    pub(super) reserved: u32,
    requests: RequestMeter,
    tokens: TokenMeter,
    pauses: RestartDelays,
    network: RestartDelays,
}

impl AccountLimiter {
    pub(super) fn new(account: &str) -> Self {
        Self {
            name: account.to_owned(),
            limits: AccountLimits::default(),
            health: AccountHealth::Open,
            note: String::new(),
            era: 0,
            running: 0,
            waiting: 0,
            reserved: 0,
            requests: RequestMeter::default(),
            tokens: TokenMeter::default(),
            pauses: PAUSES.delays(),
            network: NETWORK.delays(),
        }
    }

    pub(super) fn health(&self) -> AccountHealth {
        self.health
    }

    /// Returns how many more runs may begin now.
    pub(super) fn capacity(&mut self, now: QueueTime) -> u32 {
        let most = match self.health {
            AccountHealth::Open => u32::MAX,
            AccountHealth::Probing { busy: false, .. } => 1,
            AccountHealth::Probing { busy: true, .. } | AccountHealth::Parked { .. } => return 0,
        };
        if !self.tokens.may(self.limits.tokens_per_minute, now) {
            return 0;
        }
        let side_by_side = self.limits.concurrency.unwrap_or(u32::MAX);
        let admitted = self.requests.capacity(self.limits.requests_per_minute, now);
        let active = self.running.saturating_sub(self.waiting);
        most.min(side_by_side.saturating_sub(active))
            .min(admitted)
            .saturating_sub(self.reserved)
    }

    /// Begins a run.
    pub(super) fn begin(&mut self, now: QueueTime) -> RunHold {
        self.running += 1;
        self.requests.start(self.limits.requests_per_minute, now);
        let mut hold = RunHold {
            era: self.era,
            probe: false,
            waits: false,
        };
        if let AccountHealth::Probing { busy, .. } = &mut self.health {
            *busy = true;
            hold.probe = true;
        }
        hold
    }

    /// The agent of a run begins or ends a wait for tasks below its own. One that waits has had an answer of its model: the account
    /// works. Returns whether the change of health is to be logged.
    pub(super) fn wait(&mut self, hold: &mut RunHold, waits: bool) -> bool {
        let before = self.health;
        match (hold.waits, waits) {
            (false, true) => {
                self.waiting += 1;
                if hold.era == self.era {
                    self.works(*hold);
                    hold.probe = false;
                }
            }
            (true, false) => self.waiting -= 1,
            _ => {}
        }
        hold.waits = waits;
        self.health.is_reportable_after(before)
    }

    /// Ends a run. Returns whether the change of health is to be logged.
    pub(super) fn end(
        &mut self,
        hold: RunHold,
        verdict: AccountVerdict,
        tokens: u64,
        now: QueueTime,
    ) -> bool {
        self.running = self.running.saturating_sub(1);
        self.waiting -= u32::from(hold.waits);
        self.tokens
            .spend(self.limits.tokens_per_minute, tokens, now);
        let before = self.health;
        let newest = hold.era == self.era;
        match verdict {
            AccountVerdict::Works if newest => self.works(hold),
            // A person has logged in since the run began.
            AccountVerdict::Parks {
                why: ParkReason::AuthRequired,
                ..
            } if !newest && !matches!(self.health, AccountHealth::Parked { .. }) => {}
            AccountVerdict::Parks { why, wait } => self.park(why, wait, now),
            AccountVerdict::Works | AccountVerdict::Nothing => {}
        }
        if let AccountHealth::Probing { busy, .. } = &mut self.health
            && hold.probe
            && newest
        {
            *busy = false;
        }
        self.health.is_reportable_after(before)
    }

    fn works(&mut self, hold: RunHold) {
        if hold.probe || self.health == AccountHealth::Open {
            self.health = AccountHealth::Open;
            self.pauses.reset();
            self.network.reset();
        }
    }

    /// Parks the account. If it is parked already, the longer of both times counts; waiting for a person is longer
    /// than any time.
    pub(super) fn park(&mut self, why: ParkReason, wait: Option<Duration>, now: QueueTime) {
        let wait = wait.filter(|wait| !wait.is_zero());
        if let AccountHealth::Parked { why: was, until } = &mut self.health {
            match (why, wait) {
                (ParkReason::AuthRequired, _) => (*was, *until) = (why, None),
                // Concurrent runs report the same refusal; that must not prolong the pause each time.
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
            ParkReason::AuthRequired => None,
            _ => {
                let pauses = match why {
                    ParkReason::Network => &mut self.network,
                    _ => &mut self.pauses,
                };
                let wait = wait.or_else(|| pauses.next()).unwrap_or(PAUSES.max);
                Some(now.saturating_add(wait))
            }
        };
        self.health = AccountHealth::Parked { why, until };
    }

    /// Lets one run probe the account, before its time is over.
    pub(super) fn probe(&mut self) -> bool {
        let AccountHealth::Parked { why, .. } = self.health else {
            return false;
        };
        self.health = AccountHealth::Probing { why, busy: false };
        true
    }

    /// Starts probing if the time is over. Returns whether it did.
    pub(super) fn tick(&mut self, now: QueueTime) -> bool {
        match self.health {
            AccountHealth::Parked {
                until: Some(until), ..
            } if until <= now => self.probe(),
            _ => false,
        }
    }

    /// Returns when a run may begin that may not begin now; `None` if that is unknown.
    pub(super) fn next(&self) -> Option<QueueTime> {
        let limits = self.limits;
        match self.health {
            AccountHealth::Parked { until, .. } => until,
            AccountHealth::Probing { busy: true, .. } => None,
            _ => self
                .requests
                .next(limits.requests_per_minute)
                .max(self.tokens.next(limits.tokens_per_minute)),
        }
    }
}
