//! Prometheus' text format, version 0.0.4.

use kirosu_protocol::Metric;
use std::fmt::{self, Display, Formatter, Write};

/// The format's content type.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics as text. Metrics of one name must be adjacent.
pub(super) fn page(metrics: &[Metric]) -> String {
    let mut out = String::with_capacity(metrics.len() * 96);
    let mut name = None;
    for metric in metrics {
        if name != Some(&metric.name) {
            name = Some(&metric.name);
            let help = Escaped(&metric.help, false);
            // Writing to a string cannot fail.
            let _ = writeln!(out, "# HELP {} {help}", metric.name);
            let _ = writeln!(out, "# TYPE {} {}", metric.name, metric.kind);
        }
        let _ = match metric.count {
            Some(count) => histogram(&mut out, metric, count),
            None => sample(&mut out, metric, "", None, metric.value),
        };
    }
    out
}

fn histogram(out: &mut String, metric: &Metric, count: u64) -> fmt::Result {
    for (bound, up_to) in &metric.buckets {
        sample(out, metric, "_bucket", Some(*bound), *up_to as f64)?;
    }
    sample(out, metric, "_bucket", Some(f64::INFINITY), count as f64)?;
    sample(out, metric, "_sum", None, metric.value)?;
    sample(out, metric, "_count", None, count as f64)
}

fn sample(
    out: &mut String,
    metric: &Metric,
    suffix: &str,
    bound: Option<f64>,
    value: f64,
) -> fmt::Result {
    write!(out, "{}{suffix}", metric.name)?;
    let mut open = '{';
    for (name, value) in &metric.labels {
        write!(out, "{open}{name}=\"{}\"", Escaped(value, true))?;
        open = ',';
    }
    if let Some(bound) = bound {
        write!(out, "{open}le=\"{}\"", SampleValue(bound))?;
        open = ',';
    }
    if open == ',' {
        out.write_char('}')?;
    }
    writeln!(out, " {}", SampleValue(value))
}

/// A number in the form of the format.
struct SampleValue(f64);

impl Display for SampleValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            bound if bound == f64::INFINITY => f.write_str("+Inf"),
            bound if bound == f64::NEG_INFINITY => f.write_str("-Inf"),
            number => write!(f, "{number}"),
        }
    }
}

/// A help text, or (`true`) the value of a label, in which quotation marks are escaped too.
struct Escaped<'a>(&'a str, bool);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.1 => f.write_str("\\\"")?,
                plain => f.write_char(plain)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, kind: &str, queue: &str, value: f64) -> Metric {
        Metric {
            name: name.into(),
            kind: kind.into(),
            help: "Says \"x\\y\".\nTwice.".into(),
            labels: [("queue".to_owned(), queue.to_owned())].into(),
            value,
            ..Metric::default()
        }
    }

    #[test]
    fn the_page_has_the_text_format() {
        let spread = Metric {
            count: Some(3),
            buckets: vec![(0.001, 1), (60.0, 2)],
            ..metric("b_seconds", "histogram", "q", 61.5)
        };
        let plain = Metric {
            labels: Default::default(),
            ..metric("c", "gauge", "", 16_777_216.0)
        };
        let metrics = [
            metric("a_total", "counter", "q", 3.0),
            metric("a_total", "counter", "ü \"\\\n", 0.5),
            spread,
            plain,
        ];
        let expected = r#"# HELP a_total Says "x\\y".\nTwice.
# TYPE a_total counter
a_total{queue="q"} 3
a_total{queue="ü \"\\\n"} 0.5
# HELP b_seconds Says "x\\y".\nTwice.
# TYPE b_seconds histogram
b_seconds_bucket{queue="q",le="0.001"} 1
b_seconds_bucket{queue="q",le="60"} 2
b_seconds_bucket{queue="q",le="+Inf"} 3
b_seconds_sum{queue="q"} 61.5
b_seconds_count{queue="q"} 3
# HELP c Says "x\\y".\nTwice.
# TYPE c gauge
c 16777216
"#;
        assert_eq!(page(&metrics), expected);
    }
}
