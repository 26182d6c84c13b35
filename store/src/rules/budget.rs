//! Arithmetic of budgets: reservations, and their settlement after a run.
//!
//! A reservation never takes an account's `used + reserved` beyond its limit. A run that used more than it had reserved
//! may take `used` beyond it; then nothing is granted until the window ends or the limit is raised.

use kirosu_protocol::{Budget, Scope};

/// Milliseconds after which a retry makes sense when other runs hold the rest of a budget.
const RESERVED_PAUSE_MS: i64 = 2_000;

/// Tokens and millionths of a dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub tokens: u64,
    pub micros: u64,
}

impl Amount {
    /// The amount in a message; a missing field counts as 0.
    pub fn of(budget: Budget) -> Amount {
        Amount {
            tokens: budget.tokens.unwrap_or(0),
            micros: budget.micros.unwrap_or(0),
        }
    }

    /// The amount for a message; 0 becomes a missing field.
    pub fn to_budget(self) -> Budget {
        let some = |n: u64| (n > 0).then_some(n);
        Budget {
            tokens: some(self.tokens),
            micros: some(self.micros),
        }
    }

    fn each(self, other: Amount, join: fn(u64, u64) -> u64) -> Amount {
        Amount {
            tokens: join(self.tokens, other.tokens),
            micros: join(self.micros, other.micros),
        }
    }

    pub fn plus(self, other: Amount) -> Amount {
        self.each(other, u64::saturating_add)
    }

    pub fn minus(self, other: Amount) -> Amount {
        self.each(other, u64::saturating_sub)
    }

    pub fn max(self, other: Amount) -> Amount {
        self.each(other, u64::max)
    }
}

/// A budget with its sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BudgetAccount {
    pub limit: Budget,
    /// The amount that an approval adds to the limit; empty for budgets with a window.
    pub raise: Budget,
    /// Length of the window in milliseconds; 0 means no window.
    pub per: i64,
    /// Start of the window in Unix milliseconds.
    pub since: i64,
    pub used: Amount,
    pub reserved: Amount,
}

impl BudgetAccount {
    /// An unused budget.
    pub fn new(limit: Budget, per: i64, now: i64) -> BudgetAccount {
        BudgetAccount {
            limit,
            per,
            since: window(per, now),
            ..BudgetAccount::default()
        }
    }

    /// The budget at a time: a new window starts unused. Reservations stay, as those runs go on and their usage counts
    /// when they end.
    pub fn at(mut self, now: i64) -> BudgetAccount {
        let since = window(self.per, now);
        // A clock that was set back does not bring an old window back.
        if since > self.since {
            self.since = since;
            self.used = Amount::default();
        }
        self
    }

    /// End of the window in Unix milliseconds; `None` means no window.
    pub fn until(&self) -> Option<i64> {
        (self.per > 0).then(|| self.since.saturating_add(self.per))
    }

    /// The amounts available to a run whose reservation is `own`, including it; `None` means no limit.
    fn left(&self, own: Amount) -> [Option<u64>; 2] {
        let taken = self.used.plus(self.reserved.minus(own));
        [
            self.limit
                .tokens
                .map(|limit| limit.saturating_sub(taken.tokens)),
            self.limit
                .micros
                .map(|limit| limit.saturating_sub(taken.micros)),
        ]
    }

    /// The budget plus the usage of a run that has not ended.
    pub fn with_spent(mut self, spent: Amount) -> BudgetAccount {
        self.used = self.used.plus(spent);
        self
    }

    /// Whether tokens or money are exhausted.
    pub fn is_exhausted(&self) -> bool {
        self.limit
            .tokens
            .is_some_and(|limit| self.used.tokens >= limit)
            || self
                .limit
                .micros
                .is_some_and(|limit| self.used.micros >= limit)
    }

    /// The budget after an approval, which adds the first limit again.
    pub fn raised(mut self) -> BudgetAccount {
        let add = |limit: Option<u64>, by: Option<u64>| {
            limit.map(|limit| limit.saturating_add(by.unwrap_or(0)))
        };
        self.limit.tokens = add(self.limit.tokens, self.raise.tokens);
        self.limit.micros = add(self.limit.micros, self.raise.micros);
        self
    }

