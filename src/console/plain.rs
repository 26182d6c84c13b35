//! Prints one frame as text, for pipes and simple terminals.

use super::feed::{fetch, output, since};
use super::messages::{LinkState, Update};
use super::model::Model;
use super::view::View;
use super::{StartOptions, views};
use crate::cli::{Context, Failure, HubClient, StreamItem, WatchStream};
use crate::terminal::text::width;
use kirosu_protocol::EventKind;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::time::Duration;

/// Size of a frame without a terminal.
const SIZE: (u16, u16) = (100, 30);
/// Time to wait for past events, which arrive at once or not at all.
const EVENTS_WAIT: Duration = Duration::from_millis(300);

/// Options of the plain output.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainOptions {
    /// Columns and lines; `None` means the size of the terminal.
    pub size: Option<(u16, u16)>,
}

/// Reads the data from the hub once and prints the frame.
///
/// # Errors
/// The hub cannot be reached or refuses, or standard output fails.
pub async fn plain(
    begin: &StartOptions,
    plain: PlainOptions,
    context: &Context,
) -> Result<u8, Failure> {
    let size = plain.size.or_else(terminal_size).unwrap_or(SIZE);
    begin.model("", size)?;
    let hub = context.connect().await?;
    let mut model = begin.model(hub.client.endpoint(), size)?;
    model.apply(Update::Link(LinkState::Up {
        version: String::new(),
    }));
    read(&hub, &mut model).await?;
    let mut frame = Buffer::empty(Rect::new(0, 0, size.0, size.1));
    views::draw(&mut model, &mut frame, false);
    context.screen.print(&text(&frame))?;
    Ok(0)
}

fn terminal_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col >= 40 && size.ws_row >= 10).then_some((size.ws_col, size.ws_row))
}

/// Reads all data of the current screen.
async fn read(hub: &HubClient, model: &mut Model) -> Result<(), Failure> {
    let (client, interest) = (&hub.client, model.interest());
    let mut updates = fetch::tasks(client, &interest).await?;
    updates.extend(fetch::pools(client, &interest).await?);
    updates.extend(fetch::tree(client, &interest).await?);
    updates.extend(fetch::inbox(client, &interest).await?);
    updates.extend(fetch::runs(client, &interest).await?);
    updates.extend(fetch::schedules(client, &interest).await?);
    updates.extend(fetch::task(client, &interest).await?);
    if let (View::Task, Some(id)) = (interest.view, interest.task) {
        let (output, _) = output::read(hub, id).await?;
        updates.push(Update::Output(id, output));
    }
    updates.into_iter().for_each(|update| model.apply(update));
    if interest.view == View::Events {
        read_events(hub, model).await?;
    }
    Ok(())
}

async fn read_events(hub: &HubClient, model: &mut Model) -> Result<(), Failure> {
    let params = since(hub, u64::from(model.size.1)).await?;
    let mut events = WatchStream::start(hub, params).await?;
    while let Ok(item) = tokio::time::timeout(EVENTS_WAIT, events.next()).await {
        if let StreamItem::Event(event) = item?
            && !matches!(event.what, EventKind::Step { .. })
        {
            model.apply(Update::Event(event));
        }
    }
    Ok(())
}

/// The frame's characters, without trailing blanks and blank lines.
pub fn text(frame: &Buffer) -> String {
    let mut text = String::new();
    for y in frame.area.rows() {
        let mut line = String::new();
        let mut hidden = 0;
        for at in y.columns() {
            let symbol = frame[(at.x, at.y)].symbol();
            // A wide character is followed by an unused cell.
            if hidden == 0 {
                line.push_str(symbol);
                hidden = width(symbol).saturating_sub(1);
            } else {
                hidden -= 1;
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}
