//! `GET /logs`, from outside the process.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use sdk_relay_client::protocol::{SecretHex, encode_text};
use sdk_relay_client::{Client, RawClient, SyncType, Watch};
use serde_json::{Value, json};
use testkit::{Bitcoind, HttpReply, Options, RelayOptions, RelayProcess, eventually, http_get, http_send};

use crate::support::DEADLINE;

fn options() -> RelayOptions {
    RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).set("RELAY_ID", "relay-1")
}

async fn logs(relay: &RelayProcess, query: &str) -> Value {
    let reply = http_get(&format!("{}/logs?{query}", relay.http_url())).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    reply.json()
}

fn messages(logs: &Value) -> Vec<&str> {
    logs["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["message"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn lines_have_their_module_and_fields() {
    let relay = RelayProcess::start(options().arg("--standalone")).await;
    let all = logs(&relay, "").await;
    assert_eq!(all["filters"], json!({"level": null, "limit": 100, "search": null}));
    let output = messages(&all);
    let place = |message: &str| {
        output
            .iter()
            .position(|m| *m == message)
            .unwrap_or_else(|| panic!("{message}: {output:?}"))
    };
    assert!(
        place("starting") < place("listening") && place("listening") < place("ready"),
        "newest last"
    );

    let found = logs(&relay, "level=info&limit=50&search=LISTENING").await;
    assert_eq!((messages(&found), &found["total"]), (vec!["listening"], &json!(1)));
    assert_eq!(
        found["filters"],
        json!({"level": "info", "limit": 50, "search": "LISTENING"})
    );
    assert_eq!(
        found["levels"],
        json!({"debug": 0, "info": 1, "warn": 0, "error": 0, "trace": 0})
    );
    let line = &found["logs"][0];
    assert_eq!(
        (&line["level"], &line["relay_id"], &line["module"]),
        (&json!("info"), &json!("relay-1"), &json!("run"))
    );
    assert_eq!(format!("ws://{}", line["ws"].as_str().unwrap()), relay.ws_url());
    assert!(line["line"].is_u64());
    let at = line["timestamp"].as_str().unwrap();
    assert!(at.len() == 20 && at.starts_with("20") && at.ends_with('Z'), "{at}");

    // In the order of the samples of the reference: the fields of the line are between `relay_id` and `module`.
    let text = http_get(&format!("{}/logs?search=listening", relay.http_url())).await;
    let keys = ["timestamp", "level", "message", "relay_id", "ws", "module", "line"];
    let places: Vec<_> = keys.map(|key| text.text().find(&format!("\"{key}\":")).unwrap()).into();
    assert!(places.is_sorted(), "{}", text.text());

    assert_eq!(logs(&relay, "level=error").await["total"], 0);
    let last = logs(&relay, "limit=1").await;
    assert_eq!(messages(&last).len(), 1);
    assert!(last["total"].as_u64().unwrap() > 1);
    for (query, status, field) in [
        ("limit=0", 422, json!("limit")),
        ("level=loud", 422, json!("level")),
        (&format!("search={}", "x".repeat(257)), 422, json!("search")),
        ("limit=few", 400, Value::Null),
    ] {
        let reply = http_get(&format!("{}/logs?{query}", relay.http_url())).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["errors"][0]["field"]),
            (status, &field),
            "{query}"
        );
    }
}

const ADMIN_TOKEN: &str = "admin-7d0a2c41e9b35f68";
const READ_TOKEN: &str = "reader-b86f13d2a4c97e50";
const PASSWORD: &str = "node-52e8c0b7f1a6943d";
const SCAN_KEY: &str = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
const SPEND_KEY: &str = "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";

async fn as_admin(relay: &RelayProcess, path: &str, token: &str) -> HttpReply {
    let request =
        Request::get(format!("{}{path}", relay.http_url())).header("authorization", format!("Bearer {token}"));
    http_send(request.body(Full::<Bytes>::default()).unwrap()).await
}

