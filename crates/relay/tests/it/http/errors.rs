//! Every error is a problem document (RFC 9457), whatever detects it.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use testkit::{HttpReply, RelayOptions, RelayProcess, http_get, http_send};

use crate::wire::json::Json;
use crate::wire::{get, start};

/// Sends a request; checks that the answer is a problem document with this status, and returns it.
async fn problem(
    relay: &RelayProcess,
    method: &str,
    path: &str,
    body: Option<(&str, Bytes)>,
    status: u16,
) -> HttpReply {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", relay.http_url()));
    let body = body.map_or_else(Full::default, |(content_type, body)| {
        request
            .headers_mut()
            .unwrap()
            .insert("content-type", content_type.parse().unwrap());
        Full::from(body)
    });
    let reply = http_send(request.body(body).unwrap()).await;
    assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    assert_eq!(
        reply.headers["content-type"],
        "application/problem+json",
        "{method} {path}: {}",
        reply.text()
    );
    let document = reply.json();
    assert_eq!(document["status"], status, "{document}");
    assert_eq!(
        document["title"],
        reply.status.canonical_reason().unwrap(),
        "{document}"
    );
    let mut keys = vec!["type", "title", "status", "detail"];
    keys.extend((status == 422).then_some("errors"));
    assert_eq!(Json::parse(reply.text()).keys(), keys, "{document}");
    assert!(!document["detail"].as_str().unwrap().is_empty());
    reply
}

fn json_body(text: impl Into<String>) -> Option<(&'static str, Bytes)> {
    Some(("application/json", text.into().into()))
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let relay = start().await;
    let unknown = "ab".repeat(32);
    for path in [
        "/",
        "/nope",
        "/health/",
        "/health/nope",
        "/bitcoin",
        "/bitcoin/blocks/",
        "/dev",
        "//health",
    ] {
        problem(&relay, "GET", path, None, 404).await;
    }
    let root = problem(&relay, "GET", "/", None, 404).await;
    assert!(root.text().contains("/dashboard"), "{}", root.text());
    let reply = problem(&relay, "GET", &format!("/bitcoin/blocks/{unknown}"), None, 404).await;
    assert!(reply.text().contains(&unknown), "{}", reply.text());
    problem(&relay, "DELETE", "/nope", None, 404).await;
}

#[tokio::test]
async fn another_method_is_405_with_the_allowed_ones() {
    let relay = start().await;
    let get_only = [
        "/health",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/config",
        "/bitcoin/info",
        "/bitcoin/blocks/00",
        "/fees",
        "/tx/00",
    ];
    for path in get_only {
        for method in ["POST", "DELETE", "PATCH"] {
            let reply = problem(&relay, method, path, json_body("{}"), 405).await;
            let allowed = if path == "/config" { "GET,HEAD,PUT" } else { "GET,HEAD" };
            assert_eq!(reply.headers["allow"], allowed, "{method} {path}");
        }
    }
    for path in ["/dev/mine", "/dev/pay"] {
        let reply = problem(&relay, "GET", path, None, 405).await;
        assert_eq!(reply.headers["allow"], "POST", "{path}");
    }
    // A HEAD is a GET without its body.
    let request = Request::head(format!("{}/health", relay.http_url()))
        .body(Full::default())
        .unwrap();
    let reply = http_send(request).await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let relay = start().await;
    let large = || Some(("application/json", Bytes::from(vec![b' '; (1 << 20) + 1])));
    for path in ["/dev/pay", "/dev/mine"] {
        problem(&relay, "POST", path, large(), 413).await;
    }
}

#[tokio::test]
async fn invalid_json_is_400_and_another_content_type_415() {
    let relay = start().await;
    for path in ["/dev/pay", "/dev/mine"] {
        for text in ["{", "hello", "{'blocks':1}", "\u{feff}{}"] {
            problem(&relay, "POST", path, json_body(text), 400).await;
        }
        let bytes = Some(("application/json", Bytes::from_static(b"\"\xff\"")));
        problem(&relay, "POST", path, bytes, 400).await;
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
            problem(
                &relay,
                "POST",
                path,
                Some((content_type, Bytes::from_static(b"{}"))),
                415,
            )
            .await;
        }
    }
    problem(&relay, "POST", "/dev/pay", json_body(""), 400).await;
    problem(&relay, "POST", "/dev/pay", None, 415).await;
    // A path that cannot be decoded.
    problem(&relay, "GET", "/bitcoin/blocks/%ff", None, 400).await;
}

