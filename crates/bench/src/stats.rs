//! Statistics of measurements.

use std::time::Duration;

use serde_json::{Value, json};

/// Sorted measurements in one unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Samples {
    sorted: Vec<f64>,
}

impl Samples {
    /// From measurements in any order; `None` if empty.
    pub(crate) fn new(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then_some(Self { sorted: values })
    }

    /// Number of measurements.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The value that `percent` of all values do not exceed: one that was measured (nearest rank), never one in
    /// between.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.sorted.len() * percent).div_ceil(100);
        self.sorted[rank.clamp(1, self.sorted.len()) - 1]
    }

    /// The largest value.
    pub(crate) fn max(&self) -> f64 {
        self.percentile(100)
    }

    /// p50, p90, p99 and the largest value.
    pub(crate) fn summary(&self) -> [f64; 4] {
        [
            self.percentile(50),
            self.percentile(90),
            self.percentile(99),
            self.max(),
        ]
    }

    /// The summary as JSON.
    pub(crate) fn json(&self) -> Value {
        let [p50, p90, p99, max] = self.summary().map(thousandths);
        json!({"n": self.len(), "p50": p50, "p90": p90, "p99": p99, "max": max})
    }
}

/// Milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Rounded to three decimals: microseconds of milliseconds.
pub(crate) fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let thousand = Samples::new((1..=1000).rev().map(f64::from).collect()).unwrap();
        assert_eq!(thousand.summary(), [500.0, 900.0, 990.0, 1000.0]);
        let three = Samples::new(vec![3.0, -1.0, 2.0]).unwrap();
        assert_eq!(three.summary(), [2.0, 3.0, 3.0, 3.0]);
        assert_eq!(three.percentile(0), -1.0);
        let one = Samples::new(vec![7.0]).unwrap();
        assert_eq!(one.summary(), [7.0; 4]);
        assert_eq!(Samples::new(vec![]), None);
    }

    #[test]
    fn a_single_outlier_in_a_thousand_is_the_maximum_and_no_percentile() {
        let mut values = vec![1.0; 999];
        values.push(250.0);
        assert_eq!(Samples::new(values).unwrap().summary(), [1.0, 1.0, 1.0, 250.0]);
    }

    #[test]
    fn milliseconds() {
        assert_eq!(ms(Duration::from_micros(1500)), 1.5);
        assert_eq!(thousandths(0.123_456), 0.123);
    }
}
