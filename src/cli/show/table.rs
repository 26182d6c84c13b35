//! Tables: aligned and cut to the terminal's width for people, tab-separated and whole for programs.

use super::paint::Paint;
use super::text::{fit, one_line, width};
use super::{Failure, Screen};

/// Columns between two columns.
const GAP: usize = 2;
/// A column that can shrink keeps at least this much.
const LEAST: usize = 12;

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// Numbers stand to the right.
    pub right: bool,
    /// Gives way when the terminal is too narrow.
    pub shrinks: bool,
    /// Left out on a terminal while every cell holds this.
    pub dull: Option<&'static str>,
}

impl Column {
    /// Text that is shown whole.
    pub const fn text(name: &'static str) -> Column {
        Column {
            name,
            right: false,
            shrinks: false,
            dull: Some(""),
        }
    }

    /// A number.
    pub const fn number(name: &'static str) -> Column {
        Column {
            right: true,
            ..Column::text(name)
        }
    }

    /// Text that is cut where the room ends.
    pub const fn long(name: &'static str) -> Column {
        Column {
            shrinks: true,
            ..Column::text(name)
        }
    }

    /// Left out on a terminal while every cell holds `value`.
    pub const fn unless(self, value: &'static str) -> Column {
        Column {
            dull: Some(value),
            ..self
        }
    }
}

/// One cell: what people see, and what programs get where that differs.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    exact: Option<String>,
    paint: Paint,
}

impl Cell {
    /// The same text for people and programs.
    pub fn new(text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            exact: None,
            paint: Paint::Plain,
        }
    }

    /// Painted.
    pub fn painted(self, paint: Paint) -> Cell {
        Cell { paint, ..self }
    }

    /// With what programs get instead, such as a moment for `3 s ago`.
    pub fn exact(self, text: impl Into<String>) -> Cell {
        Cell {
            exact: Some(text.into()),
            ..self
        }
    }
}

/// A table under construction.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: impl Into<Vec<Column>>) -> Table {
        Table {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: one cell a column.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// Prints it.
    pub fn print(&self, screen: &Screen) -> Result<(), Failure> {
        screen.print(&self.render(screen.width, screen.colour))
    }

    /// As text: for a terminal of that many columns, or for a program.
    pub fn render(&self, columns: Option<usize>, colour: bool) -> String {
        match columns {
            Some(columns) => self.aligned(columns, colour),
            None => self.separated(),
        }
    }

    fn separated(&self) -> String {
        let line = |row: &Vec<Cell>| {
            let cell = |c: &Cell| one_line(c.exact.as_ref().unwrap_or(&c.text));
            row.iter().map(cell).collect::<Vec<_>>().join("\t") + "\n"
        };
        self.rows.iter().map(line).collect()
    }

    fn aligned(&self, room: usize, colour: bool) -> String {
        let texts: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| one_line(&cell.text)).collect())
            .collect();
        let shown: Vec<usize> = (0..self.columns.len())
            .filter(|at| {
                let dull =
                    |row: &Vec<String>| row.get(*at).map(String::as_str) == self.columns[*at].dull;
                texts.is_empty() || !texts.iter().all(dull)
            })
            .collect();
        let widths = self.widths(&shown, &texts, room);
        let heads = shown.iter().map(|at| (self.columns[*at].name, Paint::Dim));
        let mut text = self.line(&shown, &widths, heads, colour);
        for (row, cells) in texts.iter().zip(&self.rows) {
            let cells = shown.iter().map(|at| (row[*at].as_str(), cells[*at].paint));
            text.push_str(&self.line(&shown, &widths, cells, colour));
        }
        text
    }

    /// Natural widths; where they do not fit, the columns that may shrink share what is left.
    fn widths(&self, shown: &[usize], texts: &[Vec<String>], room: usize) -> Vec<usize> {
        let natural = |at: &usize| {
            let cells = texts.iter().map(|row| width(&row[*at]));
            cells
                .chain([width(self.columns[*at].name)])
                .max()
                .unwrap_or(0)
        };
        let mut widths: Vec<usize> = shown.iter().map(natural).collect();
        let gaps = GAP * shown.len().saturating_sub(1);
        // The widest gives way first, so that a short column is not cut for a long one's sake.
        while widths.iter().sum::<usize>() + gaps > room {
            let widest = (0..widths.len())
                .filter(|i| self.columns[shown[*i]].shrinks && widths[*i] > LEAST)
                .max_by_key(|i| widths[*i]);
            let Some(i) = widest else { break };
            let second = (0..widths.len())
                .filter(|j| *j != i && self.columns[shown[*j]].shrinks)
                .map(|j| widths[j])
                .max()
                .unwrap_or(0);
            let over = widths.iter().sum::<usize>() + gaps - room;
            let step = over.min(widths[i].saturating_sub(second.max(LEAST))).max(1);
            widths[i] -= step;
        }
        widths
    }

    fn line<'a>(
        &self,
        shown: &[usize],
        widths: &[usize],
        cells: impl Iterator<Item = (&'a str, Paint)>,
        colour: bool,
    ) -> String {
        let mut line = String::new();
        let mut pending = 0;
        for ((text, paint), (at, wide)) in cells.zip(shown.iter().zip(widths)) {
            let text = match self.columns[*at].shrinks {
                true => fit(text, *wide),
                false => text.to_owned(),
            };
            let pad = wide.saturating_sub(width(&text));
            let (before, after) = if self.columns[*at].right {
                (pad, 0)
            } else {
                (0, pad)
            };
            line.push_str(&" ".repeat(pending + before));
            line.push_str(&paint.on(&text, colour));
            pending = after + GAP;
        }
        let end = line.trim_end().len();
        line.truncate(end);
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new([
            Column::number("ID"),
            Column::text("STATUS"),
            Column::text("QUEUE").unless("default"),
            Column::long("PROMPT"),
        ]);
        let cell = Cell::new;
        table.row([
            cell("7"),
            cell("done"),
            cell("default"),
            cell("a prompt that\nis rather long"),
        ]);
        table.row([cell("123"), cell("queued"), cell("default"), cell("short")]);
        table
    }

    #[test]
    fn fits_the_terminal_and_leaves_out_what_tells_nothing() {
        assert_eq!(
            sample().render(Some(30), false),
            " ID  STATUS  PROMPT\n  7  done    a prompt that is…\n123  queued  short\n"
        );
        let wide = sample().render(Some(200), false);
        assert!(wide.contains("a prompt that is rather long\n"), "{wide}");
    }

    #[test]
    fn programs_get_everything_between_tabs() {
        assert_eq!(
            sample().render(None, false),
            "7\tdone\tdefault\ta prompt that is rather long\n123\tqueued\tdefault\tshort\n"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_while_there_is_something_to_shrink() {
        for room in 40..120 {
            let mut table =
                Table::new([Column::number("ID"), Column::long("A"), Column::long("B")]);
            table.row([
                Cell::new("1"),
                Cell::new("x".repeat(70)),
                Cell::new("y".repeat(30)),
            ]);
            for line in table.render(Some(room), false).lines() {
                assert!(width(line) <= room, "{room}: {line}");
            }
        }
    }
}
