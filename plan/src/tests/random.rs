//! Random texts and changed plans: no panic, and each fault has a position in the text.

use super::EXAMPLE;
use crate::{PlanFormat, RenderLimits, compile, mermaid, render, tree};
use proptest::prelude::*;

/// Compiles a text and checks the positions of its faults.
fn examine(text: &str) {
    for format in [PlanFormat::Yaml, PlanFormat::Toml] {
        match compile(text, format) {
            Ok(plan) => {
                let again = serde_json::from_str(&plan.canonical()).unwrap();
                assert_eq!(plan, again);
                let _ = (tree(&plan), mermaid(&plan));
            }
            Err(faults) => {
                assert!(!faults.0.is_empty());
                let lines: Vec<&str> = text.split('\n').collect();
                for fault in &faults.0 {
                    let line = lines.get(fault.place.line.wrapping_sub(1));
                    let columns = line.map(|line| line.chars().count() + 1);
                    let is_inside =
                        columns.is_some_and(|columns| (1..=columns).contains(&fault.place.column));
                    assert!(is_inside, "{fault} in {text:?}");
                    assert!(!fault.message.is_empty());
                }
            }
        }
    }
}

/// Words that lead far into the rules.
const WORDS: [&str; 40] = [
    "pipeline:",
    "steps:",
    "- ",
    "id: a",
    "id: b",
    "\n",
    "\n  ",
    "\n    ",
    "prompt: x",
    "depends_on: [a]",
    "needs: b",
    "map: {over: [1]}",
    "over:",
    "{",
    "}",
    "[",
    "]",
    ", ",
    ": ",
    "\"",
    "'",
    "{{ steps.a.result }}",
    "{{ item }}",
    "{% for x in results %}",
    "&a ",
    "*a",
    "loop: {max: 3}",
    "race:",
    "limits: {depth: 9}",
    "inputs: {a: {}}",
    "if: steps.b.state",
    "é",
    "|\n",
    "timeout: 1h",
    "```\n",
    "config:",
    "vote: {n: 99}",
    "# ",
    "\t",
    "<<: ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        examine(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn random_words(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60)) {
        examine(&words.concat());
    }

    #[test]
    fn changed_plans(
        changes in prop::collection::vec((0..3usize, 0..2000usize, 0..40usize, prop::sample::select(&WORDS[..])), 1..4),
    ) {
        let mut text = EXAMPLE.to_owned();
        for (kind, at, length, word) in changes {
            let boundary = |mut at: usize| {
                at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let (start, end) = (boundary(at), boundary(at + length));
            match kind {
                0 => text.replace_range(start..end, ""),
                1 => text.insert_str(start, word),
                _ => text.replace_range(start..end, word),
            }
        }
        examine(&text);
    }

    #[test]
    fn random_templates(words in prop::collection::vec(prop::sample::select(&[
        "{{ ", " }}", "{% ", " %}", "if ", "for r in results", "endfor", "endif", "set x = ", "steps.a.result", "x", " | cut(3)",
        " | tojson", "[", "]", "(", ")", "'", "\n", "é", "{#", "#}", "r.json", "loop.index", " ~ ", " * 9", "range(9)", "-",
    ][..]), 0..40)) {
        let context = serde_json::json!({
            "steps": {"a": {"result": "r"}}, "results": [{"json": 1}], "x": "y",
        });
        let limits = RenderLimits { fuel: 5000, ..RenderLimits::default() };
        let _ = render(&words.concat(), &context, &limits);
    }
}

/// A plan in which each step depends on the one before.
fn chain(steps: usize) -> String {
    let step = |n: usize| {
        format!(
            "- {{id: s{n}, prompt: x, needs: s{}}}\n",
            n.saturating_sub(1)
        )
    };
    let steps: String = (1..steps).map(step).collect();
    format!("limits: {{steps: 1000}}\npipeline:\n- {{id: s0, prompt: x}}\n{steps}")
}

#[test]
fn deep_and_large_texts() {
    for text in [
        "[".repeat(1 << 20),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        format!("pipeline:\n{}", "- {id: a, prompt: x}\n".repeat(40_000)),
        chain(25_000),
        chain(1000),
        format!(
            "pipeline: [{{id: a, prompt: x, needs: [{}]}}]",
            "qwertz, ".repeat(90_000)
        ),
        format!(
            "pipeline: [{{id: a, prompt: '{}'}}]",
            "{{ qwertz }}".repeat(80_000)
        ),
        format!(
            "pipeline: [{{id: a, prompt: '{}'}}]",
            "{% if a %}".repeat(80_000)
        ),
        format!(
            "pipeline: [{{id: a, prompt: '{{% if a %}}{}'}}]",
            "{% elif a %}".repeat(80_000)
        ),
        format!(
            "pipeline: [{{id: a, prompt: '{{{{ a{} }}}}'}}]",
            ".a".repeat(80_000)
        ),
        format!(
            "pipeline: [{{id: a, prompt: '{}'}}]",
            "{{ (".repeat(100_000)
        ),
        format!(
            "pipeline: [{{id: a, prompt: x, if: '{}'}}]",
            "not ".repeat(100_000)
        ),
        "a.".repeat(100_000),
        "x".repeat((1 << 20) + 1),
    ] {
        examine(&text);
    }
}
