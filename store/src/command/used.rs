//! What runs used: added to days and tasks in the commit that ends the attempt. `ledger` holds it against budgets.

use crate::command::ledger::DAY_MS;
use crate::core::Core;
use crate::rules::budget::Amount;
use crate::sql;
use crate::sql::usage::{AddDay, AddTask, SelectPartialUsage, SelectProgress, TellUsage, number};
use crate::task_stats::Step;
use diesel::QueryResult;
use kirosu_protocol::budget::micros_of;
use kirosu_protocol::verbs::ack::Ack;
use kirosu_protocol::{Budget, Fence, Scope, TaskId, Usage};

impl Core {
    /// An attempt ended, and said with its ack what it used. `before` is what was counted of it already.
    pub(crate) fn record_usage(
        &mut self,
        ack: &Ack,
        usage: &Usage,
        before: Option<&Before>,
    ) -> QueryResult<()> {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let whose = Whose {
            pool: name(&ack.pool),
            provider: name(&ack.provider),
            model: name(&ack.model),
        };
        match before {
            None => self.add_usage(ack.task_id, &whose, usage, 1),
            Some(before) => self.add_usage(ack.task_id, &whose, &beyond(usage, &before.usage), 0),
        }
    }

    /// Adds to day and task, and to what is measured.
    fn add_usage(
        &mut self,
        task_id: TaskId,
        whose: &Whose,
        usage: &Usage,
        attempts: i64,
    ) -> QueryResult<()> {
        let Whose {
            pool,
            provider,
            model,
        } = whose;
        let day = self.now.div_euclid(DAY_MS);
        let micros = number(usage.cost_usd.map_or(0, micros_of));
        let estimated = if usage.cost_estimated { micros } else { 0 };
        let unpriced = if usage.cost_usd.is_none() {
            attempts
        } else {
            0
        };
        let [input, cache_read, cache_write, output] = [
            usage.input_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
        ]
        .map(number);
        self.write(AddDay {
            day,
            pool,
            provider,
            model,
            attempts,
            input,
            cache_read,
            cache_write,
            output,
            micros,
            estimated,
            unpriced,
        })?;
        self.write(AddTask {
            task_id,
            day,
            pool,
            provider,
            model,
            attempts,
            input,
            cache_read,
            cache_write,
            output,
            micros,
            estimated,
            unpriced,
        })?;
        self.ledger.used = true;
        let (provider, model) = self.task_stats.usage_labels(provider, model);
        self.task_stats.note(Step::Used {
            provider,
            model,
            tokens: [input, cache_read, cache_write, output],
            micros,
        });
        Ok(())
    }

    /// The ack of an attempt that was cancelled or lost before says what it used: counted once.
    pub(crate) fn record_late_usage(&mut self, ack: &Ack, fence: Fence) -> QueryResult<()> {
        let Some(usage) = &ack.usage else {
            return Ok(());
        };
        let before = self.counted_usage(ack.task_id, fence)?;
        let told = TellUsage {
            usage: &usage_text(usage)?,
            task_id: ack.task_id,
            fence,
        };
        if self.write(told)? == 0 {
            return Ok(());
        }
        self.record_usage(ack, usage, before.as_ref())?;
        let counted = before.map_or(Budget::default(), |before| before.counted);
        self.settle(ack.task_id, fence, Some((ack, usage)), counted)
    }

    /// What was counted of an attempt that ended without an ack.
    pub(crate) fn counted_usage(
        &mut self,
        task_id: TaskId,
        fence: Fence,
    ) -> QueryResult<Option<Before>> {
        let kept: Option<String> =
            sql::first(&mut self.conn, SelectPartialUsage { task_id, fence })?;
        Ok(kept.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// An attempt ends without an ack: what it last said of its usage is what is known. Answers it as its row keeps it.
    pub(crate) fn record_partial_usage(
        &mut self,
        task_id: TaskId,
        fence: Fence,
    ) -> QueryResult<Option<String>> {
        let data: Option<String> = sql::first(&mut self.conn, SelectProgress { task_id, fence })?;
        let told = data.and_then(|data| serde_json::from_str::<Progress>(&data).ok());
        let Some((usage, model)) = told.and_then(|told| Some((told.usage?, told.model))) else {
            return Ok(None);
        };
        let held = self.ledger.reservations.get(&task_id);
        let scopes = held
            .filter(|held| held.fence == fence)
            .map(|held| held.scopes.clone());
        let mut whose = Whose {
            model: model.unwrap_or_default(),
            ..Whose::default()
        };
        for scope in scopes.unwrap_or_default() {
            match scope {
                Scope::Pool(name) => whose.pool = name,
                Scope::Provider(name) => whose.provider = name,
                _ => {}
            }
        }
        self.add_usage(task_id, &whose, &usage, 1)?;
        let mut counted = Amount::default();
        if let Some(held) = self
            .ledger
            .reservations
            .get_mut(&task_id)
            .filter(|held| held.fence == fence)
        {
            held.told = held.told.max(Amount::of(Budget::of(&usage)));
            counted = held.told;
        }
        let before = Before {
            usage,
            partial: true,
            counted: counted.told(),
        };
        serde_json::to_string(&before)
            .map(Some)
            .map_err(|e| diesel::result::Error::SerializationError(Box::new(e)))
    }
}

/// Under which names something was used; empty: not told.
#[derive(Debug, Default)]
struct Whose {
    pool: String,
    provider: String,
    model: String,
}

/// What was counted of an attempt that ended without an ack, as its row keeps it.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Before {
    /// In the ledger.
    #[serde(flatten)]
    usage: Usage,
    partial: bool,
    /// In the budgets that it had reserved of.
    #[serde(default, skip_serializing_if = "Budget::is_empty")]
    pub counted: Budget,
}

/// What matters here of a run's progress.
#[derive(serde::Deserialize)]
struct Progress {
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    model: Option<String>,
}

/// What was used beyond what was counted before.
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

/// As an attempt's row keeps it.
pub(crate) fn usage_text(usage: &Usage) -> QueryResult<String> {
    serde_json::to_string(usage).map_err(|e| diesel::result::Error::SerializationError(Box::new(e)))
}
