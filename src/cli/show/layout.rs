//! Which columns of a table a terminal has room for, and how wide each is.

use super::table::Column;

/// Columns between two columns.
pub const GAP: usize = 2;
/// A column that can shrink keeps at least this much.
const LEAST: usize = 12;
/// As long as those that can shrink have not this much, columns that yield are left out.
const COMFORT: usize = 24;

/// A column that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its index among all columns.
    pub column: usize,
    /// Its width.
    pub width: usize,
}

/// Fits the columns (each with its natural width) into `room`. Columns that yield go first; then those that shrink give
/// way, the widest first, so that a short one is not cut for a long one's sake.
pub fn fit(columns: &[Column], mut places: Vec<Place>, room: usize) -> Vec<Place> {
    let shrinks = |place: &Place| columns[place.column].shrinks;
    loop {
        let wanted = |place: &Place| match shrinks(place) {
            true => place.width.min(COMFORT),
            false => place.width,
        };
        if total(&places, wanted) <= room {
            break;
        }
        let yields = |at: &usize| columns[places[*at].column].yields;
        match (0..places.len())
            .filter(|at| yields(at) > 0)
            .max_by_key(yields)
        {
            Some(at) => places.remove(at),
            None => break,
        };
    }
    loop {
        let over = total(&places, |place| place.width).saturating_sub(room);
        let mut wide: Vec<usize> = (0..places.len())
            .filter(|at| shrinks(&places[*at]) && places[*at].width > LEAST)
            .collect();
        wide.sort_by_key(|at| std::cmp::Reverse(places[*at].width));
        let Some((widest, others)) = wide.split_first().filter(|_| over > 0) else {
            return places;
        };
        let next = others.first().map_or(LEAST, |at| places[*at].width);
        let step = places[*widest].width - next.max(LEAST);
        places[*widest].width -= over.min(step.max(1));
    }
}

fn total(places: &[Place], width: impl Fn(&Place) -> usize) -> usize {
    places.iter().map(width).sum::<usize>() + GAP * places.len().saturating_sub(1)
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
        let places = widths.iter().enumerate();
        let places = places.map(|(column, width)| Place {
            column,
            width: *width,
        });
        let places = fit(&COLUMNS, places.collect(), room);
        places
            .iter()
            .map(|place| (place.column, place.width))
            .collect()
    }

    #[test]
    fn the_widest_gives_way_and_what_yields_goes() {
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
    fn never_wider_than_the_room_while_something_can_shrink() {
        for room in 31..200 {
            let places = fitted([3, 10, 70, 30], room);
            let used: usize = places.iter().map(|(_, width)| width).sum();
            assert!(used + 2 * (places.len() - 1) <= room, "{room}: {places:?}");
        }
    }
}
