//! Translates a member's events for the whole run: conversations get the member's name, figures include earlier members.

use crate::event::{RunEvent, RunUsage};
use crate::outcome::Conversation;

/// The conversation as its member knows it. `None` where it belongs to another member.
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

/// The event of a member as an event of the whole run.
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
            usage: sum(before.cloned(), Some(usage)).unwrap_or_default(),
        },
        event => event,
    }
}

pub(super) fn sum(before: Option<RunUsage>, usage: Option<RunUsage>) -> Option<RunUsage> {
    match (before, usage) {
        (Some(mut before), Some(usage)) => {
            before.add(&usage);
            Some(before)
        }
        (before, usage) => before.or(usage),
    }
}
