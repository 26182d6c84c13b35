//! Figures of a run, whatever they count from.

use serde_json::Value;

use super::rules;
use crate::definition::{Counting, UsageRule};
use crate::event::{RunUsage, micros};

/// Adds up what is told.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Totals of the conversation before this run.
    before: RunUsage,
    added: RunUsage,
    /// The last totals of the conversation that were told.
    running: RunUsage,
    told: bool,
}

impl Tally {
    pub(super) fn new(before: RunUsage) -> Self {
        Self {
            running: before.clone(),
            before,
            ..Self::default()
        }
    }

    /// Takes a frame. True when it told something.
    pub(super) fn take(&mut self, rules: &[UsageRule], frame: &Value) -> bool {
        let mut told = false;
        for rule in rules {
            // Elements of one frame (a model each) are parts of one figure.
            let (mut tokens_of_all, mut cost_of_all) = (None, None);
            for element in rules::meant(&rule.rule, frame) {
                if let Some(tokens) = tokens(rule, element) {
                    add_tokens(tokens_of_all.get_or_insert_default(), &tokens);
                }
                cost_of_all = sum(cost_of_all, cost(rule, element));
            }
            told |= tokens_of_all.is_some() || cost_of_all.is_some();
            self.tokens(rule.mode, tokens_of_all);
            self.cost(rule.cost_mode, cost_of_all);
        }
        self.told |= told;
        told
    }

    /// What this run used; `None` when nothing was told.
    pub(super) fn usage(&self) -> Option<RunUsage> {
        let mut usage = since(&self.running, &self.before);
        add_tokens(&mut usage, &self.added);
        usage.cost_micros = sum(usage.cost_micros, self.added.cost_micros);
        self.told.then_some(usage)
    }

    /// Totals of the conversation.
    pub(super) fn total(self) -> RunUsage {
        self.running
    }

    fn tokens(&mut self, mode: Counting, tokens: Option<RunUsage>) {
        let Some(tokens) = tokens else { return };
        match mode {
            Counting::Delta => add_tokens(&mut self.added, &tokens),
            Counting::Running => {
                self.running = RunUsage {
                    cost_micros: self.running.cost_micros,
                    ..tokens
                }
            }
        }
    }

    fn cost(&mut self, mode: Counting, cost: Option<u64>) {
        match (mode, cost) {
            (_, None) => {}
            (Counting::Delta, cost) => {
                self.added.cost_micros = sum(self.added.cost_micros, cost);
            }
            (Counting::Running, cost) => self.running.cost_micros = cost,
        }
    }
}

pub(crate) fn add_tokens(total: &mut RunUsage, more: &RunUsage) {
    total.input = total.input.saturating_add(more.input);
    total.cache_read = total.cache_read.saturating_add(more.cache_read);
    total.cache_write = total.cache_write.saturating_add(more.cache_write);
    total.output = total.output.saturating_add(more.output);
    total.reasoning = total.reasoning.saturating_add(more.reasoning);
}

/// What came to `before`.
pub(crate) fn since(now: &RunUsage, before: &RunUsage) -> RunUsage {
    RunUsage {
        input: now.input.saturating_sub(before.input),
        cache_read: now.cache_read.saturating_sub(before.cache_read),
        cache_write: now.cache_write.saturating_sub(before.cache_write),
        output: now.output.saturating_sub(before.output),
        reasoning: now.reasoning.saturating_sub(before.reasoning),
        cost_micros: now
            .cost_micros
            .map(|cost| cost.saturating_sub(before.cost_micros.unwrap_or(0))),
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    }
}

/// Tokens of one frame, normalised: input without what a cache gave, output without the reasoning.
fn tokens(rule: &UsageRule, element: &Value) -> Option<RunUsage> {
    let fields = &rule.fields;
    let read = |pointer: &Option<String>| element.pointer(pointer.as_deref()?)?.as_u64();
    let (input, output) = (read(&fields.input), read(&fields.output));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let cache_read = read(&fields.cached_input).unwrap_or(0);
    let reasoning = read(&fields.reasoning).unwrap_or(0);
    Some(RunUsage {
        input: match rule.input_includes_cached {
            true => input.saturating_sub(cache_read),
            false => input,
        },
        cache_read,
        cache_write: read(&fields.cache_write).unwrap_or(0),
        output: match rule.output_includes_reasoning {
            true => output.saturating_sub(reasoning),
            false => output,
        },
        reasoning,
        cost_micros: None,
    })
}

/// Millionths of a dollar.
fn cost(rule: &UsageRule, element: &Value) -> Option<u64> {
    micros(element.pointer(rule.fields.cost.as_deref()?)?.as_f64()?)
}
