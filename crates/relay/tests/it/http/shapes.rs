//! Every endpoint's answer: its fields, their order and types, and that they are true.

use serde_json::{Value, json};
use testkit::{HttpReply, RelayProcess, http_get, http_post};

use crate::wire::json::Json;
use crate::wire::reference::Reference;
use crate::wire::{DEADLINE, get, mine, start};

async fn fetch(relay: &RelayProcess, path: &str) -> HttpReply {
    let reply = http_get(&format!("{}{path}", relay.http_url())).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    assert_eq!(reply.headers["content-type"], "application/json", "{path}");
    reply
}

#[tokio::test]
async fn each_answer_has_the_shape_of_the_reference() {
    let Some(reference) = Reference::open() else {
        return;
    };
    let relay = start().await;
    let hashes = mine(&relay, 2).await;
    let block = format!("/bitcoin/blocks/{}", hashes[0]);
    let cases: [(&str, &str, &[&str]); 5] = [
        ("GET /health ", "/health", &[]),
        // Before the first sync there is no latency and no rate of success.
        (
            "GET /metrics ",
            "/metrics",
            &["sync_metrics.avg_latency", "sync_metrics.success_rate"],
        ),
        ("GET /config ", "/config", &[]),
        ("GET /bitcoin/info ", "/bitcoin/info", &[]),
        ("GET /bitcoin/blocks/", &block, &[]),
    ];
    // The figures of the node, the CPU and the disk appear after the first measurement.
    testkit::eventually(DEADLINE, "every figure of /metrics", async || {
        let metrics = get(&relay, "/metrics").await;
        let unknown = |part: &str| metrics[part].as_object().unwrap().values().any(Value::is_null);
        (!unknown("bitcoin_metrics") && !unknown("system_metrics")).then_some(())
    })
    .await;
    for (request, path, unknown) in cases {
        let reply = fetch(&relay, path).await;
        reference.check(path, reference.answer(request), reply.text(), unknown);
    }
}

#[tokio::test]
async fn health_reports_the_actual_state() {
    let relay = start().await;
    let health = get(&relay, "/health").await;
    for (field, value) in [
        ("status", json!("healthy")),
        ("version", json!("1.0.0")),
        ("problems", json!([])),
        (
            "services",
            json!({"bitcoin_core": "connected", "blindbit": "own_index", "websocket": "listening", "sync_manager": "active"}),
        ),
        (
            "checks",
            json!({"bitcoin_rpc": true, "blindbit_api": true, "websocket_server": true, "sync_manager": true}),
        ),
    ] {
        assert_eq!(health[field], value, "{field}");
    }
    let live = fetch(&relay, "/health/live").await;
    assert_eq!(Json::parse(live.text()).keys(), ["status", "timestamp"]);
    assert_eq!(live.json()["status"], "live");
    let ready = fetch(&relay, "/health/ready").await;
    assert_eq!(Json::parse(ready.text()).keys(), ["status", "reason", "timestamp"]);
    assert_eq!(
        (&ready.json()["status"], &ready.json()["reason"]),
        (&json!("ready"), &Value::Null)
    );
}

#[tokio::test]
async fn a_block_equals_the_reply_of_the_node() {
    let relay = start().await;
    let hashes = mine(&relay, 2).await;
    let of = async |hash: &str| fetch(&relay, &format!("/bitcoin/blocks/{hash}")).await.json();
    let (first, second) = (of(&hashes[0]).await, of(&hashes[1].to_uppercase()).await);
    assert_eq!(
        (&first["hash"], &first["nextblockhash"]),
        (&json!(hashes[0]), &json!(hashes[1]))
    );
    assert_eq!(
        (&second["previousblockhash"], &second["nextblockhash"]),
        (&json!(hashes[0]), &Value::Null)
    );
    assert_eq!(
        (&first["confirmations"], &second["confirmations"]),
        (&json!(2), &json!(1))
    );
    let info = get(&relay, "/bitcoin/info").await;
    assert_eq!(info["blockchain_info"]["bestblockhash"], second["hash"]);
    assert_eq!(info["blockchain_info"]["blocks"], second["height"]);
    assert_eq!(info["blockchain_info"]["chain"], "regtest");
}

#[tokio::test]
async fn fees_of_the_development_chain_are_what_it_relays() {
    let relay = start().await;
    let fees = get(&relay, "/fees").await;
    let blocks: Vec<_> = fees["estimates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["blocks"])
        .collect();
    assert_eq!(json!(blocks), json!([1, 2, 3, 4, 5, 10, 25, 50]));
    assert!(
        fees["estimates"]
            .as_array()
            .unwrap()
            .iter()
            .all(|e| e["sat_per_vbyte"] == 1.0),
        "{fees}"
    );
    assert_eq!(
        (&fees["mempool_minimum"], &fees["relay_minimum"]),
        (&json!(1.0), &json!(1.0))
    );
}

#[tokio::test]
async fn dev_routes_mine_and_pay() {
    let relay = start().await;
    let url = relay.http_url();
    let mined = http_post(&format!("{url}/dev/mine"), &json!({"blocks": 3})).await;
    assert_eq!(Json::parse(mined.text()).keys(), ["blocks", "height", "timestamp"]);
    assert_eq!(mined.json()["blocks"].as_array().unwrap().len(), 3);
    let height = mined.json()["height"].as_u64().unwrap();
    // A body is not needed.
    let request = hyper::Request::post(format!("{url}/dev/mine"))
        .body(http_body_util::Full::default())
        .unwrap();
    let one = testkit::http_send(request).await.json();
    assert_eq!(
        (one["height"].as_u64(), one["blocks"].as_array().unwrap().len()),
        (Some(height + 1), 1)
    );

    let address = get(&relay, "/config").await["silent_payment_address"].clone();
    let paid = http_post(
        &format!("{url}/dev/pay"),
        &json!({"address": address, "amount": "0.00100"}),
    )
    .await;
    assert_eq!(
        Json::parse(paid.text()).keys(),
        ["txid", "address", "amount", "amount_sats", "timestamp"]
    );
    let paid = paid.json();
    assert_eq!((&paid["address"], &paid["amount"]), (&address, &json!("0.001")));
    assert_eq!(paid["amount_sats"], 100_000);
    assert_eq!(get(&relay, "/bitcoin/info").await["mempool_info"]["size"], 1);
    let block = mine(&relay, 1).await.remove(0);
    let block = get(&relay, &format!("/bitcoin/blocks/{block}")).await;
    assert!(block["tx"].as_array().unwrap().contains(&paid["txid"]), "{block}");
}
