//! `GET /metrics`: the same figures as JSON and in both text formats.

use std::collections::{BTreeMap, HashSet};

use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use testkit::{HttpReply, RelayProcess, http_send};

use crate::wire::{DEADLINE, Wire, get, mine, standalone, start};

/// Token of a relay on which private figures need the administrator, even from loopback addresses.
const ADMIN_TOKEN: &str = "an-administrator-of-this-test";
pub(super) const OPENMETRICS: &str = "application/openmetrics-text";
pub(super) const TEXT: &str = "text/plain";
/// Totals of the process, and times, which change independently of clients.
const PROCESS: [&str; 7] = [
    "sdk_relay_uptime_seconds",
    "sdk_relay_memory_bytes",
    "sdk_relay_cpu_percent",
    "sdk_relay_disk_bytes",
    "process_",
    "sdk_relay_commit_seconds_sum",
    "sdk_relay_commit_seconds_bucket",
];
/// Deliveries to connections with watches are not timed, whatever they watch for (`GET /timings`).
const DELAY: &str = "sdk_relay_event_delay_seconds";

async fn metrics(relay: &RelayProcess, accept: &str) -> HttpReply {
    let request = Request::get(format!("{}/metrics", relay.http_url())).header("accept", accept);
    http_send(request.body(Full::default()).unwrap()).await
}

/// Samples by name and labels. Panics if the text is not OpenMetrics: `# HELP`, `# TYPE` and `# UNIT` before the
/// samples of their family, a sample's name ends as its type says, a family's unit ends its name, each family occurs
/// once, `# EOF` is last.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut families = HashSet::new();
    let mut family = (String::new(), String::new());
    let body = text.strip_suffix("# EOF\n").expect("# EOF is the last line");
    for line in body.lines() {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => {
                assert!(!help.is_empty(), "{line}");
                assert!(families.insert(name.to_owned()), "{name} comes twice");
                family = (name.to_owned(), String::new());
            }
            ["#", "TYPE", name, kind] => {
                assert_eq!(name, family.0, "{line}");
                assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{line}");
                family.1 = kind.to_owned();
            }
            ["#", "UNIT", name, unit] => {
                assert!(name == family.0 && name.ends_with(&format!("_{unit}")), "{line}");
            }
            _ if !line.starts_with('#') => {
                let (sample, value) = line.rsplit_once(' ').expect("a value");
                let name = sample.split('{').next().expect("a name");
                let suffixes: &[&str] = match family.1.as_str() {
                    "counter" => &["_total"],
                    "info" => &["_info"],
                    "histogram" => &["_sum", "_count", "_bucket"],
                    _ => &[""],
                };
                let suffix = name.strip_prefix(&family.0);
                assert!(suffix.is_some_and(|suffix| suffixes.contains(&suffix)), "{line}");
                let value = value.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
                assert!(samples.insert(sample.to_owned(), value).is_none(), "{line} comes twice");
            }
            _ => panic!("no line of OpenMetrics: {line:?}"),
        }
    }
    samples
}

