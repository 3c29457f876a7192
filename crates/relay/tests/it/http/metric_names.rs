//! docs/metrics.md: the metrics that a relay answers with, as it describes them itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use http_body_util::Full;
use hyper::Request;
use testkit::{Options, PooledNode, RelayOptions, RelayProcess, http_send};

use super::metrics::TEXT;
use crate::webhooks::with_webhook;
use crate::wire::DEADLINE;

const ADMIN_TOKEN: &str = "an-administrator-of-this-test";
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
/// Metrics that appear once the node has answered and the index has begun.
const LATE: [&str; 5] = [
    "sdk_relay_index_height",
    "sdk_relay_node_verification_progress",
    "sdk_relay_tip_height",
    "sdk_relay_zmq_complete",
    "process_open_fds",
];
/// Its labels have the versions of this build, not values that the program chooses among.
const BUILD: &str = "sdk_relay_build_info";
/// Its values are names that the operator chooses.
const NAMED: &str = "webhook";
const HEAD: &str = "# Metrics

Names, types and labels of what [`GET /metrics`](API.md#read-metrics) answers to Prometheus. A test generates this page from the answer of a relay:
`UPDATE_DOCS=1 scripts/test -p sdk_relay metric_names`. [Production](production.md#monitor) shows how to scrape it, with a dashboard and alert rules.

| `Accept` prefers | Answer |
|---|---|
| `application/openmetrics-text`, as Prometheus does | OpenMetrics 1.0.0 |
| `text/plain` | the text format 0.0.4 of Prometheus |
| anything else, or nothing | JSON, with fewer figures ([API.md](API.md#read-metrics)) |

The qualities (`q=`) in `Accept` decide; between equal ones, the position. Samples are the same in both texts. In OpenMetrics the *family* of a counter
lacks `_total`, that of an info metric `_info`, and families with a unit have `# UNIT`; sample names, which queries use, do not differ.

- **Counters** begin at 0 with each start of the relay. **Histograms** have `_bucket` (with the label `le`), `_sum` and `_count`; seconds.
- `sdk_relay_node_…` are absent while the node does not answer. `sdk_relay_rpc_…` need a node, `sdk_relay_zmq_…` one with a ZMQ address,
  `sdk_relay_index_…` the setting `index.enabled`, `sdk_relay_blindbit_…` a BlindBit Oracle, `sdk_relay_grpc_…` the setting
  `blindbit.grpc_listen`, and `sdk_relay_webhook_…` a [webhook](webhooks.md). A status other than `OK` has a sample once a call has ended with it.
- **For an administrator**: only in answers to requests that may use the admin endpoints ([Authenticate](API.md#authenticate)). Compared with the mempool,
  these would show which transaction paid a client, or came from one. For the same reason `sdk_relay_event_delay_seconds` measures events of
  the log only, and only connections without watches, and `sdk_relay_rpc_seconds` omits `sendrawtransaction`.

| Name | Type | Labels | Meaning |
|---|---|---|---|
";

/// A family of the text format 0.0.4.
#[derive(Default)]
struct Family {
    help: String,
    kind: String,
    /// Values by label.
    labels: BTreeMap<String, BTreeSet<String>>,
}

fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    let mut current = String::new();
    for line in text.lines() {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => {
                current = name.to_owned();
                families.entry(current.clone()).or_default().help = help.to_owned();
            }
            ["#", "TYPE", name, kind] => families.get_mut(name).expect("its help").kind = kind.to_owned(),
            _ => {
                let labels = line
                    .split_once('{')
                    .map_or("", |(_, rest)| rest.split_once('}').expect("labels").0);
                let family = families.get_mut(&current).expect("its help");
                // No value has a comma.
                for label in labels.split(',').filter(|label| !label.is_empty()) {
                    let (name, value) = label.split_once('=').expect("a value");
                    family
                        .labels
                        .entry(name.to_owned())
                        .or_default()
                        .insert(value.trim_matches('"').to_owned());
                }
            }
        }
    }
    families
}

fn page(all: &BTreeMap<String, Family>, public: &BTreeMap<String, Family>) -> String {
    let mut page = HEAD.to_owned();
    for (name, family) in all {
        let labels: Vec<_> = family
            .labels
            .iter()
            .filter(|(label, _)| *label != "le")
            .map(|(label, values)| {
                let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
                match name.as_str() {
                    _ if label == NAMED => format!("`{label}`"),
                    BUILD => format!("`{label}`"),
                    _ => format!("`{label}`: {}", values.join(", ")),
                }
            })
            .collect();
        let reader = if public.contains_key(name) {
            ""
        } else {
            "**For an administrator.** "
        };
        let meaning = family.help.trim_end_matches('.');
        writeln!(
            page,
            "| `{name}` | {} | {} | {reader}{meaning} |",
            family.kind,
            labels.join("; ")
        )
        .unwrap();
    }
    page
}

/// The text for a request with this token, or without one.
async fn text(relay: &RelayProcess, token: Option<&str>) -> String {
    let request = Request::get(format!("{}/metrics", relay.http_url())).header("accept", TEXT);
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    http_send(request.body(Full::default()).unwrap())
        .await
        .text()
        .to_owned()
}

/// Run with UPDATE_DOCS=1, it writes the page.
#[tokio::test]
async fn the_page_lists_the_metrics_of_a_relay() {
    let node = PooledNode::take(Options::default()).await;
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .node(&node)
        .set("AUTH__ADMIN_TOKEN", ADMIN_TOKEN)
        // Its counters exist whether it answers or not.
        .set("BLINDBIT__URL", "http://127.0.0.1:1")
        .set("BLINDBIT__GRPC_LISTEN", "127.0.0.1:0");
    let options = with_webhook(options, "SHOP", "http://127.0.0.1:1/");
    let relay = RelayProcess::start(options).await;
    let all = testkit::eventually(DEADLINE, "all metrics", async || {
        let all = families(&text(&relay, Some(ADMIN_TOKEN)).await);
        LATE.iter().all(|name| all.contains_key(*name)).then_some(all)
    })
    .await;
    let public = families(&text(&relay, None).await);
    let private: Vec<_> = all.keys().filter(|name| !public.contains_key(*name)).collect();
    assert_eq!(
        private,
        [
            "sdk_relay_detached_matches_bytes",
            "sdk_relay_detached_matches_lost_total",
            "sdk_relay_detached_requests_refused_total",
            "sdk_relay_detached_watches",
            "sdk_relay_detached_watches_attached",
            "sdk_relay_detached_watches_expired_total",
            "sdk_relay_electrum_backend_connections",
            "sdk_relay_electrum_backend_failures_total",
            "sdk_relay_electrum_backend_refused_subscriptions_total",
            "sdk_relay_electrum_private_requests_total",
            "sdk_relay_error_replies_total",
            "sdk_relay_rpc_broadcast_seconds",
            "sdk_relay_scan_seconds",
            "sdk_relay_spend_names_given_up_total",
            "sdk_relay_spends_unnamed_total",
            "sdk_relay_watch_messages_received_total",
            "sdk_relay_watch_messages_sent_total",
            "sdk_relay_watch_payments_detected_total",
            "sdk_relay_watches",
            "sdk_relay_webhook_attempts_total",
            "sdk_relay_webhook_disabled",
            "sdk_relay_webhook_gaps_total",
            "sdk_relay_webhook_lag_events",
        ],
        "what only an administrator may read"
    );
    let expected = page(&all, &public);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(PAGE, &expected).unwrap();
    }
    let found = fs::read_to_string(PAGE).expect("docs/metrics.md");
    assert!(
        found == expected,
        "docs/metrics.md does not list the metrics of the relay: run this test with UPDATE_DOCS=1"
    );
}
