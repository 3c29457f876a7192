//! `PUT /config` and `POST /restart`, from outside the process.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use sdk_relay_client::{Client, ClientEvent, Disconnect, Topic};
use serde_json::{Value, json};
use testkit::{
    Bare, HttpReply, Options, PooledNode, RelayOptions, RelayProcess, eventually, http_get, http_post, http_send,
};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);

/// A restart keeps the ports only if they are configured.
fn standalone() -> RelayOptions {
    RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .arg("--standalone")
        .fixed_ports()
}

async fn put(relay: &RelayProcess, body: &Value) -> HttpReply {
    let request = Request::put(format!("{}/config", relay.http_url())).header("content-type", "application/json");
    http_send(request.body(Full::new(Bytes::from(body.to_string()))).unwrap()).await
}

async fn uptime_after_restart(relay: &RelayProcess, id: &str) {
    let log = format!("restarting restart_id=\"{id}\"");
    eventually(DEADLINE, "the log to name the restart", async || {
        relay.stderr().contains(&log).then_some(())
    })
    .await;
    let url = format!("{}/health/ready", relay.http_url());
    eventually(DEADLINE, "the relay to be ready again", async || {
        let ready = relay.stderr().matches(" ready ws=").count() >= 2;
        (ready && http_get(&url).await.status == 200).then_some(())
    })
    .await;
}

async fn restart(relay: &RelayProcess) {
    let answer = http_post(&format!("{}/restart", relay.http_url()), &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["status"], "restarting");
    uptime_after_restart(relay, answer["restart_id"].as_str().unwrap()).await;
}

