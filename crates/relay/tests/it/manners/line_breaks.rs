//! Answers end with a line break, so that the prompt after `curl` is on a line of its own.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use testkit::{HttpReply, RelayProcess, eventually, http_send};

use crate::wire::{DEADLINE, get, mine, standalone, start};

async fn request(relay: &RelayProcess, method: &str, path: &str, body: &str) -> HttpReply {
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", relay.http_url()))
        .header("content-type", "application/json");
    http_send(request.body(Full::from(Bytes::from(body.to_owned()))).unwrap()).await
}

/// Checks the end of a body and its length, and that the answer to HEAD has the same length.
async fn check(relay: &RelayProcess, method: &str, path: &str, body: &str) {
    let reply = request(relay, method, path, body).await;
    let what = format!("{method} {path}: {}", reply.status);
    let text = reply.text();
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{what}: {text}");
    let length = |reply: &HttpReply| {
        let length = reply.headers.get("content-length");
        length.map(|length| length.to_str().unwrap().parse::<usize>().unwrap())
    };
    assert_eq!(length(&reply), Some(text.len()), "{what}");
    if method == "GET" && reply.status == 200 {
        let head = request(relay, "HEAD", path, "").await;
        // The figures of the answers change, and with them their number of digits.
        let least = text.len().saturating_sub(64);
        assert!(length(&head).is_none_or(|head| head >= least), "{what}");
        assert!(head.body.is_empty(), "{what}");
    }
}

/// Every path that the relay describes, with values for its parameters.
#[tokio::test]
async fn every_answer_ends_with_one() {
    let relay = start().await;
    let hash = mine(&relay, 3).await.remove(0);
    let document = get(&relay, "/openapi.json").await;
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        // A stream of events, a WebSocket, and the files of the dashboard as they are.
        if ["/events", "/ws"].contains(&path.as_str()) || path.starts_with("/dashboard/") {
            continue;
        }
        let filled = path
            .replace("{block_hash}", &hash)
            .replace("{height}", "1")
            .replace("{sync_id}", "sync-1")
            .replace("{relay_id}", "relay-x");
        for method in methods.as_object().unwrap().keys() {
            // A restart would end the relay.
            if path == "/restart" {
                continue;
            }
            let method = method.to_uppercase();
            check(&relay, &method, &filled, "{}").await;
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
    for (method, path, body) in [
        ("GET", "/nope", ""),
        ("DELETE", "/health", ""),
        ("POST", "/dev/mine", "{\"blocks\":1}"),
        ("POST", "/dev/mine", "{"),
        ("PUT", "/config", "{\"sync\":{\"interval\":31}}"),
        ("PUT", "/config", "{\"nothing\":1}"),
        ("GET", "/logs?limit=0", ""),
        ("GET", "/bitcoin/first-block?since=1", ""),
        ("GET", "/bitcoin/blocks/%ff", ""),
        ("GET", "/dashboard/%ff/x", ""),
        ("GET", "/ws", ""),
    ] {
        check(&relay, method, path, body).await;
    }
}

/// The tag of an answer that is cached is that of its content, and a client that has it gets 304.
#[tokio::test]
async fn a_cached_answer_keeps_its_tag() {
    let relay = start().await;
    let path = "/blindbit/v1/block-hash/1";
    let first = eventually(DEADLINE, "the block in the index", async || {
        let reply = request(&relay, "GET", path, "").await;
        (reply.status == 200).then_some(reply)
    })
    .await;
    assert!(first.text().ends_with("}\n"), "{}", first.text());
    let again = request(&relay, "GET", path, "").await;
    assert_eq!(first.headers["etag"], again.headers["etag"]);
    let conditional =
        Request::get(format!("{}{path}", relay.http_url())).header("if-none-match", &first.headers["etag"]);
    let unchanged = http_send(conditional.body(Full::default()).unwrap()).await;
    assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));
}

/// Answers to clients that may not read.
#[tokio::test]
async fn a_refusal_for_want_of_a_token_ends_with_one() {
    let options = standalone().set("AUTH__READ_TOKEN", "a-token-to-read-with");
    let relay = RelayProcess::start_listening(options).await;
    for path in ["/health", "/metrics", "/blindbit/v1/info", "/logs"] {
        let reply = request(&relay, "GET", path, "").await;
        assert!([401, 200].contains(&reply.status.as_u16()), "{path}: {}", reply.status);
        assert!(reply.text().ends_with("}\n"), "{path}: {}", reply.text());
    }
}
