//! No secret leaves the relay: not by an answer, not by its log.

use http_body_util::Full;
use hyper::Request;
use serde_json::json;
use testkit::{Bitcoind, Options, Payee, RelayOptions, RelayProcess, http_get, http_send};

use crate::wire::{Wire, handshake};

const PASSWORD: &str = "c0rrect-h0rse-battery";
const SCAN: &str = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
const SPEND: &str = "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";

#[tokio::test]
async fn nothing_shows_a_password_or_a_key() {
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .set("BITCOIN_CORE__URL", "http://127.0.0.1:1")
        .set("BITCOIN_CORE__USER", "rpc-user-name")
        .set("BITCOIN_CORE__PASSWORD", PASSWORD)
        .set("WALLET__SCAN_PRIVATE_KEY", SCAN)
        .set("WALLET__SPEND_PUBLIC_KEY", SPEND)
        .set("LOG__LEVEL", "trace");
    let relay = RelayProcess::start_listening(options).await;
    let url = relay.http_url();
    let block = format!("/bitcoin/blocks/{}", "ab".repeat(32));
    for path in [
        "/config",
        "/health",
        "/health/ready",
        "/metrics",
        "/bitcoin/info",
        &block,
        "/nope",
    ] {
        let reply = http_get(&format!("{url}{path}")).await;
        for secret in [PASSWORD, SCAN] {
            assert!(!reply.text().contains(secret), "{path}: {}", reply.text());
            assert!(!format!("{:?}", reply.headers).contains(secret), "{path}");
        }
    }
    assert!(
        http_get(&format!("{url}/config")).await.text().contains("sprt1q"),
        "the wallet of these keys"
    );
    // The encoded credentials for the node are as sensitive as the password.
    let basic = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("rpc-user-name:{PASSWORD}"),
    );
    let log = relay.stderr();
    for secret in [PASSWORD, SCAN, &basic] {
        assert!(!log.contains(secret), "a secret is in the log:\n{log}");
    }
    assert!(log.contains("TRACE"), "the log is the most talkative one");
}

const ADMIN: &str = "admin-token-b1f6a2";
const READ: &str = "read-token-77c0de";

/// A relay on a real node with a secret at every possible place, used correctly and incorrectly: all of its output is
/// searched.
#[tokio::test]
async fn no_answer_contains_a_secret() {
    // Of its own: it has the password that is searched.
    let node = Bitcoind::start(Options {
        user: Some(("rpc-user-name".to_owned(), PASSWORD.to_owned())),
        ..Options::default()
    })
    .await;
    // Not the key of the API's examples, which its descriptions show.
    let own = Payee::new(&[]);
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .node(&node)
        .set("WALLET__SCAN_PRIVATE_KEY", own.scan_hex())
        .set("WALLET__SPEND_PUBLIC_KEY", own.spend_public_key().to_string())
        .set("AUTH__ADMIN_TOKEN", ADMIN)
        .set("AUTH__READ_TOKEN", READ)
        .set("LOG__LEVEL", "trace");
    let relay = RelayProcess::start(options).await;
    let payee = Payee::new(&[1]);
    let watched = payee.scan_hex();
    let basic = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("rpc-user-name:{PASSWORD}"),
    );
    let scan = own.scan_hex();
    let secrets = [PASSWORD, &scan, ADMIN, READ, &watched, &basic];
    let mut output = Vec::new();

    // HTTP: everything that the API describes, with a right token, a wrong one that is nearly right, and none.
    let open = ask(&relay, "GET", "/openapi.json", None, None).await;
    let document: serde_json::Value = serde_json::from_str(open.trim_end().rsplit_once('\n').unwrap().1).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 15, "{} paths", paths.len());
    for (path, methods) in paths {
        // A restart would interrupt the log, and the streams never end.
        if ["/restart", "/events", "/ws"].contains(&path.as_str()) {
            continue;
        }
        let path = path.replace("{block_hash}", &node.tip().await.to_string());
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            for token in [Some(ADMIN), Some(READ), Some(&ADMIN[1..]), None] {
                // A body with misplaced secrets.
                for body in [
                    None,
                    Some(format!(
                        "{{\"hex\":\"{watched}\",\"sync\":{{\"interval\":\"{ADMIN}\"}}}}"
                    )),
                ] {
                    output.push(ask(&relay, &method, &path, token, body).await);
                }
            }
        }
    }

    // WebSocket: a wrong token, a right one, a watch, a wrong watch, a message with the key in the wrong place.
    let shake = |token: &str| {
        let mut handshake = handshake(&["notifications", "sync", "health", "metrics", "tweaks"]);
        handshake["token"] = json!(token);
        handshake
    };
    let (_, rejected) = Wire::connect_with(&relay.ws_url(), shake(&READ[1..])).await;
    output.push(rejected.to_string());
    let (mut wire, accepted) = Wire::connect_with(&relay.ws_url(), shake(READ)).await;
    output.push(accepted.to_string());
    let right = json!({
        "type": "watch", "scan_private_key": watched, "spend_public_key": payee.spend_public_key().to_string(), "labels": [1]
    });
    let mut wrong = right.clone();
    wrong["spend_public_key"] = json!("02ff");
    let mut misplaced = right.clone();
    misplaced["labels"] = json!([watched]);
    for message in [
        right,
        wrong,
        misplaced,
        json!({"type": "ping"}),
        json!({"type": watched}),
    ] {
        output.push(wire.request(message).await.to_string());
    }
    wire.send_text(format!("{{\"type\":\"watch\",\"scan_private_key\":\"{watched}\""))
        .await;
    output.push(wire.answer_text().await);

    output.push(relay.stderr());
    for text in &output {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    assert!(relay.stderr().contains("TRACE"), "the log is the most talkative one");
}

/// A request; its answer as text: status, headers, body.
async fn ask(relay: &RelayProcess, method: &str, path: &str, token: Option<&str>, body: Option<String>) -> String {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", relay.http_url()));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let reply = http_send(request.body(Full::from(body.unwrap_or_default())).unwrap()).await;
    format!("{} {:?}\n{}", reply.status, reply.headers, reply.text())
}