async fn mine(relay: &RelayProcess) {
    assert_eq!(
        http_post(&format!("{}/dev/mine", relay.http_url()), &json!({}))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_wallet_of_the_node_pays_and_is_mined_to_at_once_after_a_restart() {
    let node = PooledNode::take(Options {
        wallet: true,
        ..Options::default()
    })
    .await;
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .node(&node)
        .fixed_ports()
        .set("BITCOIN_CORE__WALLET", "faucet")
        .set("DEV_MODE", "true");
    let relay = RelayProcess::start(options).await;
    let url = relay.http_url();
    let mined = http_post(&format!("{url}/dev/mine"), &json!({"blocks": 101})).await;
    assert_eq!(mined.status, 200, "{}", mined.text());
    let address = http_get(&format!("{url}/config")).await.json()["silent_payment_address"].clone();
    // Requests are answered before the wallet is open.
    restart(&relay).await;
    let mined = http_post(&format!("{url}/dev/mine"), &json!({})).await;
    assert_eq!(mined.status, 200, "{}", mined.text());
    let block = node
        .rpc()
        .call("getblock", json!([mined.json()["blocks"][0], 2]))
        .await
        .unwrap();
    // Without a wallet anyone could spend it.
    let script = &block["tx"][0]["vout"][0]["scriptPubKey"];
    assert!(script["address"].is_string() && script["hex"] != "51", "{block}");
    let pay = json!({"address": address, "amount": "0.001"});
    let paid = http_post(&format!("{url}/dev/pay"), &pay).await;
    assert_eq!(paid.status, 200, "{}", paid.text());
}

#[tokio::test]
async fn a_client_that_resumes_misses_nothing_over_a_restart() {
    let relay = RelayProcess::start(standalone()).await;
    let (_client, mut events) = Client::builder(&relay.ws_url())
        .topics([Topic::Notifications])
        .connect()
        .await
        .unwrap();
    mine(&relay).await;
    restart(&relay).await;
    mine(&relay).await;
    let (mut ids, mut closed_with) = (Vec::new(), None);
    while ids.len() < 2 {
        match timeout(DEADLINE, events.recv())
            .await
            .expect("an event in time")
            .unwrap()
        {
            ClientEvent::Notification(n) => ids.push(n.event_id.unwrap()),
            ClientEvent::Disconnected { reason, .. } => closed_with = closed_with.or(Some(reason)),
            _ => {}
        }
    }
    // Every block has two events, the second on the topic `tweaks`.
    assert_eq!(ids, [1, 3]);
    assert!(
        matches!(closed_with, Some(Disconnect::Closed { code: 1012, .. })),
        "{closed_with:?}"
    );
}

#[tokio::test]
async fn changes_take_effect_at_once_and_are_kept() {
    let relay = RelayProcess::start(standalone().set("SYNC__HEALTH_INTERVAL", "3600")).await;
    let (_client, mut events) = Client::builder(&relay.ws_url())
        .topics([Topic::Health])
        .connect()
        .await
        .unwrap();
    let first = timeout(DEADLINE, events.recv()).await.unwrap().unwrap();
    assert!(matches!(first, ClientEvent::Sync(_)), "{first:?}");
    let changed = put(&relay, &json!({"sync": {"health_interval": 1}})).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(changed.json()["changes"], json!(["sync.health_interval: 3600 -> 1"]));
    assert_eq!(changed.json()["restart_required"], false);
    let second = timeout(DEADLINE, events.recv())
        .await
        .expect("a report within the new interval")
        .unwrap();
    assert!(matches!(second, ClientEvent::Sync(_)), "{second:?}");

    let off = put(&relay, &json!({"dev_mode": false, "bitcoin_core": {"wallet": "w"}}))
        .await
        .json();
    assert_eq!(off["restart_required"], true);
    let mine_url = format!("{}/dev/mine", relay.http_url());
    assert_eq!(http_post(&mine_url, &json!({})).await.status, 404);
    restart(&relay).await;
    let config = http_get(&format!("{}/config", relay.http_url())).await.json();
    assert_eq!(
        (&config["sync"]["health_interval"], &config["dev_mode"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(
        (&config["bitcoin_core"]["wallet"], &config["restart_required"]),
        (&json!("w"), &json!(false))
    );
    assert_eq!(http_post(&mine_url, &json!({})).await.status, 404);
}

#[tokio::test]
async fn an_invalid_configuration_does_not_end_the_relay() {
    let dir = tempfile::tempdir().unwrap();
    let relay = RelayProcess::start(standalone().data_dir(dir.path())).await;
    std::fs::write(dir.path().join("sdk_relay.toml"), "[sync]\ninterval = \"often\"\n").unwrap();
    let refused = http_post(&format!("{}/restart", relay.http_url()), &json!({})).await;
    assert_eq!(refused.status, 422);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("sync.interval") && detail.contains("sdk_relay.toml"),
        "{detail}"
    );
    mine(&relay).await;

    // A port conflict is detected too late to refuse the restart: the relay continues with its old configuration.
    std::fs::remove_file(dir.path().join("sdk_relay.toml")).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = put(&relay, &json!({"ws_url": address})).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("cannot listen there"), "{}", refused.text());
    // It is taken after the change.
    drop(taken);
    let changed = put(&relay, &json!({"ws_url": address})).await;
    assert_eq!(changed.json()["restart_required"], true, "{}", changed.text());
    let _taken = std::net::TcpListener::bind(&address).unwrap();
    // This one needs no restart, and is not reverted by a failed one.
    assert_eq!(put(&relay, &json!({"sync": {"interval": 25}})).await.status, 200);
    restart(&relay).await;
    let config = http_get(&format!("{}/config", relay.http_url())).await.json();
    assert_eq!(
        (&config["sync"]["interval"], &config["restart_required"]),
        (&json!(25), &json!(true)),
        "{config}"
    );
    assert!(
        relay.stderr().contains("returning to the old one"),
        "{}",
        relay.stderr()
    );
    mine(&relay).await;
    let health_url = format!("{}/health", relay.http_url());
    let health = http_get(&health_url).await.json();
    let output = health["problems"][0].as_str().unwrap();
    assert!(
        output.contains("restart was abandoned") && output.contains("ws_url"),
        "{health}"
    );
    assert_eq!(health["status"], "degraded");

    // The next successful one ends it.
    let undone = put(&relay, &json!({"ws_url": null})).await;
    assert_eq!(
        undone.json()["changes"].as_array().unwrap().len(),
        1,
        "{}",
        undone.text()
    );
    assert_eq!(undone.json()["restart_required"], false);
    assert_eq!(
        http_post(&format!("{}/restart", relay.http_url()), &json!({}))
            .await
            .status,
        200
    );
    eventually(DEADLINE, "a healthy relay", async || {
        let restarted = relay.stderr().matches(" ready ws=").count() >= 3;
        (restarted && http_get(&health_url).await.json()["status"] == "healthy").then_some(())
    })
    .await;
}

#[tokio::test]
async fn errors_are_reported_by_field() {
    let relay = RelayProcess::start(standalone()).await;
    let wrong = put(&relay, &json!({"relay_id": "x", "sync": {"colour": 1}})).await;
    assert_eq!(wrong.status, 422);
    let mut fields: Vec<String> = wrong.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap().to_owned())
        .collect();
    fields.sort();
    assert_eq!(fields, ["relay_id", "sync.colour"]);
    // Each invalid value is reported, with the expectation.
    let both = json!({"sync": {"interval": -1, "health_interval": 86_401}, "bitcoin_core": {"password": "5ec2e7"}});
    let wrong = put(&relay, &both).await;
    assert_eq!(wrong.status, 422);
    let expected = "expected a whole number from 1 to 86400 (seconds)";
    let errors = &wrong.json()["errors"];
    for (at, field, message) in [
        (0, "sync.interval", format!("{expected}, not a negative number")),
        (1, "sync.health_interval", expected.to_owned()),
        (
            2,
            "bitcoin_core.password",
            "cannot be changed over HTTP: it is set in the configuration file or the environment".to_owned(),
        ),
    ] {
        assert_eq!(
            errors[at],
            json!({"field": field, "message": message}),
            "{}",
            wrong.text()
        );
    }
    assert!(!wrong.text().contains("5ec2e7"));
    // The next start would fail: an address that this machine does not have (RFC 5737), and one for both.
    let own = http_get(&format!("{}/config", relay.http_url())).await.json()["ws_url"].clone();
    for (key, address) in [("ws_url", json!("203.0.113.7:8090")), ("http_url", own)] {
        let refused = put(&relay, &json!({ key: address })).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert_eq!(refused.json()["errors"][0]["field"], key, "{}", refused.text());
    }
    let not_an_object = put(&relay, &json!([1])).await;
    assert_eq!(not_an_object.status, 422, "{}", not_an_object.text());
    let request = Request::put(format!("{}/config", relay.http_url()))
        .body(Full::new(Bytes::from_static(b"{}")))
        .unwrap();
    assert_eq!(http_send(request).await.status, 415);
}

/// A client that sends nothing, half a head, or half a body does not prevent the relay from reopening its store.
#[tokio::test]
async fn incomplete_connections_do_not_prevent_a_restart() {
    let relay = RelayProcess::start(standalone()).await;
    let (ws, http) = (relay.ws_url(), relay.http_url());
    let half_a_body =
        "POST /tx HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    let mut unfinished = Vec::new();
    for (url, sent) in [
        (&ws, ""),
        (&ws, "GET / HTTP/1.1\r\nHost: loc"),
        (&http, ""),
        (&http, "GET / HTTP/1.1\r\nHost: loc"),
        (&http, half_a_body),
    ] {
        let address = url.split("//").nth(1).unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, sent.as_bytes())
            .await
            .unwrap();
        unfinished.push(stream);
    }
    mine(&relay).await;
    restart(&relay).await;
    assert!(
        !relay.stderr().contains("in use by another process"),
        "{}",
        relay.stderr()
    );
    mine(&relay).await;
    drop(unfinished);
}

/// A client that does not answer its close delays the restart by seconds. Other clients can connect meanwhile, and are
/// answered.
#[tokio::test]
async fn ports_stay_open_while_a_restart_waits_for_a_client() {
    let relay = RelayProcess::start(standalone()).await;
    let (ws, http) = (relay.ws_url(), relay.http_url());
    let mut mute = Bare::connect(&ws).await.upgrade().await;
    let handshake = json!({"type": "handshake", "client_id": "mute", "version": "1.0.0", "capabilities": []});
    assert!(mute.send_frame(0x81, handshake.to_string().as_bytes()).await);
    assert!(mute.read_frame().await.is_some());
    let answer = http_post(&format!("{http}/restart"), &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut waiting = Vec::new();
    eventually(DEADLINE, "the relay to be ready again", async || {
        // A refused connection is a panic.
        let _reached = Bare::connect(&ws).await;
        let is_ready = relay.stderr().matches(" ready ws=").count() >= 2;
        if relay.stderr().contains(" restarting restart_id=") && waiting.len() < 10 {
            let mut bare = Bare::connect(&http).await;
            bare.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .await;
            waiting.push(bare);
        }
        is_ready.then_some(())
    })
    .await;
    let mut answered = 0;
    for mut bare in waiting {
        // One that the old relay accepted may have been closed with it.
        answered += u32::from(bare.read_to_end(DEADLINE).await.starts_with(b"HTTP/1.1 200 "));
    }
    assert!(answered >= 5, "{answered} of 10 were answered");
    mine(&relay).await;
}

/// The relay that runs would end, and its successor could not start.
#[tokio::test]
async fn a_restart_that_would_fail_at_a_data_file_is_refused() {
    let relay = RelayProcess::start(standalone()).await;
    for name in ["relay.redb", "mesh.names", "devchain.dat", "index", "index/index.redb"] {
        let path = relay.data_dir().join(name);
        let away = relay.data_dir().join("away");
        let was_there = path.exists();
        if was_there {
            std::fs::rename(&path, &away).unwrap();
        }
        if name == "index" {
            std::fs::write(&path, "").unwrap();
        } else {
            std::fs::create_dir(&path).unwrap();
        }
        let refused = http_post(&format!("{}/restart", relay.http_url()), &json!({})).await;
        assert_eq!(refused.status, 422, "{name}: {}", refused.text());
        assert!(refused.text().contains(name), "{}", refused.text());
        if name == "index" {
            std::fs::remove_file(&path).unwrap();
        } else {
            std::fs::remove_dir(&path).unwrap();
        }
        if was_there {
            std::fs::rename(&away, &path).unwrap();
        }
        mine(&relay).await;
    }
    restart(&relay).await;
}