    /// The budget with another amount by which it is raised.
    pub fn with_raise(mut self, raise: Budget) -> BudgetAccount {
        self.raise = raise;
        self
    }

    /// The budget after a run's reservation changed from `before` to `after`.
    pub fn held(mut self, before: Amount, after: Amount) -> BudgetAccount {
        self.reserved = self.reserved.minus(before).plus(after);
        self
    }

    /// The budget after a run with the reservation `held` ended; `more` is its usage that was not counted before.
    pub fn settled(mut self, held: Amount, more: Amount) -> BudgetAccount {
        self.reserved = self.reserved.minus(held);
        self.used = self.used.plus(more);
        self
    }
}

/// Start of the window that contains `now`. Windows that divide a day start at midnight UTC and its multiples.
fn window(per: i64, now: i64) -> i64 {
    match per {
        0 => 0,
        per => now.div_euclid(per).saturating_mul(per),
    }
}

/// The account that refuses a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrantRefused {
    /// Its index in the list of accounts.
    pub index: usize,
    /// Whether it is exhausted; otherwise other runs have reserved the rest.
    pub exhausted: bool,
    /// Unix milliseconds from which a retry makes sense; `None` means that a person must raise the limit.
    pub retry_at: Option<i64>,
}

/// Grants a run that holds `own`, has used `spent` and asks for `want` in total. Returns its new reservation; or, when
/// a limited amount has no more for it, the account that refuses.
///
/// The accounts must be those of the present window ([`BudgetAccount::at`]). An amount that no account limits is not
/// reserved.
pub(crate) fn grant(
    accounts: &[(Scope, BudgetAccount)],
    own: Amount,
    spent: Amount,
    want: Budget,
    now: i64,
) -> Result<Amount, GrantRefused> {
    let mut held = [own.tokens, own.micros];
    let mut blocked = Vec::new();
    for (place, wanted) in [want.tokens, want.micros].into_iter().enumerate() {
        // A request without an amount needs at least the proof that something is left.
        let wanted = wanted.unwrap_or(0).max(1);
        let lefts = accounts.iter().map(|(_, account)| account.left(own)[place]);
        let Some(left) = lefts.clone().flatten().min() else {
            held[place] = 0;
            continue;
        };
        let before = held[place];
        if wanted > before && left <= before {
            let short = lefts.enumerate();
            blocked.extend(
                short
                    .filter(|(_, l)| l.is_some_and(|l| l <= before))
                    .map(|(i, _)| i),
            );
        }
        held[place] = before.max(wanted.min(left));
    }
    match blocked
        .into_iter()
        .map(|index| refusal(accounts, index, spent, now))
        .max_by_key(weight)
    {
        Some(refused) => Err(refused),
        None => Ok(Amount {
            tokens: held[0],
            micros: held[1],
        }),
    }
}

fn refusal(
    accounts: &[(Scope, BudgetAccount)],
    index: usize,
    spent: Amount,
    now: i64,
) -> GrantRefused {
    let (_, account) = &accounts[index];
    // The usage of this run does not become available when another run ends.
    let exhausted = account.with_spent(spent).is_exhausted();
    GrantRefused {
        index,
        exhausted,
        retry_at: match exhausted {
            true => account.until(),
            false => Some(now.saturating_add(RESERVED_PAUSE_MS)),
        },
    }
}

