//! The choice by the words of a task, where no provider decides.

use super::topology::Topology;

/// Words of each topology. Of two with as many words in a task, the earlier one is chosen.
const WORDS: [(Topology, &[&str]); 4] = [
    (
        Topology::Chain,
        &[
            "then",
            "afterwards",
            "finally",
            "first",
            "next",
            "outline",
            "stages",
            "steps",
            "->",
            "research",
        ],
    ),
    (
        Topology::Parallel,
        &[
            "each",
            "every",
            "all",
            "files",
            "documents",
            "records",
            "compare",
            "perspectives",
            "many",
            "several",
        ],
    ),
    (
        Topology::Iterative,
        &[
            "improve", "refine", "polish", "design", "draft", "article", "essay", "story", "blog",
            "quality", "creative", "until",
        ],
    ),
    (
        Topology::Autonomous,
        &[
            "monitor",
            "watch",
            "continuously",
            "simulate",
            "simulation",
            "react",
            "whenever",
            "autonomously",
            "explore",
            "investigate",
        ],
    ),
];

/// The topology that the words of a task suggest, and these words. Without any it is `single`.
pub fn choose(task: &str) -> (Topology, Vec<String>) {
    let words: Vec<String> = words(task).collect();
    let mut best = (Topology::Single, Vec::new());
    for (topology, known) in WORDS {
        let mut found: Vec<String> = words
            .iter()
            .filter(|word| known.contains(&word.as_str()))
            .cloned()
            .collect();
        found.extend(glob(task).filter(|_| topology == Topology::Parallel));
        found.dedup();
        if found.len() > best.1.len() {
            best = (topology, found);
        }
    }
    best
}

fn words(task: &str) -> impl Iterator<Item = String> + '_ {
    let is_mark = |c: char| !c.is_alphanumeric() && c != '-' && c != '>';
    let words = task.split(move |c: char| c.is_whitespace() || is_mark(c));
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The glob that a task names, such as `src/**/*.rs`: a word with a `*` and without quotation marks.
pub fn glob(task: &str) -> Option<String> {
    let words = task.split_whitespace();
    let mut words = words.map(|word| word.trim_matches(|c: char| "'\"`,;:()".contains(c)));
    let is_glob = |word: &&str| word.contains('*') && word.chars().any(char::is_alphanumeric);
    let safe = |word: &&str| !word.starts_with(['/', '-', '~']) && !word.contains(['\'', '"', '{']);
    words
        .find(|word| is_glob(word) && safe(word))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_task_decide() {
        for (task, expected) in [
            ("Fix the typo in README.md", Topology::Single),
            (
                "Research the market, then outline, then write it",
                Topology::Chain,
            ),
            ("Summarise each of the files", Topology::Parallel),
            ("Review src/**/*.rs", Topology::Parallel),
            ("Write a blog article, and polish it", Topology::Iterative),
            (
                "Watch the logs and react whenever one breaks",
                Topology::Autonomous,
            ),
            ("Then compare", Topology::Chain),
            ("", Topology::Single),
        ] {
            assert_eq!(choose(task).0, expected, "{task}");
        }
        assert_eq!(choose("Watch it, and react").1, ["watch", "react"]);
        // A word is not a part of another one.
        assert_eq!(choose("Authenticate the watchman").0, Topology::Single);
    }

    #[test]
    fn a_glob_is_found_among_words() {
        assert_eq!(
            glob("Read 'docs/**/*.md', please").as_deref(),
            Some("docs/**/*.md")
        );
        for none in ["2 * 3", "a b", "/etc/*.conf", "--*x"] {
            assert_eq!(glob(none), None, "{none}");
        }
    }
}
