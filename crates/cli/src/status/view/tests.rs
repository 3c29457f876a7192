use serde_json::json;

use super::*;

fn answers() -> Answers {
    Answers {
        health: json!({
            "status": "healthy", "software_version": "0.2.0", "problems": [], "event_source": "zmq",
            "services": {"bitcoin_core": "connected"},
            "index": {"state": "current", "first_height": 709_632, "height": 870_000, "target": 870_000, "progress": 1.0, "error": null}
        }),
        ready: json!({"status": "ready", "reason": null}),
        metrics: json!({
            "sync_metrics": {"known_relays": 3, "mesh_connections": 2, "avg_latency": 45.25},
            "system_metrics": {
                "active_connections": 12, "uptime": 273_600, "memory_bytes": 128_400_000, "cpu_percent": 4.96,
                "disk_bytes": 21_500_000_000_u64
            },
            "bitcoin_metrics": {"block_height": 870_000, "mempool_size": 12_345},
            "relay_metrics": {"tip_height": 870_000, "notifications_sent": 1_234, "slow_clients_cut": 0}
        }),
        relays: json!({"healthy": 2, "warning": 1, "critical": 0}),
        config: json!({"relay_id": "relay-1", "network": "mainnet"}),
    }
}

const PLAIN: Paint = Paint(false);

#[test]
fn a_healthy_relay() {
    let text = view("http://127.0.0.1:8091", &answers(), &PLAIN);
    let expected = "\
sdk_relay 0.2.0 · relay-1 · mainnet · http://127.0.0.1:8091 · healthy

Ready       yes: it follows the tip, and knows the mempool
Chain       block 870,000   at the tip of the node   events: zmq   mempool 12,345 transactions
Index       current   blocks 709,632 to 870,000   of 870,000 (100.0 %)
Clients     12 connections   1,234 events sent   0 closed as too slow
Mesh        3 relays   2 links   2 healthy, 1 with a warning, 0 critical   45.2 ms per sync
Process     up 3 d 4 h   memory 128 MB   processor 5.0 %   disk 21500 MB
Problems    none";
    assert_eq!(text, expected);
}

#[test]
fn the_ports_for_wallets_are_shown_if_they_are_on() {
    let mut answers = answers();
    answers.config["electrum"] = json!({"listen": "127.0.0.1:50001", "tls_listen": ""});
    answers.config["blindbit"] = json!({"url": "", "grpc_listen": "[::]:7001"});
    answers.config["restart_required"] = json!(true);
    let text = view("u", &answers, &PLAIN);
    assert!(
        text.contains("[::]:7001\nRestart     changes of the configuration, shown here, wait"),
        "{text}"
    );
    assert!(
        text.contains("\nWallets     Electrum 127.0.0.1:50001   BlindBit gRPC [::]:7001\n"),
        "{text}"
    );
}

#[test]
fn a_relay_with_trouble_names_it_and_an_administrator_sees_watches() {
    let mut answers = answers();
    answers.health["status"] = json!("degraded");
    answers.health["problems"] = json!(["the node has not answered yet", "second"]);
    answers.health["index"] = Value::Null;
    answers.ready = json!({"status": "not_ready", "reason": "the node has not answered yet"});
    answers.metrics["bitcoin_metrics"] = json!({"block_height": null, "mempool_size": null});
    answers.metrics["relay_metrics"]["watches"] = json!(2);
    answers.metrics["relay_metrics"]["watch_payments_detected"] = json!(5);
    answers.metrics["sync_metrics"] = json!({"known_relays": 1});
    answers.health["services"]["bitcoin_core"] = json!("disconnected");
    let text = view("u", &answers, &PLAIN);
    for line in [
        "Ready       no: the node has not answered yet",
        "Chain       block 870,000   node disconnected   events: zmq   mempool – transactions",
        "Index       off (index.enabled = false)",
        "Watches     2   5 payments sent to them",
        "Mesh        no other relays",
        "Problems    the node has not answered yet",
        "            second",
    ] {
        assert!(
            text.lines().any(|shown| shown == line),
            "{line:?} is missing in:\n{text}"
        );
    }
    assert!(!text.contains('\x1b'), "no colours unless they are wanted");
    let coloured = view("u", &answers, &Paint(true));
    assert!(coloured.contains("\x1b[33mdegraded\x1b[0m"), "{coloured}");
}

#[test]
fn a_relay_behind_its_node() {
    let mut answers = answers();
    answers.metrics["bitcoin_metrics"]["block_height"] = json!(871_500);
    assert!(view("u", &answers, &PLAIN).contains("block 870,000   1,500 blocks behind the node"));
}

#[test]
fn one_of_a_thing_has_no_plural() {
    let mut answers = answers();
    answers.metrics["system_metrics"]["active_connections"] = json!(1);
    answers.metrics["sync_metrics"]["mesh_connections"] = json!(1);
    answers.metrics["bitcoin_metrics"] = json!({"block_height": 870_001, "mempool_size": 1});
    answers.metrics["relay_metrics"]["notifications_sent"] = json!(1);
    answers.metrics["relay_metrics"]["watches"] = json!(1);
    answers.metrics["relay_metrics"]["watch_payments_detected"] = json!(1);
    let text = view("u", &answers, &PLAIN);
    for part in [
        "1 block behind the node",
        "mempool 1 transaction\n",
        "1 connection   1 event sent",
        "1 payment sent to them",
        "3 relays   1 link ",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn units() {
    assert_eq!(
        [0, 999, 1_000, 1_234_567].map(count),
        ["0", "999", "1,000", "1,234,567"]
    );
    let durations = [59, 61, 3_725, 90_000].map(duration);
    assert_eq!(durations, ["59 s", "1 min 1 s", "1 h 2 min", "1 d 1 h"]);
}

/// `sdk_relay status --url` shows what another machine sends.
#[test]
fn no_answer_controls_the_terminal() {
    let hostile = json!("\u{1b}[2J\rx");
    let mut answers = answers();
    answers.health["status"] = hostile.clone();
    answers.health["software_version"] = hostile.clone();
    answers.health["problems"] = json!([hostile, hostile]);
    answers.health["event_source"] = hostile.clone();
    answers.health["services"]["bitcoin_core"] = hostile.clone();
    answers.health["index"]["state"] = hostile.clone();
    answers.ready["reason"] = hostile.clone();
    answers.config = json!({"relay_id": hostile, "network": hostile});
    let text = view("u", &answers, &PLAIN);
    assert!(text.matches("\\u{1b}[2J\\rx").count() >= 8, "{text}");
    assert!(!text.replace('\n', "").contains(char::is_control), "{text:?}");
}
