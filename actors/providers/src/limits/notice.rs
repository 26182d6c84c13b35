//! Answers that consist of a limit's notice.

use std::sync::LazyLock;

use regex::Regex;

use super::categories;

/// Characters of a notice, at most.
const CHARS: usize = 400;
/// Output tokens that some programs count for a notice that no model wrote, at most.
const HANDFUL: u64 = 8;

/// The work of a run besides its answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WorkDone {
    /// A tool was called.
    pub(crate) used_tool: bool,
    /// Tokens of output and reasoning; `None` where the program does not report them.
    pub(crate) tokens: Option<u64>,
}

/// A plan's limit. A following "of", "is" or other word makes another sentence, which no pattern matches.
const PLAN: &str = concat!(
    r"(?:you(?:'ve| have)? (?:hit|reached|exceeded|exhausted|used up) (?:your|the) (?:[\w.'-]+ ){0,4}(?:limit|quota|cap|capacity)(?: (?:on|for) (?:this|the|your) (?:model|month|week|day|plan|billing period))?",
    r"|your (?:organization|account|plan|team) has reached its (?:[\w-]+ ){0,2}limit",
    r"|you(?:'re| are) out of (?:extra usage|credits)",
    r"|you(?:'ve| have)? used all (?:of )?your (?:[\w-]+ ){0,3}(?:usage|credits|requests|messages|quota)",
    r"|(?:(?:claude|ai|pro|max|free|opus|sonnet|kiro|codex|plan|account|monthly|weekly|daily|hourly|\d+-hour|usage|session|request|requests|spending) )+(?:limit|cap) (?:has been )?(?:reached|exceeded)",
    r"|(?:your )?credit balance is too low",
    r"|invalid api key · please run /login)",
);

/// Short sentences that a model may also write. They are a notice only without model output, or with a time.
const SHORT: &str = r"(?:(?:api )?(?:rate limit|limit|quota) (?:has been )?(?:reached|exceeded)|(?:429:? )?too many requests(?: \(429\))?|api error: \d{3}(?: overloaded| too many requests| service unavailable)?|api error: (?:connection error|request timed out)|prompt is too long)";

/// Words of a time and nothing else.
const TIME: &str = r"(?:(?:in|at|on|after|by|about|around|an?|and|half|the|next|one|two|three|four|five|six|today|tomorrow|midnight|noon|local|time|pacific|eastern|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?|(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)|seconds?|minutes?|hours?|days?|weeks?|[ap]\.?m\.?|utc|gmt|[a-z]{1,3}t|\d[\w:.+/-]*|\([\w/+: -]{1,40}\))[\s,.]*)+";

static WITH_TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let resets = r"(?:(?:your |the |it |they )?(?:(?:usage )?limit |quota |access )?(?:will )?(?:resets?|renews?|refreshes)|(?:please )?(?:or )?(?:try again|retry|wait|come back))";
    pattern(&format!(
        r"(?:{PLAN}|{SHORT})(?:\|\d{{10,13}}|[\s.!,;|·∙•:-]+{resets}:? {TIME})"
    ))
});
static KNOWN: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(PLAN));
static BARE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(SHORT));

/// A pattern for the sentence with optional advice after it. `None` when the pattern is invalid, which a test excludes.
fn pattern(sentence: &str) -> Option<Regex> {
    let advice = r"(?:(?:please )?(?:try again later|upgrade|visit|to (?:continue|get|increase|request)|contact|switch to|add |buy |purchase|request more|check your plan|/upgrade|/extra-usage|see https?://|https?://|or try again)[\s\S]{0,300})?";
    Regex::new(&format!(r"^{sentence}[\s.!,;|·∙•:-]*{advice}$")).ok()
}

/// Whether an answer consists of a limit's notice ("You've hit your limit · resets 3pm"): no tool ran, the model wrote at
/// most [`HANDFUL`] tokens, and the answer contains nothing else.
pub(crate) fn is_notice(answer: &str, work: WorkDone) -> bool {
    let answer = answer.trim();
    let tokens = work.tokens.unwrap_or(0);
    if work.used_tool || tokens > HANDFUL || answer.chars().count() > CHARS {
        return false;
    }
    let text = categories::normal(answer);
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let fits = |form: &Option<Regex>| form.as_ref().is_some_and(|it| it.is_match(text));
    fits(&WITH_TIME) || fits(&KNOWN) || tokens == 0 && fits(&BARE)
}

