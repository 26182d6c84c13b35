//! The state of a run from a frame: limits, waits, and the end.

use serde_json::Value;

use super::FrameReader;
use crate::definition::{FailRule, FrameRule, OutputRules};
use crate::event::RunEvent;
use crate::limits::ReferenceTime;
use crate::output::outlook::{Outlook, ServiceWait};
use crate::output::{ReportedEnd, rules};

impl FrameReader {
    /// Reads limits of the account, and waits for its service.
    pub(super) fn limits(&mut self, output: &OutputRules, frame: &Value) {
        if let Some(data) = output.limit.iter().find_map(|it| valued(it, frame)) {
            self.limited = Some(data.clone());
        }
        let holds = |data: &Value, words: &str| match data {
            Value::String(text) => text.to_lowercase().contains(words),
            data => data.to_string().to_lowercase().contains(words),
        };
        let found = output.wait.iter().find_map(|wait| {
            let data = valued(&wait.rule, frame)?;
            holds(data, &wait.contains).then_some((data, wait.class))
        });
        if let Some((data, class)) = found {
            if let Value::String(text) = data {
                self.last_error.clone_from(text);
            }
            self.outlook = ServiceWait::of_data(data, class, &ReferenceTime::now());
        }
    }

    /// Reads good and bad ends. A bad end is final, unless the definition sets `last_word`.
    pub(super) fn endings(
        &mut self,
        output: &OutputRules,
        frame: &Value,
        events: &mut Vec<RunEvent>,
    ) {
        if matches!(self.terminal, ReportedEnd::Failed { .. }) && !output.last_word {
            return;
        }
        // Of several matching rules, the first that finds words counts.
        let mut found = output.fail.iter().filter_map(|fail| failed(fail, frame));
        let first = found.next();
        let has_words = |end: &ReportedEnd| matches!(end, ReportedEnd::Failed { message, class, .. } if class.is_some() || !message.trim().is_empty());
        let failed = match first {
            Some(end) if !has_words(&end) => Some(found.find(has_words).unwrap_or(end)),
            first => first,
        };
        if let Some(failed) = failed {
            if let ReportedEnd::Failed { message, .. } = &failed
                && !message.is_empty()
                && message.trim() != self.last.trim()
            {
                self.warn(message.clone(), events);
            }
            self.terminal = failed;
            self.outlook = Outlook::Ended;
            return;
        }
        if output
            .done
            .iter()
            .any(|rule| rules::first(rule, frame).is_some())
        {
            self.terminal = ReportedEnd::Done;
            self.outlook = Outlook::Ended;
        }
    }
}

/// The bad end that a rule finds in a frame.
fn failed(fail: &FailRule, frame: &Value) -> Option<ReportedEnd> {
    let (message, element) = rules::meant(&fail.rule, frame)
        .map(|element| {
            let message = rules::text(element, fail.rule.value.as_deref());
            (message.unwrap_or_default(), element)
        })
        .find(|(message, _)| message.to_lowercase().contains(&fail.contains))?;
    let status = fail.status.as_deref().and_then(|it| element.pointer(it));
    Some(ReportedEnd::Failed {
        message,
        status: status
            .and_then(|it| it.as_u64().or_else(|| it.as_str()?.trim().parse().ok()))
            .and_then(|it| u16::try_from(it).ok()),
        class: fail.class,
        frame: frame.clone(),
    })
}

/// The value of the first element that a rule selects; without a pointer the element itself.
fn valued<'v>(rule: &'v FrameRule, frame: &'v Value) -> Option<&'v Value> {
    let element = rules::first(rule, frame)?;
    element.pointer(rule.value.as_deref().unwrap_or_default())
}