#[tokio::test]
async fn no_secret_is_in_the_log_at_its_loudest() {
    // Of its own: it has the password that is searched.
    let node = Bitcoind::start(Options {
        user: Some(("relay".to_owned(), PASSWORD.to_owned())),
        ..Options::default()
    })
    .await;
    let loud = options()
        .node(&node)
        .set("LOG__LEVEL", "trace")
        .set("AUTH__ADMIN_TOKEN", ADMIN_TOKEN);
    let relay = RelayProcess::start(loud).await;

    let (client, _events) = Client::builder(&relay.ws_url())
        .capabilities(["notifications", "sync"])
        .connect()
        .await
        .unwrap();
    let watch = Watch {
        labels: Some(vec![1]),
        ..Watch::of_keys(SecretHex::new(SCAN_KEY.to_owned()), SPEND_KEY.to_owned())
    };
    let watching = client.watch(watch).await.unwrap();
    client.sync(SyncType::StateSync).await.unwrap();
    client.unwatch(&watching.watch_id).await.unwrap();
    client.close().await;
    // A refused watch, and one that is not a valid message.
    let mut raw = RawClient::connect(&relay.ws_url()).await.unwrap();
    let hello =
        json!({"type": "handshake", "client_id": "raw", "version": "1.0.0", "capabilities": [], "token": READ_TOKEN});
    raw.send_text(hello.to_string()).await.unwrap();
    raw.next_message().await.unwrap();
    for wrong in [
        json!({"type": "watch", "scan_private_key": SCAN_KEY, "spend_public_key": "02"}).to_string(),
        json!({"type": "watch", "scan_private_key": format!("{SCAN_KEY}00"), "spend_public_key": SPEND_KEY})
            .to_string(),
        format!("{{\"type\":\"watch\",\"scan_private_key\":\"{SCAN_KEY}\""),
    ] {
        raw.send_text(wrong).await.unwrap();
        let answer = encode_text(&raw.next_message().await.unwrap()).unwrap();
        assert!(answer.contains("error") && !answer.contains(SCAN_KEY), "{answer}");
    }

    let wrong = as_admin(&relay, "/logs", READ_TOKEN).await;
    assert_eq!(
        (
            wrong.status.as_u16(),
            wrong.headers["www-authenticate"].to_str().unwrap()
        ),
        (401, "Bearer")
    );
    assert_eq!(http_get(&format!("{}/logs", relay.http_url())).await.status, 401);
    let everything = as_admin(&relay, "/logs?level=trace&limit=1000", ADMIN_TOKEN).await;
    assert_eq!(everything.status, 200, "{}", everything.text());
    assert!(
        everything.json()["levels"]["trace"].as_u64().unwrap() > 0,
        "the log is at its loudest"
    );
    let stderr = relay.stderr();
    let wallet = std::fs::read_to_string(relay.data_dir().join("wallet.key")).unwrap();
    let keys = wallet
        .split(|c: char| !c.is_ascii_hexdigit())
        .filter(|word| word.len() == 64);
    let basic = BASE64_STANDARD.encode(format!("relay:{PASSWORD}"));
    let secrets: Vec<&str> = [ADMIN_TOKEN, READ_TOKEN, PASSWORD, SCAN_KEY, &basic]
        .into_iter()
        .chain(keys)
        .collect();
    assert!(secrets.len() > 5, "the relay's own keys are among them");
    for secret in secrets {
        assert!(!stderr.contains(secret), "{secret} is on standard error");
        let encoded: String = secret.bytes().map(|b| format!("%{b:02X}")).collect();
        let found = as_admin(&relay, &format!("/logs?search={encoded}"), ADMIN_TOKEN)
            .await
            .json();
        assert_eq!(
            (&found["total"], &found["filters"]["search"]),
            (&json!(0), &json!(secret))
        );
    }
    // The search works: it finds existing lines.
    assert!(as_admin(&relay, "/logs?search=listening", ADMIN_TOKEN).await.json()["total"].as_u64() > Some(0));
}

#[tokio::test]
async fn lines_of_a_connection_have_its_id() {
    let relay = RelayProcess::start(options().arg("--standalone").set("LOG__LEVEL", "info,sdk_relay=debug")).await;
    let client = RawClient::connect(&relay.ws_url()).await.unwrap();
    drop(client);
    let lines = eventually(DEADLINE, "the end of the connection", async || {
        let stderr = relay.stderr();
        let lines = stderr.lines().filter(|line| line.contains(" connection{id="));
        let lines: Vec<_> = lines.map(str::to_owned).collect();
        let is_end = |line: &String| line.contains("the connection was lost client=");
        lines.iter().any(is_end).then_some(lines)
    })
    .await;
    assert!(
        lines[0].contains("a client has connected client=127.0.0.1"),
        "{lines:?}"
    );
}

/// The level changes without a restart: over `PUT /config`, and on SIGHUP after an edit of the file.
#[cfg(unix)]
#[tokio::test]
async fn the_level_changes_while_the_relay_runs() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sdk_relay.toml");
    std::fs::write(&file, "[log]\nlevel = \"info\"\n").unwrap();
    let relay = RelayProcess::start(options().data_dir(dir.path()).arg("--standalone")).await;
    let debug_lines = async || {
        logs(&relay, "level=debug&limit=1000").await["levels"]["debug"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(debug_lines().await, 0);
    let put = async |level: Value| {
        let body = json!({"log": {"level": level}}).to_string();
        let request = Request::put(format!("{}/config", relay.http_url())).header("content-type", "application/json");
        http_send(request.body(Full::new(Bytes::from(body))).unwrap()).await
    };
    let refused = put(json!("warning")).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("did you mean warn?"), "{}", refused.text());
    let changed = put(json!("debug")).await.json();
    assert_eq!(
        (&changed["restart_required"], &changed["changes"][0]),
        (&json!(false), &json!("log.level: info -> debug"))
    );
    eventually(DEADLINE, "lines of debug", async || {
        // A client that connects is logged at this level.
        drop(Client::builder(&relay.ws_url()).connect().await.unwrap());
        (debug_lines().await > 0).then_some(())
    })
    .await;
    assert_eq!(
        http_get(&format!("{}/config", relay.http_url())).await.json()["log"]["level"],
        "debug"
    );

    // Reverted, the file decides, which SIGHUP reads again.
    put(Value::Null).await;
    std::fs::write(&file, "[log]\nlevel = \"info,sdk_relay_ws=trace\"\n").unwrap();
    let hang_up = |pid: u32| {
        std::process::Command::new("kill")
            .args(["-HUP", &pid.to_string()])
            .status()
            .unwrap()
    };
    assert!(hang_up(relay.pid()).success());
    let level = eventually(DEADLINE, "another level", async || {
        let config = http_get(&format!("{}/config", relay.http_url())).await.json();
        (config["log"]["level"] != "info").then(|| config["log"]["level"].clone())
    });
    assert_eq!(level.await, "info,sdk_relay_ws=trace");
    std::fs::write(&file, "[log]\nlevel = \"loud\"\n").unwrap();
    assert!(hang_up(relay.pid()).success());
    eventually(DEADLINE, "the reason in the log", async || {
        let log = relay.stderr();
        log.contains("the configuration is invalid; keeping the old log.level")
            .then_some(())
    })
    .await;
}
