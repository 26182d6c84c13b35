//! One frame as text, for pipes and for terminals that can do no more.

use super::feed::{fetch, output, since};
use super::model::{Model, View};
use super::news::{Link, News};
use super::{Begin, views};
use crate::cli::connect::{Context, Hub};
use crate::cli::events::{Events, Heard};
use crate::cli::failure::Failure;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use std::time::Duration;

/// A frame's size where no terminal says one.
const SIZE: (u16, u16) = (100, 30);
/// How long past events are waited for: they come at once or not at all.
const EVENTS_WAIT: Duration = Duration::from_millis(300);

/// How to print.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain {
    /// Columns and lines.
    pub size: Option<(u16, u16)>,
}

/// Asks the hub once and prints what would be on the screen.
pub async fn plain(begin: &Begin, plain: Plain, context: &Context) -> Result<u8, Failure> {
    let size = plain.size.or_else(terminal_size).unwrap_or(SIZE);
    begin.model("", size)?;
    let hub = context.connect().await?;
    let mut model = begin.model(hub.client.endpoint(), size)?;
    model.hear(News::Link(Link::Up {
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

/// Reads all that is on the screen.
async fn read(hub: &Hub, model: &mut Model) -> Result<(), Failure> {
    let (client, want) = (&hub.client, model.want());
    let mut news = fetch::tasks(client, &want).await?;
    news.extend(fetch::agents(client, &want).await?);
    news.extend(fetch::tree(client, &want).await?);
    news.extend(fetch::inbox(client, &want).await?);
    news.extend(fetch::task(client, &want).await?);
    if let (View::Task, Some(id)) = (want.view, want.task) {
        let (output, _) = output::read(hub, id).await?;
        news.push(News::Output(id, output));
    }
    news.into_iter().for_each(|news| model.hear(news));
    if want.view == View::Events {
        read_events(hub, model).await?;
    }
    Ok(())
}

async fn read_events(hub: &Hub, model: &mut Model) -> Result<(), Failure> {
    let ask = since(hub, u64::from(model.size.1)).await?;
    let mut events = Events::start(hub, ask).await?;
    while let Ok(heard) = tokio::time::timeout(EVENTS_WAIT, events.next()).await {
        if let Heard::Event(event) = heard? {
            model.hear(News::Event(event));
        }
    }
    Ok(())
}

/// The frame's characters, without blanks at the ends of lines and of the frame.
pub fn text(frame: &Buffer) -> String {
    let mut text = String::new();
    for y in frame.area.rows() {
        let mut line = String::new();
        let mut hidden = 0;
        for at in y.columns() {
            let symbol = frame[(at.x, at.y)].symbol();
            // The cell behind a wide character is not there.
            if hidden == 0 {
                line.push_str(symbol);
                hidden = Span::raw(symbol).width().saturating_sub(1);
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