#[tokio::test]
async fn the_text_has_the_figures_of_the_json() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications", "sync"]).await;
    for id in ["a", "b", "a"] {
        wire.request(json!({"type": "sync", "sync_type": "HealthSync", "message_id": id}))
            .await;
    }
    let address = get(&relay, "/config").await["silent_payment_address"].clone();
    let pay = json!({"address": address, "amount": "0.5"});
    let paid = testkit::http_post(&format!("{}/dev/pay", relay.http_url()), &pay).await;
    assert_eq!(paid.status, 200, "{}", paid.text());
    assert_eq!(wire.notification().await["notification_type"], "payment_detected");
    mine(&relay, 2).await;
    for _ in 0..3 {
        wire.notification().await;
    }

    // The answers are requested one after the other; if nothing changed in between, the last ones equal the first. The
    // client may have an event before the relay has counted it, before the follower is at the tip again, and before the
    // index and the figures of the node have its block.
    let (json, text, timings) = testkit::eventually(DEADLINE, "a quiet moment", async || {
        let before = get(&relay, "/metrics").await;
        let timings = get(&relay, "/timings").await["histogram"]["counts"].clone();
        let text = metrics(&relay, OPENMETRICS).await;
        let same_timings = get(&relay, "/timings").await["histogram"]["counts"] == timings;
        let after = get(&relay, "/metrics").await;
        let same = ["sync_metrics", "bitcoin_metrics", "relay_metrics"]
            .iter()
            .all(|part| before[part] == after[part]);
        let (of_relay, of_node) = (&before["relay_metrics"], &before["bitcoin_metrics"]);
        let is_counted = of_relay["notifications_sent"] == 4 && of_relay["ready"] == true;
        let is_at_tip = of_relay["health"] == "healthy" && of_node["block_height"] == of_relay["tip_height"];
        let samples = parse(text.text());
        let has_index = samples.get("sdk_relay_index_height").copied() == of_relay["tip_height"].as_f64();
        let is_quiet = samples["sdk_relay_problems"] == 0.0 && samples["sdk_relay_ready"] == 1.0;
        (same && same_timings && is_counted && is_at_tip && has_index && is_quiet).then_some((before, text, timings))
    })
    .await;
    let content_type = text.headers["content-type"].to_str().unwrap();
    assert!(
        content_type.starts_with("application/openmetrics-text; version=1.0.0"),
        "{content_type}"
    );
    let samples = parse(text.text());
    for (part, field, sample) in [
        ("sync_metrics", "known_relays", "known_relays"),
        ("sync_metrics", "mesh_connections", "mesh_connections"),
        ("sync_metrics", "sync_requests", "sync_requests_total"),
        ("sync_metrics", "sync_responses", "sync_responses_total"),
        ("sync_metrics", "cache_hits", "sync_cache_hits_total"),
        ("sync_metrics", "cache_misses", "sync_cache_misses_total"),
        ("sync_metrics", "error_count", "sync_errors_total"),
        ("system_metrics", "active_connections", "websocket_connections"),
        ("bitcoin_metrics", "block_height", "node_block_height"),
        ("bitcoin_metrics", "connections", "node_connections"),
        ("bitcoin_metrics", "mempool_size", "node_mempool_size"),
        ("bitcoin_metrics", "verification_progress", "node_verification_progress"),
        ("relay_metrics", "last_event_id", "last_event_id"),
        ("relay_metrics", "tip_height", "tip_height"),
        ("relay_metrics", "watches", "watches"),
        (
            "relay_metrics",
            "watch_payments_detected",
            "watch_payments_detected_total",
        ),
        (
            "relay_metrics",
            "watch_messages_received",
            "watch_messages_received_total",
        ),
        ("relay_metrics", "watch_messages_sent", "watch_messages_sent_total"),
        ("relay_metrics", "payments_detected", "payments_detected_total"),
        ("relay_metrics", "payments_reverted", "payments_reverted_total"),
        ("relay_metrics", "blocks_connected", "blocks_connected_total"),
        ("relay_metrics", "blocks_disconnected", "blocks_disconnected_total"),
        ("relay_metrics", "transactions_scanned", "transactions_scanned_total"),
        ("relay_metrics", "notifications_sent", "notifications_sent_total"),
        ("relay_metrics", "slow_clients_cut", "slow_clients_cut_total"),
    ] {
        let value = samples.get(&format!("sdk_relay_{sample}")).copied();
        assert_eq!(value, json[part][field].as_f64(), "{part}.{field}");
    }
    for (name, label, field) in [
        ("health", "status", "health"),
        ("event_source", "source", "event_source"),
    ] {
        let current = json["relay_metrics"][field].as_str().unwrap();
        let all: Vec<_> = samples
            .iter()
            .filter(|(sample, _)| sample.starts_with(&format!("sdk_relay_{name}{{{label}=")))
            .collect();
        let set: Vec<_> = all.iter().filter(|(_, value)| **value == 1.0).collect();
        assert!(
            all.len() > 2 && set.len() == 1 && set[0].0.contains(&format!("\"{current}\"")),
            "{all:?}"
        );
    }
    let conditions: Vec<_> = samples
        .iter()
        .filter(|(sample, _)| sample.starts_with("sdk_relay_ready_condition{"))
        .collect();
    assert!(
        conditions.len() == 5 && conditions.iter().all(|(_, value)| **value == 1.0),
        "{conditions:?}"
    );
    let version = format!("sdk_relay_build_info{{version=\"{}\",", env!("CARGO_PKG_VERSION"));
    assert!(samples.keys().any(|sample| sample.starts_with(&version)), "{samples:?}");
    assert_eq!(samples["sdk_relay_problems"], 0.0);
    // 4 events in some commits, and the first block before them.
    let (events, commits) = (
        samples["sdk_relay_events_logged_total"],
        samples["sdk_relay_commit_seconds_count"],
    );
    assert!(
        events >= 4.0 && (1.0..=events + 1.0).contains(&commits),
        "{events} {commits}"
    );
    assert!(
        (1.0..=4.0).contains(&samples["sdk_relay_event_delay_seconds_count"]),
        "{samples:?}"
    );
    let timed = timings
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_f64)
        .sum::<f64>();
    assert_eq!(
        timed, samples["sdk_relay_event_delay_seconds_count"],
        "GET /timings has the same: {timings}"
    );
    assert_eq!(json["relay_metrics"]["health"], "healthy");
    assert_eq!(json["relay_metrics"]["event_source"], "embedded");
    assert_eq!(
        (&json["relay_metrics"]["ready"], samples["sdk_relay_ready"]),
        (&json!(true), 1.0)
    );
    let fields = json["relay_metrics"].as_object().unwrap();
    assert_eq!(fields.len(), 16, "each is compared above: {fields:?}");

    // And they are true.
    let (sync, relay) = (&json["sync_metrics"], &json["relay_metrics"]);
    assert_eq!(
        (&sync["sync_requests"], &sync["cache_hits"], &sync["cache_misses"]),
        (&json!(3), &json!(1), &json!(2))
    );
    assert_eq!(sync["success_rate"], 100.0);
    assert_eq!(
        (&relay["payments_detected"], &relay["blocks_connected"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        (&relay["notifications_sent"], &relay["last_event_id"]),
        (&json!(4), &json!(6))
    );
    let mean = samples["sdk_relay_sync_seconds_total"] * 1000.0 / samples["sdk_relay_sync_responses_total"];
    assert!(
        (mean - sync["avg_latency"].as_f64().unwrap()).abs() < 0.001,
        "{mean} {sync}"
    );
}

#[tokio::test]
async fn the_format_is_chosen_by_accept() {
    let relay = start().await;
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (accept, content_type) in [
        (prometheus, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (
            OPENMETRICS,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (TEXT, "text/plain; version=0.0.4; charset=utf-8"),
        (
            "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("application/json, text/plain;q=0.5", "application/json"),
    ] {
        let reply = metrics(&relay, accept).await;
        assert_eq!(reply.headers["content-type"], content_type, "{accept}");
        assert_eq!(reply.headers["vary"], "accept", "{accept}");
        match content_type {
            "application/json" => assert!(reply.json().is_object()),
            text if text.starts_with("application/") => assert!(parse(reply.text()).len() > 20),
            _ => {
                let text = reply.text();
                assert!(
                    text.contains("\n# TYPE sdk_relay_http_requests_total counter\n"),
                    "{text}"
                );
                assert!(text.contains("\n# TYPE sdk_relay_build_info gauge\n"), "{text}");
                assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
                assert!(!text.contains('\\'), "help and labels of this program need no escapes");
            }
        }
    }
}

#[tokio::test]
async fn figures_with_units_have_numeric_twins() {
    let relay = start().await;
    let system = testkit::eventually(DEADLINE, "the first look at the process", async || {
        let system = get(&relay, "/metrics").await["system_metrics"].clone();
        (!system.as_object().unwrap().values().any(Value::is_null)).then_some(system)
    })
    .await;
    let number = |field: &str, unit: &str| {
        let text = system[field].as_str().unwrap();
        text.strip_suffix(unit)
            .unwrap_or_else(|| panic!("{field}: {text}"))
            .parse::<f64>()
            .unwrap()
    };
    let bytes = |field: &str| system[field].as_f64().unwrap();
    assert!(
        (number("memory_usage", "MB") - bytes("memory_bytes") / 1e6).abs() <= 0.5,
        "{system}"
    );
    assert!(
        (number("cpu_usage", "%") - system["cpu_percent"].as_f64().unwrap()).abs() <= 0.5,
        "{system}"
    );
    let disk = system["disk_usage"].as_str().unwrap();
    assert!(
        ["B", "KB", "MB", "GB"].iter().any(|unit| disk.ends_with(unit)),
        "{disk}"
    );
    assert!(bytes("disk_bytes") > 0.0 && bytes("memory_bytes") > 1e6, "{system}");
}

/// Compared with the mempool, a counter of the payments of a watch would reveal the transaction that paid its owner. So
/// public figures are the same with a watch and without.
#[tokio::test]
async fn public_figures_are_the_same_with_a_watch_and_without() {
    let without = figures_after_a_payment(false).await;
    let with = figures_after_a_payment(true).await;
    assert_eq!(with, without);
}

/// All public figures after a payment that a client watches for, or does not.
async fn figures_after_a_payment(is_watched: bool) -> (BTreeMap<String, f64>, Value) {
    let relay = RelayProcess::start(standalone().set("AUTH__ADMIN_TOKEN", ADMIN_TOKEN)).await;
    let payee = testkit::Payee::new(&[]);
    let mut wire = Wire::connect(&relay.ws_url(), &["notifications"]).await;
    let mut watch_id = None;
    if is_watched {
        let watch = json!({"type": "watch", "scan_private_key": payee.scan_hex(), "spend_public_key": payee.spend_public_key()});
        watch_id = wire.request(watch).await["watch_id"].as_str().map(str::to_owned);
        // A wrong one is answered with an error.
        assert_eq!(wire.request(json!({"type": "watch"})).await["code"], "invalid_field");
    }
    let pay = json!({"address": payee.address().to_string(), "amount": "0.5"});
    let paid = testkit::http_post(&format!("{}/dev/pay", relay.http_url()), &pay).await;
    assert_eq!(paid.status, 200, "{}", paid.text());
    if is_watched {
        assert_eq!(wire.notification().await["notification_type"], "payment_detected");
    }
    // Otherwise it may be first seen in its block, and is scanned once less.
    testkit::eventually(DEADLINE, "a scan of the mempool", async || {
        let scanned = get(&relay, "/metrics").await["relay_metrics"]["transactions_scanned"].as_u64();
        (scanned? > 0).then_some(())
    })
    .await;
    mine(&relay, 1).await;
    let mut notifications = vec![wire.notification().await];
    if is_watched {
        notifications.push(wire.notification().await);
        let unwatch = json!({"type": "unwatch", "watch_id": watch_id.expect("a watch")});
        assert_eq!(wire.request(unwatch).await["status"], "unwatched");
    }
    let kinds: Vec<_> = notifications.iter().map(|n| &n["notification_type"]).collect();
    assert!(kinds.contains(&&json!("block_mined")), "{kinds:?}");

    let request =
        Request::get(format!("{}/metrics", relay.http_url())).header("authorization", format!("Bearer {ADMIN_TOKEN}"));
    let private = http_send(request.body(Full::default()).unwrap()).await.json()["relay_metrics"].clone();
    let request = Request::get(format!("{}/metrics", relay.http_url()))
        .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
        .header("accept", OPENMETRICS);
    let scans = parse(http_send(request.body(Full::default()).unwrap()).await.text());
    for of in ["mempool", "block"] {
        let scanned = scans[&format!("sdk_relay_scan_seconds_count{{of=\"{of}\"}}")];
        assert_eq!(scanned > 0.0, is_watched, "{of}: {scanned}");
    }
    let seen = ["watch_payments_detected", "watch_messages_received"].map(|figure| private[figure].as_u64());
    let expected = if is_watched {
        [Some(2), Some(3)]
    } else {
        [Some(0), Some(0)]
    };
    assert_eq!(seen, expected, "the administrator sees them: {private}");

    let tip = relay_tip(&relay).await;
    testkit::eventually(DEADLINE, "the figures of the node", async || {
        let mut samples = parse(metrics(&relay, OPENMETRICS).await.text());
        let delays = samples[&format!("{DELAY}_count")];
        if is_watched {
            assert_eq!(delays, 0.0, "the only connection has a watch");
        } else if delays == 0.0 {
            return None;
        }
        // The number of polls of this test.
        samples.remove("sdk_relay_http_requests_total");
        let varies = |name: &str| name.starts_with(DELAY) || PROCESS.iter().any(|part| name.starts_with(part));
        samples.retain(|name, _| !varies(name));
        let is_up_to_date = samples.get("sdk_relay_node_block_height").copied() == Some(tip)
            && samples.get("sdk_relay_index_height").copied() == Some(tip)
            && samples.get("sdk_relay_node_mempool_size") == Some(&0.0);
        let mut json = get(&relay, "/metrics").await["relay_metrics"].clone();
        // Waiting times, which vary between runs.
        samples.retain(|name, _| !name.contains("_waited_for_"));
        json["last_event_id"].take();
        is_up_to_date.then_some((samples, json))
    })
    .await
}

async fn relay_tip(relay: &RelayProcess) -> f64 {
    get(relay, "/metrics").await["relay_metrics"]["tip_height"]
        .as_f64()
        .expect("a tip")
}

/// A page that its visitor's browser opens has the visitor's loopback address: it receives public figures only.
#[tokio::test]
async fn a_foreign_page_reads_no_figure_of_watches() {
    let relay = RelayProcess::start(standalone()).await;
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = Request::get(format!("{}/metrics", relay.http_url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        http_send(request.body(Full::default()).unwrap())
            .await
            .text()
            .to_owned()
    };
    let (text, openmetrics) = (("accept", TEXT), ("accept", OPENMETRICS));
    for own in [ask(&[]).await, ask(&[text]).await, ask(&[openmetrics]).await] {
        assert!(own.contains("watch_payments_detected"), "{own}");
    }
    assert!(ask(&[text]).await.contains("scan_seconds"));
    for page in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        for foreign in [
            ask(&[page]).await,
            ask(&[text, page]).await,
            ask(&[openmetrics, page]).await,
        ] {
            for figure in [
                "watch_payments_detected",
                "watch_messages",
                "error_replies",
                "scan_seconds",
            ] {
                assert!(!foreign.contains(figure), "{page:?}: {foreign}");
            }
        }
    }
}

/// Names, kinds and help texts of what the crates count, which dashboards and alerts depend on. The gauges that are
/// read for each answer are not among them: some appear only once they are known.
#[tokio::test]
async fn the_counters_are_those_of_the_snapshot() {
    let relay = start().await;
    let text = metrics(&relay, OPENMETRICS).await.text().to_owned();
    let of_a_crate = |line: &&str| {
        let name = line.split(' ').nth(2);
        let kind = format!("# TYPE {} counter\n", name.unwrap_or_default());
        let is_gauge = ["sdk_relay_websocket_connections", "sdk_relay_mesh_connections"]
            .map(Some)
            .contains(&name);
        line.starts_with("# ") && (is_gauge || text.contains(&kind))
    };
    let mut lines: Vec<_> = text.lines().filter(of_a_crate).collect();
    lines.sort_unstable();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("metrics", lines.join("\n")));
}
