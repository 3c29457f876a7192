//! The client's address behind trusted proxies, on both ports, for limits, caps and the log.

use testkit::{RelayProcess, eventually};
use tokio::net::TcpStream;

use crate::access::talk::{DEADLINE, UPGRADE, address, opened, request, say, standalone, status_of, until};

async fn ask(relay: &RelayProcess, forwarded: &str) -> (u16, String) {
    let url = relay.http_url();
    let lines = format!("Host: localhost\r\nConnection: close\r\n{forwarded}");
    let answer = say(address(&url), request("GET", "/health/live", &lines)).await;
    (status_of(&answer), answer)
}

#[tokio::test]
async fn requests_are_limited_by_the_address_that_a_trusted_proxy_names() {
    let options = standalone()
        .set("HTTP__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")
        .set("LIMITS__REQUESTS_PER_SECOND", "1");
    let relay = RelayProcess::start(options).await;
    let client = "X-Forwarded-For: 203.0.113.7\r\n";
    let mut last = (0, String::new());
    for _ in 0..20 {
        last = ask(&relay, client).await;
        if last.0 == 429 {
            break;
        }
    }
    assert!(last.0 == 429 && last.1.contains("203.0.113.7"), "{}", last.1);
    // In every notation: forged addresses are to the left of the one that the proxy saw. Three requests each, because
    // one per second is allowed.
    for same in [
        "X-Forwarded-For: 198.51.100.1, 203.0.113.7\r\n",
        "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.7:1234, 10.1.2.3\r\n",
        "X-Forwarded-For: ::ffff:203.0.113.7\r\n",
        "Forwarded: for=198.51.100.2\r\nX-Forwarded-For: 203.0.113.7\r\n",
        "Forwarded: for=\"203.0.113.7:80\";proto=https\r\n",
        "X-Real-IP: 198.51.100.3\r\nX-Forwarded-For: 203.0.113.7\r\n",
    ] {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(ask(&relay, same).await.0);
        }
        assert!(statuses.contains(&429), "{same}: {statuses:?}");
    }
    assert_eq!(
        ask(&relay, "X-Forwarded-For: 203.0.113.8\r\n").await.0,
        200,
        "another client of the same proxy"
    );
}

#[tokio::test]
async fn headers_of_untrusted_peers_are_ignored() {
    // The peer of these requests is 127.0.0.1, which is not listed.
    let options = standalone()
        .set("HTTP__TRUSTED_PROXIES", "10.0.0.0/8")
        .set("LIMITS__REQUESTS_PER_SECOND", "1");
    let relay = RelayProcess::start(options).await;
    for _ in 0..20 {
        assert_eq!(ask(&relay, "X-Forwarded-For: 203.0.113.7\r\n").await.0, 200);
    }
}

#[tokio::test]
async fn connections_are_capped_by_the_address_that_a_trusted_proxy_names() {
    let options = standalone()
        .set("HTTP__TRUSTED_PROXIES", "127.0.0.1")
        .set("LIMITS__CONNECTIONS_PER_ADDRESS", "2")
        .set("LOG__LEVEL", "info,sdk_relay=debug");
    let relay = RelayProcess::start(options).await;
    let (ws, http) = (relay.ws_url(), relay.http_url());
    let (ws, http) = (address(&ws), address(&http));
    let open = async |port: &str, path: &str, client: &str| {
        let lines = format!("Host: localhost\r\nX-Forwarded-For: {client}\r\n{UPGRADE}");
        let (status, stream) = opened(port, request("GET", path, &lines)).await;
        assert_eq!(status, 101);
        stream
    };
    // One on each port.
    let mut held = vec![
        open(ws, "/", "203.0.113.7").await,
        open(http, "/ws", "203.0.113.7").await,
    ];
    // A client is counted after the answer to its upgrade.
    eventually(DEADLINE, "both to be counted", async || {
        let connected = relay
            .stderr()
            .matches("a client has connected client=203.0.113.7")
            .count();
        (connected == held.len()).then_some(())
    })
    .await;
    for (port, path) in [(ws, "/"), (http, "/ws")] {
        assert_eq!(
            close_code(open(port, path, "198.51.100.1, 203.0.113.7").await).await,
            1013,
            "{path}"
        );
    }
    let events = "Host: localhost\r\nX-Forwarded-For: 203.0.113.7\r\nConnection: close\r\n";
    assert_eq!(opened(http, request("GET", "/events", events)).await.0, 503);
    // Other clients behind the proxy have their own slots.
    held.push(open(ws, "/", "203.0.113.8").await);
    let events = events.replace("203.0.113.7", "203.0.113.9");
    assert_eq!(opened(http, request("GET", "/events", &events)).await.0, 200);
    // A client that sends a binary frame is closed, and the log names its address.
    let mut rude = open(ws, "/", "203.0.113.10").await;
    tokio::io::AsyncWriteExt::write_all(&mut rude, &[0x82, 0x80, 0, 0, 0, 0])
        .await
        .unwrap();
    assert_eq!(close_code(rude).await, 1003);
    eventually(DEADLINE, "its address in the log", async || {
        relay.stderr().contains("client=203.0.113.10").then_some(())
    })
    .await;
}

/// Reads frames of a server up to its close.
async fn close_code(mut stream: TcpStream) -> u16 {
    use tokio::io::AsyncReadExt;
    loop {
        let head = stream.read_u16().await.unwrap();
        let length = usize::from(head & 0x7f);
        assert!(length < 126, "a short frame");
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if head >> 8 & 0x0f == 8 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

#[tokio::test]
async fn an_event_stream_disables_proxy_buffering() {
    let relay = RelayProcess::start(standalone()).await;
    let url = relay.http_url();
    let mut stream = TcpStream::connect(address(&url)).await.unwrap();
    let request_text = request("GET", "/events", "Host: localhost\r\nAccept-Encoding: gzip\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request_text.as_bytes())
        .await
        .unwrap();
    let head = until(&mut stream, "\r\n\r\n").await.to_ascii_lowercase();
    assert!(head.contains("x-accel-buffering: no\r\n"), "{head}");
    assert!(head.contains("cache-control: no-cache, no-transform\r\n"), "{head}");
    assert!(!head.contains("content-encoding"), "{head}");
}