#[tokio::test]
async fn a_value_that_is_not_acceptable_is_422_and_named() {
    let relay = start().await;
    let own = get(&relay, "/config").await["silent_payment_address"]
        .as_str()
        .unwrap()
        .to_owned();
    // One of mainnet (BIP352, test vectors).
    let foreign = "sp1qqgste7k9hx0qftg6qmwlkqtwuy6cycyavzmzj85c6qdfhjdpdjtdgqjuexzk6murw56suy3e0rd2cgqvycxttddwsvgxe2usfpxumr70xc9pkqwv";
    let pay = |address: &str, amount: Value| json!({"address": address, "amount": amount});
    for (path, body, field, word) in [
        ("/dev/pay", pay(&own, json!(1)), "amount", "expected a string"),
        ("/dev/pay", pay(&own, json!("")), "amount", ""),
        ("/dev/pay", pay(&own, json!("much")), "amount", ""),
        ("/dev/pay", pay(&own, json!("-1")), "amount", ""),
        ("/dev/pay", pay(&own, json!("0")), "amount", ""),
        ("/dev/pay", pay(&own, json!("0.000000001")), "amount", ""),
        ("/dev/pay", pay(&own, json!("1e3")), "amount", ""),
        ("/dev/pay", pay(&own, json!("21000001")), "amount", ""),
        ("/dev/pay", pay("nobody", json!("1")), "address", ""),
        ("/dev/pay", pay("", json!("1")), "address", ""),
        ("/dev/pay", pay(foreign, json!("1")), "address", ""),
        (
            "/dev/pay",
            json!({"address": 5, "amount": "1"}),
            "address",
            "integer `5`",
        ),
        ("/dev/pay", json!({"address": own}), "amount", "missing"),
        ("/dev/pay", json!({"amount": "1"}), "address", "missing"),
        (
            "/dev/pay",
            json!({"address": own, "amount": "1", "fee": "1"}),
            "fee",
            "unknown field",
        ),
        ("/dev/pay", json!(5), "body", "integer `5`"),
        ("/dev/mine", json!({"blocks": 0}), "blocks", "1 to 1000"),
        ("/dev/mine", json!({"blocks": 1001}), "blocks", "1 to 1000"),
        ("/dev/mine", json!({"blocks": -1}), "blocks", "-1"),
        ("/dev/mine", json!({"blocks": "many"}), "blocks", "many"),
        ("/dev/mine", json!({"blocks": 1.5}), "blocks", "1.5"),
        ("/dev/mine", json!({"block": 1}), "block", "unknown field"),
        ("/dev/mine", json!("blocks"), "body", ""),
    ] {
        let document = problem(&relay, "POST", path, json_body(body.to_string()), 422)
            .await
            .json();
        let errors = document["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{body}: {document}");
        assert_eq!(errors[0]["field"], field, "{body}: {document}");
        let message = errors[0]["message"].as_str().unwrap();
        assert!(!message.is_empty() && message.contains(word), "{body}: {document}");
        assert!(
            !message.starts_with(&format!("{field}: ")),
            "the name stands once: {document}"
        );
    }
    for hash in ["00", "zz", &"g".repeat(64), &"0".repeat(65), "%20"] {
        let document = problem(&relay, "GET", &format!("/bitcoin/blocks/{hash}"), None, 422)
            .await
            .json();
        assert_eq!(document["errors"][0]["field"], "block_hash", "{document}");
    }
    assert_eq!(
        get(&relay, "/bitcoin/info").await["mempool_info"]["size"],
        0,
        "nothing was paid"
    );
}

#[tokio::test]
async fn without_dev_mode_the_dev_routes_are_404() {
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .set("BITCOIN_CORE__URL", "http://127.0.0.1:1")
        .set("BITCOIN_CORE__USER", "u")
        .set("BITCOIN_CORE__PASSWORD", "p");
    let relay = RelayProcess::start_listening(options).await;
    for path in ["/dev/mine", "/dev/pay"] {
        problem(&relay, "POST", path, json_body("{}"), 404).await;
    }
    assert_eq!(http_get(&format!("{}/health/live", relay.http_url())).await.status, 200);
}
