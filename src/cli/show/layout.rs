//! Selects the columns of a table that fit on a terminal, and their widths.

use super::table::Column;

/// Blank columns between two columns.
pub const GAP: usize = 2;
/// Minimum width of a column that shrinks.
const LEAST: usize = 12;
/// Columns that yield are left out until each shrinking column can have this width, or its natural one.
const COMFORT: usize = 24;

/// The width of a column that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnWidth {
    /// Index of the column in the table.
    pub column: usize,
    /// Width in terminal columns.
    pub width: usize,
}

/// Fits the columns, given with their natural widths, into `room`. First, columns that yield are left out. Then columns
/// that shrink are cut, the widest first, so that a short column is not cut while a longer one could be.
pub fn fit(columns: &[Column], mut widths: Vec<ColumnWidth>, room: usize) -> Vec<ColumnWidth> {
    let shrinks = |it: &ColumnWidth| columns[it.column].shrinks;
    loop {
        let wanted = |it: &ColumnWidth| match shrinks(it) {
            true => it.width.min(COMFORT),
            false => it.width,
        };
        if total(&widths, wanted) <= room {
            break;
        }
        let yields = |at: &usize| columns[widths[*at].column].yields;
        match (0..widths.len())
            .filter(|at| yields(at) > 0)
            .max_by_key(yields)
        {
            Some(at) => widths.remove(at),
            None => break,
        };
    }
    loop {
        let over = total(&widths, |it| it.width).saturating_sub(room);
        let mut shrinking: Vec<usize> = (0..widths.len())
            .filter(|at| shrinks(&widths[*at]) && widths[*at].width > LEAST)
            .collect();
        shrinking.sort_by_key(|at| std::cmp::Reverse(widths[*at].width));
        let Some((widest, others)) = shrinking.split_first().filter(|_| over > 0) else {
            return widths;
        };
        let next = others.first().map_or(LEAST, |at| widths[*at].width);
        let step = widths[*widest].width - next.max(LEAST);
        widths[*widest].width -= over.min(step.max(1));
    }
}

fn total(widths: &[ColumnWidth], width: impl Fn(&ColumnWidth) -> usize) -> usize {
    widths.iter().map(width).sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::number("ID"),
        Column::text("WORKER").yields(1),
        Column::long("A"),
        Column::long("B"),
    ];

    fn fitted(widths: [usize; 4], room: usize) -> Vec<(usize, usize)> {
        let widths = widths.iter().enumerate();
        let widths = widths.map(|(column, width)| ColumnWidth {
            column,
            width: *width,
        });
        let widths = fit(&COLUMNS, widths.collect(), room);
        widths.iter().map(|it| (it.column, it.width)).collect()
    }

    #[test]
    fn the_widest_column_shrinks_and_yielding_columns_are_left_out() {
        assert_eq!(
            fitted([3, 10, 30, 40], 100),
            [(0, 3), (1, 10), (2, 30), (3, 40)]
        );
        assert_eq!(
            fitted([3, 10, 30, 90], 100),
            [(0, 3), (1, 10), (2, 30), (3, 51)]
        );
        assert_eq!(
            fitted([3, 10, 80, 90], 100),
            [(0, 3), (1, 10), (2, 40), (3, 41)]
        );
        assert_eq!(fitted([3, 10, 80, 90], 60), [(0, 3), (2, 26), (3, 27)]);
        assert_eq!(
            fitted([3, 10, 14, 90], 60),
            [(0, 3), (1, 10), (2, 14), (3, 27)]
        );
    }

    #[test]
    fn a_table_fits_while_a_column_can_shrink() {
        for room in 31..200 {
            let widths = fitted([3, 10, 70, 30], room);
            let used: usize = widths.iter().map(|(_, width)| width).sum();
            assert!(used + 2 * (widths.len() - 1) <= room, "{room}: {widths:?}");
        }
    }
}