/// The order of refusals: the one with the longest wait is reported (a person, the end of a window, other runs).
fn weight(refused: &GrantRefused) -> (bool, bool, i64) {
    let until = refused.retry_at;
    (refused.exhausted, until.is_none(), until.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limit(tokens: u64) -> Budget {
        Budget {
            tokens: Some(tokens),
            micros: None,
        }
    }

    fn tokens(tokens: u64) -> Amount {
        Amount { tokens, micros: 0 }
    }

    #[test]
    fn the_rest_is_granted_and_then_nothing() {
        let account = BudgetAccount::new(limit(100), 0, 5);
        let all = |account| [(Scope::Hub, account)];
        assert_eq!(
            grant(&all(account), tokens(0), tokens(0), limit(60), 5),
            Ok(tokens(60))
        );
        let account = account.held(tokens(0), tokens(60));
        assert_eq!(
            grant(&all(account), tokens(0), tokens(0), limit(60), 5),
            Ok(tokens(40))
        );
        let full = account.held(tokens(0), tokens(40));
        let refused = grant(&all(full), tokens(0), tokens(0), limit(60), 5).unwrap_err();
        assert_eq!((refused.exhausted, refused.retry_at), (false, Some(2005)));
        let used = full
            .settled(tokens(60), tokens(70))
            .settled(tokens(40), tokens(40));
        let refused = grant(&all(used), tokens(0), tokens(0), limit(60), 5).unwrap_err();
        assert_eq!((refused.exhausted, refused.retry_at), (true, None));
        let account = BudgetAccount {
            raise: limit(100),
            ..used
        };
        assert_eq!(
            grant(&all(account.raised()), tokens(0), tokens(0), limit(60), 5),
            Ok(tokens(60))
        );
    }

    #[test]
    fn a_new_window_resets_usage_and_keeps_reservations() {
        let account = BudgetAccount::new(limit(10), 1000, 4_500).settled(tokens(0), tokens(10));
        let account = account.held(tokens(0), tokens(4));
        assert_eq!((account.since, account.until()), (4_000, Some(5_000)));
        assert!(account.at(4_999).is_exhausted());
        let next = account.at(5_000);
        assert_eq!((next.used, next.reserved), (tokens(0), tokens(4)));
        // The clock was set back.
        assert_eq!(next.at(100), next);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Ask { run: usize, want: u64, usd: u64 },
        End { run: usize, used: u64, usd: u64 },
        Pass(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..6usize, 0..50u64, 0..50u64).prop_map(|(run, want, usd)| Step::Ask {
                run,
                want,
                usd
            }),
            (0..6usize, 0..60u64, 0..60u64).prop_map(|(run, used, usd)| Step::End {
                run,
                used,
                usd
            }),
            (0..700i64).prop_map(Step::Pass),
        ];
        proptest::collection::vec(step, 1..60)
    }

    proptest! {
        /// Six runs and two budgets, one with a window: nothing is granted beyond a limit, nothing leaks, and the sums
        /// equal the usage of the runs.
        #[test]
        fn reservations_never_leak_nor_oversell(steps in steps()) {
            let both = Budget { tokens: Some(100), micros: Some(80) };
            let mut now = 0;
            let mut accounts = [(Scope::Hub, BudgetAccount::new(both, 1000, 0)), (Scope::Task(1), BudgetAccount::new(limit(300), 0, 0))];
            let mut held: [Option<Amount>; 6] = [None; 6];
            let mut used_in_all = 0;
            for step in steps {
                for (_, account) in &mut accounts {
                    *account = account.at(now);
                }
                match step {
                    Step::Pass(ms) => now += ms,
                    Step::Ask { run, want, usd } => {
                        let own = held[run].unwrap_or_default();
                        let want = Budget { tokens: Some(want), micros: Some(usd) };
                        if let Ok(after) = grant(&accounts, own, Amount::default(), want, now) {
                            prop_assert!(after.tokens >= own.tokens && after.micros >= own.micros);
                            for (_, account) in &mut accounts {
                                let before = *account;
                                *account = account.held(own, after);
                                if after.tokens > own.tokens {
                                    prop_assert!(account.used.tokens + account.reserved.tokens <= account.limit.tokens.unwrap());
                                }
                                if after.micros > own.micros && let Some(limit) = account.limit.micros {
                                    prop_assert!(account.used.micros + account.reserved.micros <= limit, "{before:?}");
                                }
                            }
                            held[run] = Some(after);
                        }
                    }
                    Step::End { run, used, usd } => {
                        if let Some(own) = held[run].take() {
                            used_in_all += used;
                            for (_, account) in &mut accounts {
                                *account = account.settled(own, Amount { tokens: used, micros: usd });
                            }
                        }
                    }
                }
                let open = held.iter().flatten().fold(Amount::default(), |sum, one| sum.plus(*one));
                for (_, account) in &accounts {
                    prop_assert_eq!(account.reserved, open);
                }
            }
            prop_assert_eq!(accounts[1].1.used.tokens, used_in_all);
        }
    }
}
