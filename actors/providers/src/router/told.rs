//! What a member tells, as the whole run tells it: conversations under the member's name, figures with those before.

use crate::event::{Event, Usage};
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
pub(super) fn signed(member: &str, before: Option<&Usage>, event: Event) -> Event {
    let named = |session: String| format!("{member}:{session}");
    match event {
        Event::Started {
            pid,
            session,
            model,
        } => Event::Started {
            pid,
            session: session.map(named),
            model,
        },
        Event::Session { session } => Event::Session {
            session: named(session),
        },
        Event::Usage { usage } => Event::Usage {
            usage: add(before.cloned().unwrap_or_default(), usage),
        },
        event => event,
    }
}

pub(super) fn sum(before: Option<Usage>, usage: Option<Usage>) -> Option<Usage> {
    match (before, usage) {
        (Some(before), Some(usage)) => Some(add(before, usage)),
        (before, usage) => before.or(usage),
    }
}

fn add(mut before: Usage, usage: Usage) -> Usage {
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
