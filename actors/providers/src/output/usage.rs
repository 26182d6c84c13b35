//! Figures of a run, whatever they count.

use serde_json::Value;

use super::rules;
use crate::definition::{Counting, UsageRule};
use crate::event::{RunUsage, add_cost, micros};

/// Adds up the reported figures.
#[derive(Debug, Default)]
pub(super) struct UsageCounter {
    /// Totals of the conversation before this run.
    before: RunUsage,
    added: RunUsage,
    /// The last reported totals of the conversation.
    running: RunUsage,
    has_figures: bool,
}

impl UsageCounter {
    pub(super) fn new(before: RunUsage) -> Self {
        Self {
            running: before.clone(),
            before,
            ..Self::default()
        }
    }

    /// Takes a frame. True when it reports a figure.
    pub(super) fn take(&mut self, rules: &[UsageRule], frame: &Value) -> bool {
        let mut has_figures = false;
        for rule in rules {
            // Elements of one frame (one per model) are parts of one figure.
            let (mut tokens_of_all, mut cost_of_all) = (None, None);
            for element in rules::meant(&rule.rule, frame) {
                if let Some(tokens) = tokens(rule, element) {
                    tokens_of_all
                        .get_or_insert_with(RunUsage::default)
                        .add_tokens(&tokens);
                }
                cost_of_all = add_cost(cost_of_all, cost(rule, element));
            }
            has_figures |= tokens_of_all.is_some() || cost_of_all.is_some();
            self.tokens(rule.mode, tokens_of_all);
            self.cost(rule.cost_mode.unwrap_or(rule.mode), cost_of_all);
        }
        self.has_figures |= has_figures;
        has_figures
    }

    /// The figures of this run. `None` when none was reported.
    pub(super) fn usage(&self) -> Option<RunUsage> {
        let mut usage = self.running.since(&self.before);
        usage.add(&self.added);
        self.has_figures.then_some(usage)
    }

    /// Totals of the conversation.
    pub(super) fn total(self) -> RunUsage {
        self.running
    }

    fn tokens(&mut self, mode: Counting, tokens: Option<RunUsage>) {
        let Some(tokens) = tokens else { return };
        match mode {
            Counting::Delta => self.added.add_tokens(&tokens),
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
                self.added.cost_micros = add_cost(self.added.cost_micros, cost);
            }
            (Counting::Running, cost) => self.running.cost_micros = cost,
        }
    }
}

/// Tokens of one frame, normalised: input excludes cached tokens, output excludes reasoning.
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

/// The cost in millionths of a dollar.
fn cost(rule: &UsageRule, element: &Value) -> Option<u64> {
    micros(element.pointer(rule.fields.cost.as_deref()?)?.as_f64()?)
}
