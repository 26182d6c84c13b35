//! One flat JSON object per line. The fields of the surrounding spans are next to the event's own, so that a filter by
//! `task_id` works for every line.

use serde_json::{Map, Value, json};
use std::fmt;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The format.
pub struct FlatJson;

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let meta = event.metadata();
        // Written by hand so that these three come first, for people who read the lines.
        write!(
            writer,
            "{{\"timestamp\":{},\"level\":{},\"target\":{}",
            json!(time),
            json!(meta.level().as_str()),
            json!(meta.target())
        )?;
        let mut fields = Map::new();
        let mut add = |recorded: &str| {
            if let Ok(Value::Object(recorded)) = serde_json::from_str(recorded) {
                fields.extend(recorded);
            }
        };
        // From the outermost span inwards, then the event: the innermost value wins.
        for span in ctx
            .event_scope()
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(recorded) = span.extensions().get::<FormattedFields<JsonFields>>() {
                add(recorded);
            }
        }
        let mut own = String::new();
        ctx.format_fields(Writer::new(&mut own), event)?;
        add(&own);
        for (name, value) in &fields {
            write!(writer, ",{}:{value}", json!(name))?;
        }
        writeln!(writer, "}}")
    }
}
