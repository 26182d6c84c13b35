//! A histogram with fixed bounds: one binary search and two additions per observation, no allocation.

/// Observations by size.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// Observations per bucket, including the one beyond the last bound; not cumulative.
    counts: Box<[u64]>,
    sum: f64,
}

impl Histogram {
    /// An empty histogram. `bounds` are the inclusive upper bounds of the buckets, ascending.
    pub fn new(bounds: &'static [f64]) -> Histogram {
        Histogram {
            bounds,
            counts: vec![0; bounds.len() + 1].into(),
            sum: 0.0,
        }
    }

    /// Counts one observation.
    pub fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }

    /// The number of observations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all observed values.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Each bound with the number of observations up to it. Observations beyond the last bound are in
    /// [`count`](Self::count) only.
    pub fn cumulative(&self) -> Vec<(f64, u64)> {
        let mut up_to = 0;
        let buckets = self.bounds.iter().zip(&self.counts);
        buckets
            .map(|(bound, count)| {
                up_to += count;
                (*bound, up_to)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_within_it_and_the_last_bucket_is_open() {
        let mut histogram = Histogram::new(&[1.0, 10.0]);
        [0.0, 1.0, 1.5, 10.0, 11.0]
            .into_iter()
            .for_each(|value| histogram.observe(value));
        assert_eq!(histogram.cumulative(), [(1.0, 2), (10.0, 4)]);
        assert_eq!((histogram.count(), histogram.sum()), (5, 23.5));
    }
}
