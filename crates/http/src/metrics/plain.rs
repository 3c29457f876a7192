//! The text format 0.0.4 of Prometheus, from OpenMetrics text.
//!
//! `prometheus-client` writes OpenMetrics only. Samples are the same in both formats, except exemplars and timestamps,
//! which this program does not write. What differs are the comments: in 0.0.4 the family of a counter has the name of
//! its samples (`…_total`), an info metric is a gauge (`…_info`), and `# UNIT` and `# EOF` do not exist. Sources:
//! [OpenMetrics], [0.0.4].
//!
//! [OpenMetrics]: https://prometheus.io/docs/specs/om/open_metrics_spec/
//! [0.0.4]: https://prometheus.io/docs/instrumenting/exposition_formats/

/// Converts the text.
pub(super) fn plain(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len() + openmetrics.len() / 16);
    // Of the family that begins: its type decides its name.
    let mut help = "";
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        match [words.next(), words.next(), words.next(), words.next()] {
            [Some("#"), Some("HELP"), Some(_), about] => help = about.unwrap_or_default(),
            [Some("#"), Some("TYPE"), Some(name), Some(kind)] => {
                let (suffix, kind) = of_type(kind);
                let help = std::mem::take(&mut help);
                text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
                text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
            }
            [Some("#"), ..] => {}
            _ => text.extend([line, "\n"]),
        }
    }
    text
}

/// What the names of a family of this type get appended, and its type in 0.0.4.
fn of_type(openmetrics: &str) -> (&'static str, &str) {
    match openmetrics {
        "counter" => ("_total", "counter"),
        "info" => ("_info", "gauge"),
        "stateset" => ("", "gauge"),
        "unknown" | "gaugehistogram" => ("", "untyped"),
        same => ("", same),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::{Registry, Unit};
    use proptest::prelude::*;
    use sdk_relay_telemetry::HistogramFamily;

    use super::*;

    #[test]
    fn the_comments_are_those_of_0_0_4() {
        let openmetrics = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1.5\n\
            # HELP b Version.\n# TYPE b info\nb_info{v=\"# EOF\"} 1\n\
            # HELP c State.\n# TYPE c stateset\nc{c=\"x\"} 1\n\
            # HELP d Wait.\n# TYPE d histogram\nd_sum 1.0\nd_count 1\nd_bucket{le=\"+Inf\"} 1\n\
            # HELP e Something.\n# TYPE e unknown\ne 1\n# EOF\n";
        let expected = "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\na_seconds_total 1.5\n\
            # HELP b_info Version.\n# TYPE b_info gauge\nb_info{v=\"# EOF\"} 1\n\
            # HELP c State.\n# TYPE c gauge\nc{c=\"x\"} 1\n\
            # HELP d Wait.\n# TYPE d histogram\nd_sum 1.0\nd_count 1\nd_bucket{le=\"+Inf\"} 1\n\
            # HELP e Something.\n# TYPE e untyped\ne 1\n";
        assert_eq!(plain(openmetrics), expected);
    }

    /// Type and samples of each family, by the rules of 0.0.4. Panics on a line that these do not allow.
    fn parse(text: &str) -> BTreeMap<String, (String, Vec<(String, f64)>)> {
        let mut families = BTreeMap::new();
        let mut current = (String::new(), String::new());
        for line in text.lines() {
            let words: Vec<_> = line.splitn(4, ' ').collect();
            match words[..] {
                ["#", "HELP", name, _] => current = (name.to_owned(), String::new()),
                ["#", "TYPE", name, kind] => {
                    assert_eq!(name, current.0, "{line}");
                    assert!(["counter", "gauge", "histogram", "untyped"].contains(&kind), "{line}");
                    let family = (kind.to_owned(), Vec::new());
                    assert!(families.insert(name.to_owned(), family).is_none(), "{name} comes twice");
                    current.1 = kind.to_owned();
                }
                ["#", ..] => panic!("a comment that 0.0.4 does not have: {line}"),
                _ => {
                    let (sample, value) = line.rsplit_once(' ').expect("a value");
                    let name = sample.split('{').next().expect("a name");
                    let (family, kind) = &current;
                    let suffix = name
                        .strip_prefix(family.as_str())
                        .unwrap_or_else(|| panic!("{line} below {family}"));
                    let allowed: &[&str] = if kind == "histogram" {
                        &["_sum", "_count", "_bucket"]
                    } else {
                        &[""]
                    };
                    assert!(allowed.contains(&suffix), "{line}");
                    let value = value.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
                    families
                        .get_mut(family)
                        .expect("its family")
                        .1
                        .push((sample.to_owned(), value));
                }
            }
        }
        families
    }

    proptest! {
        #[test]
        fn nothing_is_lost(counts in prop::collection::vec((any::<u64>(), "(?s).{0,12}"), 0..6), gauge in any::<i64>(), times in prop::collection::vec(0_u64..5_000_000, 0..20)) {
            let mut registry = Registry::default();
            let plain_counter = Counter::<u64>::default();
            registry.register("alone", "Alone", plain_counter.clone());
            let counters = Family::<[(&'static str, String); 1], Counter>::default();
            registry.register("family", "Family", counters.clone());
            for (count, label) in &counts {
                plain_counter.inc_by(count / 8);
                counters.get_or_create(&[("label", label.clone())]).inc_by(count / 8);
            }
            let level = Gauge::<i64>::default();
            level.set(gauge);
            registry.register("level", "Level", level);
            let label = counts.first().map_or("", |(_, label)| label.as_str());
            registry.register("build", "Build", Info::new([("version", label.to_owned())]));
            let wait = HistogramFamily::new("of", &["x", "y"], &[1_000, 1_000_000]);
            registry.register_with_unit("wait", "Wait", Unit::Seconds, wait.clone());
            for time in times {
                wait.get("y").expect("a member").observe(std::time::Duration::from_micros(time));
            }
            let mut openmetrics = String::new();
            encode(&mut openmetrics, &registry).expect("a text");

            let text = plain(&openmetrics);
            let samples = |text: &str| text.lines().filter(|l| !l.starts_with("# ")).map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(samples(&text), samples(&openmetrics), "samples are the same");
            let families = parse(&text);
            let kinds: Vec<_> = families.iter().map(|(name, (kind, _))| (name.as_str(), kind.as_str())).collect();
            let mut expected = vec![("alone_total", "counter"), ("build_info", "gauge")];
            if !counts.is_empty() {
                expected.push(("family_total", "counter"));
            }
            expected.extend([("level", "gauge"), ("wait_seconds", "histogram")]);
            prop_assert_eq!(kinds, expected);
            prop_assert_eq!(families["wait_seconds"].1.len(), 2 * (2 + 3));
        }
    }
}
