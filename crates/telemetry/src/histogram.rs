//! Histograms of times, for `GET /metrics`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Upper bounds of the buckets in microseconds, ascending. There is one more bucket, without a bound.
pub type Bounds = &'static [u64];

/// A histogram of times. An observation is two additions to atomics; that of `prometheus-client` takes a lock. Clones
/// are handles to the same one.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: Bounds,
    /// Times up to each bound that exceed the bound before; the last: those beyond all bounds.
    counts: Box<[AtomicU64]>,
    /// Sum of the times. Overflows after 584 years.
    nanoseconds: AtomicU64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new(bounds: Bounds) -> Self {
        Self(Arc::new(Buckets {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            nanoseconds: AtomicU64::new(0),
        }))
    }

    /// Adds a time. A bound belongs to its bucket.
    pub fn observe(&self, time: Duration) {
        let bounds = self.0.bounds;
        let bucket = bounds.partition_point(|&bound| Duration::from_micros(bound) < time);
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        if let Some(count) = self.0.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The bounds of its buckets.
    pub fn bounds(&self) -> Bounds {
        self.0.bounds
    }

    /// Number of times in each bucket; one more than there are bounds.
    pub fn counts(&self) -> Vec<u64> {
        self.0
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect()
    }
}

impl EncodeMetric for Histogram {
    /// The count is that of the last bucket: both are of the same moment.
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.counts();
        let total = counts.iter().sum();
        let seconds = |micros: &u64| *micros as f64 / 1e6;
        let bounds = self.0.bounds.iter().map(seconds).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let sum = self.0.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, total, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Histograms with one name, which differ in the value of a label. The values are fixed: no lock is needed to find one,
/// and what a peer sends cannot add any.
#[derive(Clone, Debug)]
pub struct HistogramFamily {
    label: &'static str,
    members: Arc<[(&'static str, Histogram)]>,
}

impl HistogramFamily {
    /// A histogram for each value of the label.
    pub fn new(label: &'static str, values: &[&'static str], bounds: Bounds) -> Self {
        let members = values.iter().map(|value| (*value, Histogram::new(bounds))).collect();
        Self { label, members }
    }

    /// The histogram for this value of the label.
    pub fn get(&self, value: &str) -> Option<&Histogram> {
        self.members
            .iter()
            .find(|(known, _)| *known == value)
            .map(|(_, histogram)| histogram)
    }
}

impl EncodeMetric for HistogramFamily {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, histogram) in &*self.members {
            let labels = [(self.label, *value)];
            histogram.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::{Registry, Unit};

    use super::*;

    const BOUNDS: Bounds = &[100, 1_000, 2_000_000];

    #[test]
    fn each_time_is_in_the_first_bucket_that_has_it() {
        let histogram = Histogram::new(BOUNDS);
        for micros in [0, 100, 101, 1_000, 2_000_000, 2_000_001, 9_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        assert_eq!(histogram.counts(), [2, 2, 1, 2]);
    }

    #[test]
    fn the_text_has_cumulative_buckets_in_seconds() {
        let mut registry = Registry::default();
        let family = HistogramFamily::new("kind", &["a", "b"], BOUNDS);
        registry.register_with_unit("wait", "Waiting", Unit::Seconds, family.clone());
        let a = family.get("a").unwrap();
        a.observe(Duration::from_millis(1));
        a.observe(Duration::from_millis(1_500));
        a.observe(Duration::from_secs(3));
        assert!(family.get("c").is_none());
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let expected = "# HELP wait_seconds Waiting.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_sum{kind=\"a\"} 4.501
wait_seconds_count{kind=\"a\"} 3
wait_seconds_bucket{le=\"0.0001\",kind=\"a\"} 0
wait_seconds_bucket{le=\"0.001\",kind=\"a\"} 1
wait_seconds_bucket{le=\"2.0\",kind=\"a\"} 2
wait_seconds_bucket{le=\"+Inf\",kind=\"a\"} 3
wait_seconds_sum{kind=\"b\"} 0.0
wait_seconds_count{kind=\"b\"} 0
";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn threads_lose_no_observation() {
        let histogram = Histogram::new(BOUNDS);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let histogram = histogram.clone();
                std::thread::Builder::new()
                    .spawn_scoped(scope, move || {
                        (0..1_000).for_each(|n| histogram.observe(Duration::from_micros(n)));
                    })
                    .unwrap();
            }
        });
        assert_eq!(histogram.counts(), [404, 3_596, 0, 0]);
    }
}
