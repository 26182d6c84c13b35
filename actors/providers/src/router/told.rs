//! What a member tells, as the whole run tells it: conversations under the member's name, figures with those before.

use crate::event::{RunEvent, RunUsage};
use crate::outcome::Conversation;

/// The conversation as its member knows it; none where it is another's.
pub(super) fn own(member: &str, conversation: Conversation) -> Option<Conversation> {
    let (name, session) = conversation.session.split_once(':')?;
    (name == member).then(|| Conversation {
        session: session.to_owned(),
        total: conversation.total.clone(),
    })
}

pub(super) fn sign(member: &str, conversation: &mut Option<Conversation>) {
    if let Some(conversation) = conversation {
        conversation.session = format!("{member}:{}", conversation.session);
    }
}

/// A member's event as one of the whole run.
pub(super) fn signed(member: &str, before: Option<&RunUsage>, event: RunEvent) -> RunEvent {
    let named = |session: String| format!("{member}:{session}");
    match event {
        RunEvent::Started {
            pid,
            session,
            model,
        } => RunEvent::Started {
            pid,
            session: session.map(named),
            model,
        },
        RunEvent::Session { session } => RunEvent::Session {
            session: named(session),
        },
        RunEvent::Usage { usage } => RunEvent::Usage {
            usage: add(before.cloned().unwrap_or_default(), usage),
        },
        event => event,
    }
}

pub(super) fn sum(before: Option<RunUsage>, usage: Option<RunUsage>) -> Option<RunUsage> {
    match (before, usage) {
        (Some(before), Some(usage)) => Some(add(before, usage)),
        (before, usage) => before.or(usage),
    }
}

fn add(mut before: RunUsage, usage: RunUsage) -> RunUsage {
    before.input = before.input.saturating_add(usage.input);
    before.cache_read = before.cache_read.saturating_add(usage.cache_read);
    before.cache_write = before.cache_write.saturating_add(usage.cache_write);
    before.output = before.output.saturating_add(usage.output);
    before.reasoning = before.reasoning.saturating_add(usage.reasoning);
    before.cost_micros = match (before.cost_micros, usage.cost_micros) {
        (Some(before), Some(cost)) => Some(before.saturating_add(cost)),
        (before, cost) => before.or(cost),
    };
    before
}
