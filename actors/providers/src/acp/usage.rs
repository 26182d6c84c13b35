//! Figures of a turn, whatever the agent counts.
//!
//! Tokens come with the response to the prompt and count the whole turn, the whole conversation, or only the turn's last
//! model call: the definition says which. The cost comes in `usage_update` and always counts the conversation.

use serde_json::Value;

use crate::definition::TurnUsage;
use crate::event::{RunUsage, micros};

/// Adds up the figures of one turn.
#[derive(Debug)]
pub(super) struct TurnUsageCounter {
    counting: TurnUsage,
    /// Totals of the conversation before this turn.
    before: RunUsage,
    tokens: Option<RunUsage>,
    cost_micros: Option<u64>,
}

impl TurnUsageCounter {
    pub(super) fn new(counting: TurnUsage, before: RunUsage) -> Self {
        Self {
            counting,
            before,
            tokens: None,
            cost_micros: None,
        }
    }

    /// Takes a `usage_update`. True when it states a cost.
    pub(super) fn update(&mut self, update: &Value) -> bool {
        let cost = &update["cost"];
        // Some agents send null between two costs.
        let reported = match cost["currency"].as_str() {
            Some("USD") | None => cost["amount"].as_f64().and_then(micros),
            Some(_) => None,
        };
        self.cost_micros = reported.or(self.cost_micros);
        reported.is_some()
    }

    /// Takes the response to a prompt. A run may have several.
    pub(super) fn answer(&mut self, result: &Value) {
        let quota = result.pointer("/_meta/quota/token_count");
        let reported = tokens(&result["usage"]).or_else(|| tokens(quota?));
        match (&mut self.tokens, reported) {
            (Some(sum), Some(reported)) if self.counting != TurnUsage::Running => {
                sum.add_tokens(&reported);
            }
            (_, None) => {}
            (tokens, reported) => *tokens = reported,
        }
    }

    /// Forgets the earlier totals: the conversation is a new one.
    pub(super) fn restart(&mut self) {
        self.before = RunUsage::default();
    }

    /// The figures of this turn. `None` when the agent stated none.
    pub(super) fn usage(&self) -> Option<RunUsage> {
        if self.tokens.is_none() && self.cost_micros.is_none() {
            return None;
        }
        let tokens = self.tokens.clone().unwrap_or_default();
        let mut usage = match self.counting {
            TurnUsage::Running if self.tokens.is_some() => tokens.since(&self.before),
            _ => tokens,
        };
        let before = self.before.cost_micros.unwrap_or(0);
        usage.cost_micros = self.cost_micros.map(|now| now.saturating_sub(before));
        Some(usage)
    }

    /// The totals of the conversation with this turn.
    pub(super) fn total(&self) -> RunUsage {
        let mut total = match self.counting {
            TurnUsage::Running => self.tokens.clone().unwrap_or_else(|| self.before.clone()),
            _ => RunUsage::default(),
        };
        total.cost_micros = self.cost_micros.or(self.before.cost_micros);
        total
    }
}

/// Reads token figures. Agents differ in whether `input` includes cached tokens and `output` reasoning: the stated total
/// shows which.
fn tokens(reported: &Value) -> Option<RunUsage> {
    let read = |names: [&str; 2]| names.iter().find_map(|name| reported[*name].as_u64());
    let (input, output) = (
        read(["inputTokens", "input_tokens"]),
        read(["outputTokens", "output_tokens"]),
    );
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let part = |names| read(names).unwrap_or(0);
    let cache_read = part(["cachedReadTokens", "cachedInputTokens"]);
    let cache_write = part(["cachedWriteTokens", "cacheWriteInputTokens"]);
    let reasoning = part(["thoughtTokens", "reasoningOutputTokens"]);
    let total = read(["totalTokens", "total_tokens"]);
    let is = |with_cache: bool, with_thought: bool| {
        let cache = if with_cache {
            0
        } else {
            cache_read + cache_write
        };
        let thought = if with_thought { 0 } else { reasoning };
        total == Some(input + output + cache + thought)
    };
    let ways = [(false, false), (false, true), (true, false), (true, true)];
    let (with_cache, with_thought) = ways
        .into_iter()
        .find(|(cache, thought)| is(*cache, *thought))
        .unwrap_or((false, false));
    let cached = if with_cache {
        cache_read + cache_write
    } else {
        0
    };
    let thought = if with_thought { reasoning } else { 0 };
    Some(RunUsage {
        input: input.saturating_sub(cached),
        cache_read,
        cache_write,
        output: output.saturating_sub(thought),
        reasoning,
        cost_micros: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn turn(
        counting: TurnUsage,
        before: RunUsage,
        input: u64,
        dollars: f64,
    ) -> (RunUsage, RunUsage) {
        let mut tally = TurnUsageCounter::new(counting, before);
        tally.update(&json!({"cost": {"amount": dollars, "currency": "USD"}}));
        tally.update(&json!({"cost": null}));
        tally.answer(&json!({"usage": {"inputTokens": input, "outputTokens": 34}}));
        (tally.usage().unwrap(), tally.total())
    }

    #[test]
    fn running_totals_are_distinguished_from_turns() {
        let mut before = RunUsage::default();
        for number in 1..=3 {
            let dollars = f64::from(number) * 0.001;
            let (usage, total) = turn(
                TurnUsage::Running,
                before,
                1200 * u64::from(number as u8),
                dollars,
            );
            assert_eq!((usage.input, usage.cost_micros), (1200, Some(1000)));
            before = total;
        }
        let before = RunUsage {
            cost_micros: Some(1000),
            ..RunUsage::default()
        };
        let (usage, total) = turn(TurnUsage::Turn, before, 1200, 0.003);
        assert_eq!((usage.input, usage.cost_micros), (1200, Some(2000)));
        assert_eq!((total.input, total.cost_micros), (0, Some(3000)));
    }

    #[test]
    fn the_total_shows_what_input_and_output_include() {
        let read = |text: &str| tokens(&serde_json::from_str(text).unwrap()).unwrap();
        let apart = read(
            r#"{"inputTokens":1000,"outputTokens":30,"thoughtTokens":4,"cachedReadTokens":200,"totalTokens":1234}"#,
        );
        let thought_in = read(
            r#"{"inputTokens":1000,"outputTokens":34,"thoughtTokens":4,"cachedReadTokens":200,"totalTokens":1234}"#,
        );
        let both_in = read(
            r#"{"inputTokens":1200,"outputTokens":34,"thoughtTokens":4,"cachedReadTokens":200,"totalTokens":1234}"#,
        );
        for usage in [apart, thought_in, both_in] {
            let figures = (usage.input, usage.cache_read, usage.output, usage.reasoning);
            assert_eq!(figures, (1000, 200, 30, 4));
        }
    }
}
