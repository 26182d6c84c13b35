//! The usage of an attempt: recorded per day and per task in the commit that ends it, and settled with its budgets.

use crate::backend::{Result, StoreFault};
use crate::core::Core;
use crate::ledger::DAY_MS;
use crate::rules::budget::{Amount, BudgetAccount};
use crate::sql::records::TextQuery;
use crate::sql::usage::{
    AddDay, AddTask, Reservation, SelectPartialUsage, SelectProgress, SetLateUsage, UsageEntry,
    number,
};
use crate::task_stats::TaskStep;
use kirosu_protocol::budget::micros_of;
use kirosu_protocol::{Ack, Budget, Fence, Scope, TaskId, Usage};

impl Core {
    /// Records the usage that an ack reports. `before` was counted already.
    pub(crate) fn record_usage(
        &mut self,
        ack: &Ack,
        usage: &Usage,
        before: Option<&CountedUsage>,
    ) -> Result<()> {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let key = UsageKey {
            pool: name(&ack.pool),
            provider: name(&ack.provider),
            model: name(&ack.model),
        };
        match before {
            None => self.add_usage(ack.task_id, &key, usage, 1),
            Some(before) => self.add_usage(ack.task_id, &key, &beyond(usage, &before.usage), 0),
        }
    }

    /// Adds to the sums of day and task, and to the statistics.
    fn add_usage(
        &mut self,
        task_id: TaskId,
        key: &UsageKey,
        usage: &Usage,
        attempts: i64,
    ) -> Result<()> {
        let day = self.now().div_euclid(DAY_MS);
        let micros = number(usage.cost_usd.map_or(0, micros_of));
        let unpriced = usage.cost_usd.is_none();
        let entry = UsageEntry {
            pool: &key.pool,
            provider: &key.provider,
            model: &key.model,
            attempts,
            input: number(usage.input_tokens),
            cache_read: number(usage.cache_read_tokens),
            cache_write: number(usage.cache_write_tokens),
            output: number(usage.output_tokens),
            micros,
            estimated: if usage.cost_estimated { micros } else { 0 },
            unpriced: if unpriced { attempts } else { 0 },
        };
        self.write(AddDay { day, entry })?;
        self.write(AddTask {
            task_id,
            day,
            entry,
        })?;
        self.ledger.note_usage();
        let (provider, model) = self.task_stats.usage_labels(entry.provider, entry.model);
        self.task_stats.note(TaskStep::Used {
            provider,
            model,
            tokens: [
                entry.input,
                entry.cache_read,
                entry.cache_write,
                entry.output,
            ],
            micros,
        });
        Ok(())
    }

    /// Records the usage in the ack of an attempt that was cancelled or lost before. Only the first such ack counts.
    pub(crate) fn record_late_usage(&mut self, ack: &Ack, fence: Fence) -> Result<()> {
        let Some(usage) = &ack.usage else {
            return Ok(());
        };
        let before = self.counted_usage(ack.task_id, fence)?;
        let late = SetLateUsage {
            usage: &usage_text(usage)?,
            task_id: ack.task_id,
            fence,
        };
        if self.write(late)? == 0 {
            return Ok(());
        }
        self.record_usage(ack, usage, before.as_ref())?;
        let counted = before.map_or(Budget::default(), |before| before.counted);
        self.settle(ack.task_id, fence, Some((ack, usage)), counted)
    }

