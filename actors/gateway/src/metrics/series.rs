//! Metrics of the gateway itself, as the hub's answer has them.

use kirosu_protocol::Metric;

/// A metric without labels. It is a counter if its name ends in `_total`, else a gauge.
pub(super) fn plain(name: &str, help: &str, value: f64) -> Metric {
    let kind = match name.ends_with("_total") {
        true => "counter",
        false => "gauge",
    };
    Metric {
        name: name.into(),
        kind: kind.into(),
        help: help.into(),
        value,
        ..Metric::default()
    }
}
