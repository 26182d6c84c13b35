//! Budgets in short form: `200k`, `1.50usd`, `200k,1.50usd`.

use kirosu_protocol::Budget;
use kirosu_protocol::budget::micros_of;

const RULE: &str =
    "write tokens (50000, 200k, 2M), dollars (1.50usd), or both with a comma between";

/// Reads a budget.
///
/// # Errors
/// The text breaks the rule, which the message states.
pub fn read(words: &str) -> Result<Budget, String> {
    let mut budget = Budget::default();
    for word in words.split(',') {
        let word = word.trim().to_ascii_lowercase();
        let twice = match word.strip_suffix("usd") {
            Some(usd) => budget.micros.replace(dollars(usd)?).is_some(),
            None => budget.tokens.replace(tokens(&word)?).is_some(),
        };
        if twice {
            return Err(RULE.into());
        }
    }
    Ok(budget)
}

fn dollars(word: &str) -> Result<u64, String> {
    let usd = word.trim().parse::<f64>().ok();
    let usd = usd.filter(|usd| (0.0..=1e9).contains(usd));
    usd.map(micros_of).ok_or_else(|| RULE.into())
}

fn tokens(word: &str) -> Result<u64, String> {
    let word = word.strip_suffix("tokens").unwrap_or(word).trim();
    let (digits, times) = match word.strip_suffix(['k', 'm']) {
        Some(digits) if word.ends_with('k') => (digits, 1_000.0),
        Some(digits) => (digits, 1_000_000.0),
        None => (word, 1.0),
    };
    let number = digits.trim().parse::<f64>().ok().map(|n| n * times);
    let whole = number.filter(|n| n.fract() == 0.0 && (0.0..=1e15).contains(n));
    whole.map(|n| n as u64).ok_or_else(|| RULE.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_dollars_are_read() {
        let read = |words| read(words).map(|budget| (budget.tokens, budget.micros));
        assert_eq!(read("200k"), Ok((Some(200_000), None)));
        assert_eq!(read("1.5M, 2usd"), Ok((Some(1_500_000), Some(2_000_000))));
        assert_eq!(read("0.25usd"), Ok((None, Some(250_000))));
        assert_eq!(read("50 tokens"), Ok((Some(50), None)));
        for bad in ["", "x", "-1", ".5", "1,2", "1usd,2usd", "nan", "1e99"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
