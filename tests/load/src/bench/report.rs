//! One plain table, or one JSON document.

use serde_json::{Value, json};

/// The target of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// The ratio, at least.
    RatioAtLeast(f64),
    /// The ratio, at most.
    RatioAtMost(f64),
    /// The value itself, at most.
    AtMost(f64),
}

/// One line of the table.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The measurement.
    pub what: String,
    /// The unit of the values.
    pub unit: &'static str,
    /// The hub's figure.
    pub value: f64,
    /// The name and figure of the comparison.
    pub beside: Option<(String, f64)>,
    /// The hub's figure divided by the other's; the median of the runs' own ratios where there were several.
    pub ratio: Option<f64>,
    /// The target.
    pub target: Option<Target>,
    /// Every run's figure, for whoever distrusts medians.
    pub runs: Vec<f64>,
}

impl Row {
    /// A figure without a comparison.
    pub fn new(what: impl Into<String>, unit: &'static str, value: f64) -> Row {
        Row {
            what: what.into(),
            unit,
            value,
            ..Row::default()
        }
    }

    /// The same compared with another figure.
    pub fn beside(mut self, name: impl Into<String>, value: f64) -> Row {
        self.beside = Some((name.into(), value));
        self.ratio = (value > 0.0).then(|| self.value / value);
        self
    }

    /// The same with a target.
    pub fn target(mut self, target: Target) -> Row {
        self.target = Some(target);
        self
    }

    /// Whether the target is met; `None` without one, or where there was nothing to compare with.
    pub fn met(&self) -> Option<bool> {
        match self.target? {
            Target::RatioAtLeast(least) => Some(self.ratio? >= least),
            Target::RatioAtMost(most) => Some(self.ratio? <= most),
            Target::AtMost(most) => Some(self.value <= most),
        }
    }

    fn cells(&self) -> [String; 6] {
        let target = match self.target {
            None => String::new(),
            Some(Target::RatioAtLeast(least)) => format!("ratio >= {least}"),
            Some(Target::RatioAtMost(most)) => format!("ratio <= {most}"),
            Some(Target::AtMost(most)) => format!("<= {most} {}", self.unit),
        };
        let beside = self.beside.as_ref();
        [
            self.what.clone(),
            format!("{} {}", figure(self.value), self.unit),
            beside.map_or_else(String::new, |(name, value)| {
                format!("{name} {}", figure(*value))
            }),
            self.ratio
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            target,
            match self.met() {
                None => "",
                Some(true) => "met",
                Some(false) => "MISSED",
            }
            .to_owned(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what, "unit": self.unit, "value": self.value, "runs": self.runs,
            "beside": self.beside.as_ref().map(|(name, value)| json!({"what": name, "value": value})),
            "ratio": self.ratio, "met": self.met(),
            "target": self.target.map(|target| match target {
                Target::RatioAtLeast(least) => json!({"ratio_at_least": least}),
                Target::RatioAtMost(most) => json!({"ratio_at_most": most}),
                Target::AtMost(most) => json!({"at_most": most}),
            }),
        })
    }
}

/// Large figures without decimals, small ones with three digits that count.
fn figure(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// Everything one run of the tool found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The circumstances, as name and value.
    pub circumstances: Vec<(&'static str, String)>,
    /// The figures.
    pub rows: Vec<Row>,
}

impl Report {
    /// Adds a figure, and says it at once on standard error: a whole run takes minutes.
    pub fn add(&mut self, row: Row) {
        let cells = row.cells();
        eprintln!("  {}", cells.join("  ").trim_end());
        self.rows.push(row);
    }

    /// Figures that missed their target.
    pub fn missed(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.met() == Some(false))
            .count()
    }

    /// The table, circumstances first.
    pub fn table(&self) -> String {
        let head = ["what", "kirosu", "beside", "ratio", "target", ""].map(str::to_owned);
        let lines: Vec<[String; 6]> = std::iter::once(head)
            .chain(self.rows.iter().map(Row::cells))
            .collect();
        let width = |column: usize| {
            let cells = lines.iter().map(|line| line[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: [usize; 6] = std::array::from_fn(width);
        let mut text: String = self
            .circumstances
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        for line in &lines {
            text.push('\n');
            let cells = line.iter().zip(widths);
            let cells: Vec<String> = cells.map(|(cell, w)| format!("{cell:<w$}")).collect();
            text.push_str(cells.join("  ").trim_end());
        }
        text
    }

    /// The same as one JSON document.
    pub fn json(&self) -> Value {
        let circumstances: serde_json::Map<String, Value> = self
            .circumstances
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        json!({
            "circumstances": circumstances,
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        })
    }
}
