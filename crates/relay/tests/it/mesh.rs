//! Three relays on one node: they discover each other, sync, detect disconnects and reconnects, and reject impostors
//! and unauthenticated relays.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use sdk_relay_client::{Client, ClientEvent, Event, Topic};
use serde_json::{Value, json};
use testkit::{Bitcoind, PooledNode, RelayOptions, RelayProcess, eventually, http_get, http_post, http_send};

const DEADLINE: Duration = Duration::from_secs(60);

fn options(node: &Bitcoind, name: &str, peers: &[&str]) -> RelayOptions {
    configured(RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")), node, name, peers)
}

/// The same of a relay that waits for other relays no longer than a test should.
fn impatient(node: &Bitcoind, name: &str, peers: &[&str]) -> RelayOptions {
    configured(crate::impatient::in_mesh(), node, name, peers)
}

fn configured(options: RelayOptions, node: &Bitcoind, name: &str, peers: &[&str]) -> RelayOptions {
    options
        .node(node)
        .in_mesh()
        .set("RELAY_ID", name)
        .set("SYNC__INTERVAL", "1")
        .set("SYNC__HEALTH_INTERVAL", "1")
        .set("SYNC__METRICS_INTERVAL", "1")
        .set("MESH__PEERS", peers.join(","))
}

async fn get(relay: &RelayProcess, path: &str) -> Value {
    let reply = http_get(&format!("{}{path}", relay.http_url())).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

/// The relay's list, once it equals `wanted`: name and health of each relay, itself first, then by name.
async fn sees(relay: &RelayProcess, wanted: &[(&str, &str)]) -> Value {
    let what = format!("{wanted:?}");
    eventually(DEADLINE, what, async || {
        let mut list = get(relay, "/relays").await;
        let relays = list["relays"].as_array_mut().unwrap();
        relays[1..].sort_by_key(|r| r["relay_id"].to_string());
        let seen: Vec<_> = list["relays"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| (r["relay_id"].as_str().unwrap(), r["health"].as_str().unwrap_or("?")))
            .collect();
        (seen == wanted).then(|| list.clone())
    })
    .await
}

#[tokio::test]
async fn relays_discover_each_other_sync_and_notice_failures() {
    let node = PooledNode::take(testkit::Options::default()).await;
    let a = RelayProcess::start(options(&node, "a", &[])).await;
    let b = RelayProcess::start(options(&node, "b", &[&a.ws_url()])).await;
    // It knows only b.
    let mut c = RelayProcess::start(options(&node, "c", &[&b.ws_url()])).await;
    let list = sees(&c, &[("c", "healthy"), ("a", "healthy"), ("b", "healthy")]).await;
    sees(&a, &[("a", "healthy"), ("b", "healthy"), ("c", "healthy")]).await;
    assert_eq!((&list["total"], &list["healthy"]), (&json!(3), &json!(3)));
    assert_eq!(
        format!("ws://{}", list["relays"][1]["address"].as_str().unwrap()),
        a.ws_url()
    );

    // The metrics of b are sent with its syncs.
    eventually(DEADLINE, "b's metrics and a measured latency", async || {
        let reported = get(&a, "/relays/b").await;
        (reported["metrics"]["sync_responses"].as_u64()? > 0
            && reported["latency"].as_f64()? > 0.0
            && reported["uptime"].is_u64()
            && reported["configuration"]["network"] == "regtest")
            .then_some(())
    })
    .await;
    eventually(DEADLINE, "all are counted", async || {
        let metrics = get(&a, "/metrics").await;
        (metrics["sync_metrics"]["known_relays"] == 3).then_some(())
    })
    .await;

    // Each has one link with every other relay and can send requests over it, whichever end dialled.
    eventually(DEADLINE, "links from a to both", async || {
        (get(&a, "/metrics")
            .await
            .to_string()
            .contains(r#""mesh_connections":2"#))
        .then_some(())
    })
    .await;
    let forced = http_post(&format!("{}/sync/force", a.http_url()), &json!({}))
        .await
        .json();
    assert_eq!(forced["target_relays"], json!(["b", "c"]));
    let path = format!("/sync/force/{}", forced["sync_id"].as_str().unwrap());
    let done = eventually(DEADLINE, "the forced sync's end", async || {
        Some(get(&a, &path).await).filter(|f| f["status"] != "in_progress")
    })
    .await;
    assert_eq!(
        (&done["status"], done["results"].as_array().unwrap().len()),
        (&json!("completed"), 6)
    );
    assert!(
        done["results"]
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["latency"].as_f64().unwrap() > 0.0)
    );
    let history = get(&a, "/sync/history?target_relay=b&status=success&limit=1000").await;
    let outbound: Vec<_> = history["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["direction"] == "outbound")
        .collect();
    for kind in ["StateSync", "HealthSync", "MetricsSync"] {
        let of_kind = outbound.iter().find(|r| r["sync_type"] == kind).unwrap();
        assert!(of_kind["payload_size"].as_u64().unwrap() > 100, "{of_kind}");
    }

    // Clients receive the disconnect and the reconnect.
    let (app, mut events) = Client::builder(&a.ws_url())
        .topics([Topic::Notifications])
        .connect()
        .await
        .unwrap();
    eventually(DEADLINE, "the others' addresses for clients", async || {
        let (probe, _events) = Client::builder(&a.ws_url()).connect().await.unwrap();
        let reported = probe.relay().relays.len();
        probe.close().await;
        (reported == 2).then_some(())
    })
    .await;
    c.kill9();
    let received = async |events: &mut sdk_relay_client::Events, wanted: &str| {
        let next = async {
            loop {
                if let Some(ClientEvent::Notification(n)) = events.recv().await {
                    match n.event {
                        Event::RelayConnected(r) if wanted == format!("+{}", r.relay_id) => return,
                        Event::RelayDisconnected(r) if wanted == format!("-{}", r.relay_id) => return,
                        _ => {}
                    }
                }
            }
        };
        tokio::time::timeout(DEADLINE, next)
            .await
            .unwrap_or_else(|_| panic!("no {wanted}"));
    };
    received(&mut events, "-c").await;
    sees(&a, &[("a", "healthy"), ("b", "healthy"), ("c", "critical")]).await;
    c.start_again().await;
    received(&mut events, "+c").await;
    sees(&a, &[("a", "healthy"), ("b", "healthy"), ("c", "healthy")]).await;
    // A relay that leaves is not reported as failed.
    assert!(c.terminate().await.success());
    received(&mut events, "-c").await;
    sees(&a, &[("a", "healthy"), ("b", "healthy")]).await;
    app.close().await;
}

/// No periodic sync happens during a test.
fn slow(options: RelayOptions) -> RelayOptions {
    let keys = ["INTERVAL", "HEALTH_INTERVAL", "METRICS_INTERVAL"];
    keys.iter()
        .fold(options, |options, key| options.set(&format!("SYNC__{key}"), "3600"))
}

fn signal(relay: &RelayProcess, signal: &str) {
    let pid = relay.pid().to_string();
    let sent = std::process::Command::new("sh")
        .args(["-c", &format!("kill -{signal} {pid}")])
        .status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn an_unanswered_sync_is_retried_once_and_then_fails() {
    let node = PooledNode::take(testkit::Options::default()).await;
    let a = RelayProcess::start(slow(options(&node, "a", &[]))).await;
    let b = RelayProcess::start(slow(impatient(&node, "b", &[&a.ws_url()]))).await;
    sees(&b, &[("b", "healthy"), ("a", "healthy")]).await;
    // The state syncs of a new link are not among the unanswered ones.
    eventually(DEADLINE, "the end of the first syncs", async || {
        let status = get(&b, "/sync/status").await;
        (status["status"] == "idle" && status["statistics"]["total_syncs"].as_u64()? > 0).then_some(())
    })
    .await;
    // It keeps its connections, and sends nothing.
    signal(&a, "STOP");
    let order = json!({"target_relays": ["a"], "sync_types": ["HealthSync"]});
    let forced = http_post(&format!("{}/sync/force", b.http_url()), &order).await.json();
    let path = format!("/sync/force/{}", forced["sync_id"].as_str().unwrap());
    let ended = eventually(DEADLINE, "the forced sync's end", async || {
        Some(get(&b, &path).await).filter(|forced| forced["status"] != "in_progress")
    })
    .await;
    let failed = async || {
        let history = get(&b, "/sync/history?target_relay=a&sync_type=HealthSync&status=failed").await;
        history["history"].as_array().unwrap().clone()
    };
    let failures = failed().await;
    assert_eq!(failures.len(), 1, "{failures:?}, {ended}");
    let error = failures[0]["error"].as_str().unwrap();
    assert!(error.contains("after two attempts"), "{error}");
    // The mesh may have sent a state sync meanwhile.
    let all = get(&b, "/sync/history?status=failed&limit=1000").await;
    let all = all["history"].as_array().unwrap().len();
    assert_eq!(get(&b, "/metrics").await["sync_metrics"]["error_count"], all);

    signal(&a, "CONT");
    let forced = http_post(&format!("{}/sync/force", b.http_url()), &order).await.json();
    let path = format!("/sync/force/{}", forced["sync_id"].as_str().unwrap());
    let done = eventually(DEADLINE, "the next one's end", async || {
        Some(get(&b, &path).await).filter(|f| f["status"] != "in_progress")
    })
    .await;
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(failed().await.len(), 1);
}

/// No sync is due for an hour: only the goodbye removes the relay that left.
#[tokio::test]
async fn a_leave_is_sent_on_each_link_whichever_end_dialled() {
    let node = PooledNode::take(testkit::Options::default()).await;
    for the_listener_leaves in [true, false] {
        let mut listens = RelayProcess::start(slow(options(&node, "listens", &[]))).await;
        let mut dials = RelayProcess::start(slow(options(&node, "dials", &[&listens.ws_url()]))).await;
        sees(&listens, &[("listens", "healthy"), ("dials", "healthy")]).await;
        sees(&dials, &[("dials", "healthy"), ("listens", "healthy")]).await;
        if the_listener_leaves {
            assert!(listens.terminate().await.success());
            sees(&dials, &[("dials", "healthy")]).await;
        } else {
            assert!(dials.terminate().await.success());
            sees(&listens, &[("listens", "healthy")]).await;
        }
    }
}

#[tokio::test]
async fn a_changed_interval_takes_effect_immediately() {
    let node = PooledNode::take(testkit::Options::default()).await;
    let a = RelayProcess::start(slow(options(&node, "a", &[]))).await;
    let b = RelayProcess::start(slow(options(&node, "b", &[&a.ws_url()]))).await;
    sees(&a, &[("a", "healthy"), ("b", "healthy")]).await;
    sees(&b, &[("b", "healthy"), ("a", "healthy")]).await;
    let asked = async |kind: &str| {
        let path = format!("/sync/history?sync_type={kind}&limit=1000");
        let history = get(&b, &path).await;
        let all = history["history"].as_array().unwrap().iter();
        all.filter(|r| r["direction"] == "outbound").count()
    };
    assert_eq!(
        (asked("HealthSync").await, asked("MetricsSync").await),
        (0, 0),
        "not before an hour has passed"
    );

    let change = json!({"sync": {"interval": 1, "health_interval": 1, "metrics_interval": 1}});
    let request = Request::put(format!("{}/config", b.http_url())).header("content-type", "application/json");
    let reply = http_send(request.body(Full::new(Bytes::from(change.to_string()))).unwrap()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    for kind in ["StateSync", "HealthSync", "MetricsSync"] {
        let so_far = asked(kind).await;
        eventually(DEADLINE, format!("three {kind} more"), async || {
            (asked(kind).await >= so_far + 3).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_stolen_name_and_a_wrong_secret_are_refused() {
    let node = PooledNode::take(testkit::Options::default()).await;
    let secret = "the-secret-of-this-mesh";
    let a = RelayProcess::start(options(&node, "a", &[]).set("MESH__SECRET", secret)).await;
    let own_key = get(&a, "/relays/a").await["public_key"].as_str().unwrap().to_owned();
    let pinned = format!("{}#{own_key}", a.ws_url());
    let b = RelayProcess::start(options(&node, "b", &[&pinned]).set("MESH__SECRET", secret)).await;
    sees(&a, &[("a", "healthy"), ("b", "healthy")]).await;

    let refused = async |relay: &RelayProcess, why: &str| {
        eventually(DEADLINE, why, async || relay.stderr().contains(why).then_some(())).await;
        assert!(!relay.stderr().contains(secret));
        sees(
            relay,
            &[(
                get(relay, "/relays").await["relays"][0]["relay_id"].as_str().unwrap(),
                "healthy",
            )],
        )
        .await;
    };
    // b's name with another key.
    let thief = RelayProcess::start(options(&node, "b", &[&a.ws_url()]).set("MESH__SECRET", secret)).await;
    refused(&thief, "belongs to another key").await;
    let stranger =
        RelayProcess::start(options(&node, "x", &[&a.ws_url()]).set("MESH__SECRET", "some-other-secret")).await;
    refused(&stranger, "mesh.secret").await;
    let open = RelayProcess::start(options(&node, "y", &[&a.ws_url()])).await;
    refused(&open, "mesh.secret").await;
    // Another relay at an address with a pinned key.
    let wrong = format!("{}#{}", b.ws_url(), own_key);
    let misled = RelayProcess::start(options(&node, "z", &[&wrong]).set("MESH__SECRET", secret)).await;
    refused(&misled, "unexpected key").await;
    // Without any key.
    let unproven = Client::builder(&a.ws_url())
        .relay("q", None)
        .connect()
        .await
        .unwrap_err();
    assert!(unproven.to_string().contains("mesh.secret"), "{unproven}");
    let key = get(&a, "/relays/b").await["public_key"].clone();
    assert_eq!(
        key,
        get(&b, "/relays/b").await["public_key"],
        "a has linked to the b that it knew first"
    );
}

/// Lines of the file of bound names.
fn bound(relay: &RelayProcess) -> String {
    match std::fs::read_to_string(relay.data_dir().join("mesh.names")) {
        Ok(lines) => lines,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_name_is_bound_once_its_link_has_lasted_and_then_kept_from_others() {
    let node = PooledNode::take(testkit::Options::default()).await;
    let mut a = RelayProcess::start(impatient(&node, "a", &[])).await;
    let mut b = RelayProcess::start(impatient(&node, "b", &[&a.ws_url()])).await;
    sees(&a, &[("a", "healthy"), ("b", "healthy")]).await;
    assert_eq!(bound(&a), "", "it has only just come");
    let key = get(&b, "/relays/b").await["public_key"].as_str().unwrap().to_owned();
    let line = format!("b {key} ");
    eventually(DEADLINE, "b's name in the file", async || {
        bound(&a).starts_with(&line).then_some(())
    })
    .await;
    assert_eq!(bound(&a).lines().count(), 1);
    // After a restart, and without b, its name is still bound: a relay with another key is refused.
    assert!(b.terminate().await.success());
    assert!(a.terminate().await.success());
    a.start_again().await;
    let thief = RelayProcess::start(impatient(&node, "b", &[&a.ws_url()])).await;
    eventually(DEADLINE, "the thief's refusal", async || {
        thief.stderr().contains("belongs to another key").then_some(())
    })
    .await;
    sees(&a, &[("a", "healthy")]).await;
    // So is one without a key.
    let unproven = Client::builder(&a.ws_url())
        .relay("b", None)
        .connect()
        .await
        .unwrap_err();
    assert!(unproven.to_string().contains("is bound to a key"), "{unproven}");
    drop(thief);
    b.start_again().await;
    sees(&a, &[("a", "healthy"), ("b", "healthy")]).await;
    assert_eq!(get(&a, "/relays/b").await["public_key"], key);
}

#[tokio::test]
async fn an_address_that_others_cannot_use_is_not_announced() {
    let node = PooledNode::take(testkit::Options::default()).await;
    let a = RelayProcess::start(options(&node, "a", &[])).await;
    // It listens on the same address, and advertises nothing.
    let b = options(&node, "b", &[&a.ws_url()]).set("MESH__ADVERTISE", "");
    let b = RelayProcess::start(b).await;
    let everywhere = options(&node, "c", &[&a.ws_url()])
        .set("WS_URL", "0.0.0.0:0")
        .set("MESH__ADVERTISE", "");
    let c = RelayProcess::start(everywhere).await;
    for relay in [&b, &c] {
        assert!(relay.stderr().contains("set mesh.advertise"), "{}", relay.stderr());
    }
    assert!(!a.stderr().contains("set mesh.advertise"));
    sees(&a, &[("a", "healthy"), ("b", "healthy"), ("c", "healthy")]).await;
    for (relay, name) in [(&a, "b"), (&a, "c"), (&b, "b"), (&c, "c"), (&c, "b")] {
        let path = format!("/relays/{name}");
        let listed = eventually(DEADLINE, format!("{path} is known"), async || {
            let reply = http_get(&format!("{}{path}", relay.http_url())).await;
            (reply.status == 200).then(|| reply.json())
        })
        .await;
        assert_eq!(
            (listed.get("address"), listed.get("url")),
            (Some(&Value::Null), Some(&Value::Null)),
            "{listed}"
        );
    }
    // a's own address can be used; c, which knows it over a link, must not forward a loopback address, as it is itself
    // reached from other machines.
    assert_eq!(get(&a, "/relays/a").await["url"], a.ws_url());
    assert_eq!(get(&c, "/relays/a").await["url"], Value::Null);
    for relay in [&a, &b, &c] {
        let (probe, _events) = Client::builder(&relay.ws_url().replace("0.0.0.0", "127.0.0.1"))
            .connect()
            .await
            .unwrap();
        assert_eq!(probe.relay().relays, [], "no other relay can be reached");
        probe.close().await;
    }
}

#[tokio::test]
async fn eight_silent_configured_relays_do_not_delay_a_ninth() {
    let node = PooledNode::take(testkit::Options::default()).await;
    let good = RelayProcess::start(options(&node, "good", &[])).await;
    let mut mute = Vec::new();
    for _ in 0..8 {
        mute.push(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let urls: Vec<String> = mute
        .iter()
        .map(|listener| format!("ws://{}", listener.local_addr().unwrap()))
        .chain([good.ws_url()])
        .collect();
    let peers: Vec<&str> = urls.iter().map(String::as_str).collect();
    // A dial that waited for the next interval would wait for an hour.
    let relay = RelayProcess::start(slow(options(&node, "relay", &peers))).await;
    sees(&relay, &[("relay", "healthy"), ("good", "healthy")]).await;
}