/// Sentences of a program without a login, normalised.
const LOGIN: &[&str] = &[
    "invalid api key",
    "please run /login",
    "not logged in",
    "you are not logged in",
    "please log in",
    "authentication required",
    "login required",
];

/// Whether a line of stderr states that a limit is reached or a login is missing, and nothing else. A program that keeps
/// running after it does nothing useful.
pub(crate) fn is_fatal(line: &str) -> bool {
    let text = categories::normal(line.trim());
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let text = ["error: ", "error] ", "fatal: ", "api error: "]
        .iter()
        .find_map(|it| text.strip_prefix(it))
        .unwrap_or(text);
    is_notice(text, WorkDone::default()) || LOGIN.iter().any(|it| text.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_notice_is_a_pattern() {
        assert!(WITH_TIME.is_some() && KNOWN.is_some() && BARE.is_some());
    }

    #[test]
    fn a_notice_is_the_whole_answer() {
        let few = WorkDone {
            tokens: Some(5),
            ..WorkDone::default()
        };
        for text in [
            "You've hit your limit · resets 3pm (Europe/Berlin)",
            "You've hit your limit · resets in 2 hours",
            "You've hit your session limit · resets 8:30pm (UTC)",
            "You've hit your usage limit. Try again at 5pm",
            "You've hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), or try again at 8:09 PM.",
            "You've hit your org's monthly usage limit",
            "You're out of extra usage · resets 5am",
            "5-hour limit reached ∙ resets 3pm",
            "Claude AI usage limit reached|1795892400",
            "> You've reached your monthly usage limit.\nUpgrade your plan.",
            "Monthly request limit reached",
            "Claude usage limit reached. Your limit will reset at 3pm (America/New_York).",
            "Opus weekly limit reached ∙ resets Oct 9 at 5pm (UTC)",
            "Your organization has reached its usage limit. Resets 3pm",
            "Limit reached · resets 3pm",
            "Credit balance is too low",
            "Invalid API key · Please run /login",
        ] {
            assert!(is_notice(text, few), "{text}");
            let used_tool = WorkDone {
                used_tool: true,
                ..WorkDone::default()
            };
            assert!(!is_notice(text, used_tool), "after a tool: {text}");
            let many = WorkDone {
                tokens: Some(40),
                ..WorkDone::default()
            };
            assert!(!is_notice(text, many), "written by a model: {text}");
        }
        // Sentences that a model may also write count only where no model wrote anything.
        for text in [
            "Rate limit exceeded",
            "Too many requests.",
            "API Error: 529 Overloaded",
        ] {
            assert!(is_notice(text, WorkDone::default()), "{text}");
            assert!(!is_notice(text, few), "{text}");
        }
    }

    #[test]
    fn a_fatal_line_contains_nothing_else() {
        for line in [
            "Invalid API key · Please run /login",
            "Error: Claude usage limit reached. Resets in 2 hours",
            "[ERROR] Not logged in",
        ] {
            assert!(is_fatal(line), "{line}");
        }
        for line in [
            "[warn] rate limit headers missing",
            "warning: not logged in to the registry",
            "retrying: usage limit reached",
        ] {
            assert!(!is_fatal(line), "{line}");
        }
    }

    #[test]
    fn an_answer_about_limits_is_an_answer() {
        for text in [
            "Too many requests is HTTP status 429.",
            "Too Many Requests (429) means that the client has sent too many requests in a given time.",
            "Rate limit exceeded: the handler now lives in src/http.rs; all tests pass.",
            "Rate limit exceeded: the handler resets at 3pm now.",
            "Quota exceeded is what the server says when the disk is full.",
            "Usage limit reached is shown in the banner now, see app.tsx.",
            "You've hit your limit of three retries in the test; I raised it to five.",
            "You exceeded your quota check: moved to billing.py.",
            "You've used all your memory in test 3: fixed the leak.",
            "Claude's page now shows 'usage limit reached' in red.",
            "Weekly limit reached page: added.",
            "Usage limit reached · resets button added",
            "Usage limit reached: resets in the new handler",
            "Sonnet 18 has a limit reached in line 4.",
            "I added a rate limit of 5 requests per second to the client.",
            "Done. The test now prints: You've hit your usage limit",
            "fine",
            "",
        ] {
            assert!(!is_notice(text, WorkDone::default()), "{text}");
        }
    }
}
