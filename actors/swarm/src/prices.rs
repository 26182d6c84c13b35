//! Prices of models, for runs whose provider states no cost: the settings' `[prices]`.
//!
//! A table by model name, where `*` matches any text; of several matching names the one with the most other
//! characters counts. Costs computed from it are marked as estimated.

use kirosu_protocol::task::Usage;
use serde_json::Value;

use crate::permission::Glob;

/// Dollars per million tokens above which a price is taken for a typing error.
const HIGHEST: f64 = 1e6;

const KEYS: &[&str] = &["input", "cached", "cache_write", "output"];

/// Dollars per million tokens.
#[derive(Debug, Clone, Copy)]
struct Price {
    input: f64,
    cached: f64,
    cache_write: f64,
    output: f64,
}

/// The table of prices, the most specific names first.
#[derive(Debug, Clone, Default)]
pub struct Prices(Vec<(Glob, Price)>);

impl Prices {
    /// Reads `{"MODEL": {"input", "cached", "cache_write", "output"}}`; `cached` and `cache_write` default to
    /// `input`.
    ///
    /// # Errors
    /// Every fault, as `KEY: sentence`.
    pub fn read(table: &Value) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut prices = Vec::new();
        for (model, price) in table.as_object().into_iter().flatten() {
            match self::price(model, price, &mut faults) {
                Some(price) => prices.push((model.clone(), price)),
                None if !price.is_object() => faults.push(format!(
                    "{model}: a table of {} is allowed",
                    KEYS.join(", ")
                )),
                None => {}
            }
        }
        let letters = |name: &str| name.chars().filter(|it| *it != '*').count();
        prices.sort_by_key(|(name, _)| std::cmp::Reverse(letters(name)));
        let compiled = prices.into_iter().filter_map(|(name, price)| {
            let glob = Glob::new(&name).map_err(|why| faults.push(format!("{name}: {why}")));
            Some((glob.ok()?, price))
        });
        let prices: Vec<(Glob, Price)> = compiled.collect();
        match faults.is_empty() {
            true => Ok(Self(prices)),
            false => Err(faults),
        }
    }

    /// Returns the cost of this usage in dollars; `None` if the model has no price.
    #[must_use]
    pub fn estimate(&self, model: &str, usage: &Usage) -> Option<f64> {
        let (_, price) = self.0.iter().find(|(name, _)| name.matches(model))?;
        let parts = [
            (usage.input_tokens, price.input),
            (usage.cache_read_tokens, price.cached),
            (usage.cache_write_tokens, price.cache_write),
            (usage.output_tokens, price.output),
        ];
        // Counts of tokens are far below 2^53, so the conversion is exact.
        let cost: f64 = parts
            .iter()
            .map(|(tokens, price)| *tokens as f64 * price)
            .sum();
        Some(cost / 1e6)
    }

    /// Sets the cost if the provider stated none, and marks it as estimated.
    pub(crate) fn fill_in(&self, model: Option<&str>, usage: &mut Usage) {
        if usage.cost_usd.is_none()
            && let Some(model) = model
            && let Some(cost) = self.estimate(model, usage)
        {
            usage.cost_usd = Some(cost);
            usage.cost_estimated = true;
        }
    }
}

fn price(model: &str, table: &Value, faults: &mut Vec<String>) -> Option<Price> {
    let table = table.as_object()?;
    for key in table.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let known = KEYS.join(", ");
        faults.push(format!("{model}.{key}: unknown key; known are {known}"));
    }
    let mut read = |key: &str| {
        let value = table.get(key)?;
        let number = value.as_f64().filter(|it| (0.0..=HIGHEST).contains(it));
        if number.is_none() {
            let allowed = "dollars for a million tokens, from 0 to 1000000";
            faults.push(format!("{model}.{key}: {allowed}, are allowed"));
        }
        number
    };
    let (input, output) = (read("input"), read("output"));
    let (cached, cache_write) = (read("cached"), read("cache_write"));
    for (key, price) in [("input", input), ("output", output)] {
        if price.is_none() && !table.contains_key(key) {
            faults.push(format!("{model}.{key}: has to be set"));
        }
    }
    let input = input?;
    Some(Price {
        input,
        cached: cached.unwrap_or(input),
        cache_write: cache_write.unwrap_or(input),
        output: output?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usage() -> Usage {
        Usage {
            input_tokens: 1_000_000,
            cache_read_tokens: 2_000_000,
            cache_write_tokens: 100_000,
            output_tokens: 10_000,
            ..Usage::default()
        }
    }

    #[test]
    fn the_most_exact_name_counts_and_a_stated_cost_stays() {
        let prices = Prices::read(&json!({
            "*": {"input": 100.0, "output": 100},
            "claude-*": {"input": 1.0, "cached": 0.1, "cache_write": 1.25, "output": 5.0},
            "claude-*-4*": {"input": 3, "output": 15},
        }))
        .unwrap();
        let close = |model, expected: f64| {
            let cost = prices.estimate(model, &usage()).unwrap();
            assert!((cost - expected).abs() < 1e-9, "{model}: {cost}");
        };
        close("claude-haiku-3", 1.0 + 0.2 + 0.125 + 0.05);
        close("claude-haiku-4.5", 3.0 + 6.0 + 0.3 + 0.15);
        close("else", 100.0 + 200.0 + 10.0 + 1.0);
        let mut usage_of_run = usage();
        prices.fill_in(None, &mut usage_of_run);
        assert_eq!(usage_of_run.cost_usd, None);
        usage_of_run.cost_usd = Some(0.5);
        prices.fill_in(Some("else"), &mut usage_of_run);
        assert_eq!(
            (usage_of_run.cost_usd, usage_of_run.cost_estimated),
            (Some(0.5), false)
        );
    }

    #[test]
    fn every_fault_is_reported() {
        let faults = Prices::read(&json!({
            "a": 3,
            "b": {"input": -1, "outptu": 2, "output": "much"},
            "c": {"output": 1},
        }));
        let usage_of_run = faults.unwrap_err().join("\n");
        for part in [
            "a: a table",
            "b.input: ",
            "b.outptu: unknown",
            "b.output: ",
            "c.input: has",
        ] {
            assert!(usage_of_run.contains(part), "{usage_of_run}");
        }
    }
}
