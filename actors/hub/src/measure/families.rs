//! Series of metrics, grouped by name.

use kirosu_protocol::{Metric, MetricsAnswer};
use kirosu_store::Histogram;

/// All series so far, grouped by name.
#[derive(Default)]
pub(super) struct Families(Vec<Metric>);

/// The series of one name.
pub(super) struct Family<'a> {
    all: &'a mut Vec<Metric>,
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

impl Families {
    /// Begins a counter: a value that only grows.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// Begins a gauge: a value that grows and shrinks.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Begins a histogram: a distribution of values.
    pub(super) fn histogram(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &'static str, help: &'static str) -> Family<'_> {
        Family {
            all: &mut self.0,
            name,
            kind,
            help,
        }
    }

    /// The answer to `metrics`.
    pub(super) fn into_answer(self) -> MetricsAnswer {
        MetricsAnswer { metrics: self.0 }
    }
}

impl Family<'_> {
    /// Adds one series of a counter or gauge.
    pub(super) fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let metric = self.metric(labels, value);
        self.all.push(metric);
    }

    /// Adds one series of a histogram.
    pub(super) fn add_histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        let metric = Metric {
            count: Some(histogram.count()),
            buckets: histogram.cumulative(),
            ..self.metric(labels, histogram.sum())
        };
        self.all.push(metric);
    }

    fn metric(&self, labels: &[(&str, &str)], value: f64) -> Metric {
        Metric {
            name: self.name.into(),
            kind: self.kind.into(),
            help: self.help.into(),
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            value,
            ..Metric::default()
        }
    }
}