    /// The usage that was counted for an attempt that ended without an ack.
    pub(crate) fn counted_usage(
        &mut self,
        task_id: TaskId,
        fence: Fence,
    ) -> Result<Option<CountedUsage>> {
        let query = TextQuery::PartialUsage(SelectPartialUsage { task_id, fence });
        let stored = self.db.text(query)?;
        Ok(stored.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Records the usage in the last report of progress of an attempt that ends without an ack. Returns it as JSON for
    /// the attempt's row.
    pub(crate) fn record_partial_usage(
        &mut self,
        task_id: TaskId,
        fence: Fence,
    ) -> Result<Option<String>> {
        let query = TextQuery::Progress(SelectProgress { task_id, fence });
        let data = self.db.text(query)?;
        let report = data.and_then(|data| serde_json::from_str::<ProgressReport>(&data).ok());
        let Some((usage, model)) = report.and_then(|report| Some((report.usage?, report.model)))
        else {
            return Ok(None);
        };
        let held = self.ledger.reservation(task_id, fence);
        let scopes = held.map(|held| held.scopes.clone());
        let mut key = UsageKey {
            model: model.unwrap_or_default(),
            ..UsageKey::default()
        };
        for scope in scopes.unwrap_or_default() {
            match scope {
                Scope::Pool(name) => key.pool = name,
                Scope::Provider(name) => key.provider = name,
                _ => {}
            }
        }
        self.add_usage(task_id, &key, &usage, 1)?;
        let reported = Amount::of(Budget::of(&usage));
        let counted = self.ledger.note_reported(task_id, fence, reported);
        let before = CountedUsage {
            usage,
            partial: true,
            counted: counted.to_budget(),
        };
        let text = serde_json::to_string(&before).map_err(StoreFault::value)?;
        Ok(Some(text))
    }

    /// An attempt ended: returns its reservation and counts its usage against its budgets. Without an ack (`acked`), the
    /// usage in its reports of progress counts. `counted` is the part that was counted before, for an attempt key
    /// reservation a later attempt has replaced.
    pub(crate) fn settle(
        &mut self,
        task: TaskId,
        fence: Fence,
        acked: Option<(&Ack, &Usage)>,
        counted: Budget,
    ) -> Result<()> {
        let held = self.ledger.reservation(task, fence).cloned();
        if held.is_none() && acked.is_none() {
            return Ok(());
        }
        let is_own = held.is_some();
        let held = held.unwrap_or_else(|| Reservation {
            counted: Amount::of(counted),
            ..Reservation::default()
        });
        let spent = match acked {
            Some((_, usage)) => Amount::of(Budget::of(usage)),
            None => held.reported.max(held.counted),
        };
        let more = spent.minus(held.counted);
        let now = self.now();
        for scope in &held.scopes {
            self.settle_account(scope, now, held.amount, more)?;
        }
        if let Some((ack, _)) = acked {
            for scope in self.scopes_of_ack(ack)? {
                if !held.scopes.contains(&scope) {
                    self.settle_account(&scope, now, Amount::default(), more)?;
                }
            }
        }
        if !is_own {
            // The stored reservation belongs to a later attempt.
            return Ok(());
        }
        if acked.is_some() || spent == Amount::default() {
            return self.ledger.delete_reservation(&mut *self.db, task);
        }
        // A late ack may still report the usage: it must not count the same amount again.
        let rest = Reservation {
            amount: Amount::default(),
            reported: Amount::default(),
            counted: spent,
            ..held
        };
        self.ledger.put_reservation(&mut *self.db, task, rest)
    }

    /// Settles one budget of a run, and adds an event if this uses it up.
    fn settle_account(
        &mut self,
        scope: &Scope,
        now: i64,
        held: Amount,
        more: Amount,
    ) -> Result<()> {
        let mut is_used_up = false;
        let settled = |account: BudgetAccount| {
            let after = account.settled(held, more);
            is_used_up = after.is_exhausted() && !account.is_exhausted();
            after
        };
        self.ledger.alter(&mut *self.db, scope, now, settled)?;
        match is_used_up {
            true => self.note_budget(scope),
            false => Ok(()),
        }
    }

    /// The budgets that an acked run counts against.
    fn scopes_of_ack(&mut self, ack: &Ack) -> Result<Vec<Scope>> {
        let pool = ack.pool.clone().map(Scope::Pool);
        let provider = ack.provider.clone().map(Scope::Provider);
        let shared = [Some(Scope::Hub), pool, provider];
        let mut scopes = self.ledger.with_budget(shared.into_iter().flatten());
        scopes.extend(self.scopes_of_task(ack.task_id)?);
        Ok(scopes)
    }

    /// The budgets of a task and of the trees to which it belongs.
    pub(crate) fn scopes_of_task(&mut self, task: TaskId) -> Result<Vec<Scope>> {
        if !self.ledger.has_task_budgets() {
            return Ok(Vec::new());
        }
        let options = self.task_options(task)?;
        let own = options.budget.filter(|budget| !budget.own.is_empty());
        let trees = options.budget_trees.into_iter().map(Scope::Tree);
        let own = own.map(|_| Scope::Task(task));
        Ok(own.into_iter().chain(trees).collect())
    }

    /// A person lets a task run again: raises its own budget, or that of the nearest tree, by an amount; without one each
    /// exhausted budget of the task by its first limit.
    pub(crate) fn raise_budgets(&mut self, task: TaskId, by: Option<Budget>) -> Result<()> {
        let scopes = self.scopes_of_task(task)?;
        if let Some(by) = by {
            let own = scopes.iter().find(|scope| matches!(scope, Scope::Task(_)));
            return match own.or(scopes.last()) {
                Some(scope) => self.raise_budget(scope, by),
                None => Ok(()),
            };
        }
        self.raise_exhausted(&scopes)
    }

    /// Raises a budget by an amount.
    pub(crate) fn raise_budget(&mut self, scope: &Scope, by: Budget) -> Result<()> {
        let now = self.now();
        self.ledger.alter(&mut *self.db, scope, now, |account| {
            BudgetAccount {
                raise: by,
                ..account
            }
            .raised()
            .with_raise(account.raise)
        })
    }

    /// Raises each exhausted budget by its first limit.
    pub(crate) fn raise_exhausted(&mut self, scopes: &[Scope]) -> Result<()> {
        let now = self.now();
        for scope in scopes {
            let raised = |account: BudgetAccount| match account.is_exhausted() {
                true => account.raised(),
                false => account,
            };
            self.ledger.alter(&mut *self.db, scope, now, raised)?;
        }
        Ok(())
    }
}

/// The names under which usage is recorded; an empty name means unknown.
#[derive(Debug, Default)]
struct UsageKey {
    pool: String,
    provider: String,
    model: String,
}

/// The usage that was counted for an attempt without an ack, as JSON in its row.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct CountedUsage {
    /// In the sums of day and task.
    #[serde(flatten)]
    usage: Usage,
    partial: bool,
    /// In the budgets of which it had reserved.
    #[serde(default, skip_serializing_if = "Budget::is_empty")]
    pub counted: Budget,
}

/// The part of a report of progress that counts here.
#[derive(serde::Deserialize)]
struct ProgressReport {
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    model: Option<String>,
}

/// The usage beyond what was counted before.
fn beyond(usage: &Usage, before: &Usage) -> Usage {
    Usage {
        input_tokens: usage.input_tokens.saturating_sub(before.input_tokens),
        cache_read_tokens: usage
            .cache_read_tokens
            .saturating_sub(before.cache_read_tokens),
        cache_write_tokens: usage
            .cache_write_tokens
            .saturating_sub(before.cache_write_tokens),
        output_tokens: usage.output_tokens.saturating_sub(before.output_tokens),
        cost_usd: usage
            .cost_usd
            .map(|usd| (usd - before.cost_usd.unwrap_or(0.0)).max(0.0)),
        cost_estimated: usage.cost_estimated,
    }
}

/// Usage as JSON for the row of an attempt.
pub(crate) fn usage_text(usage: &Usage) -> Result<String> {
    serde_json::to_string(usage).map_err(StoreFault::value)
}
