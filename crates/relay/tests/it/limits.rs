//! The limits of both ports, tested from outside the process.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::Body;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use sdk_relay::relay::Relay;
use sdk_relay_client::protocol::CloseCode;
use sdk_relay_client::{Frame, RawClient};
use sdk_relay_config::{Loader, Overrides};
use sdk_relay_telemetry::LogTap;
use sdk_relay_transport::{HTTP_CONNECTIONS, Peer, open_files};
use testkit::{HttpReply, RelayOptions, RelayProcess, eventually, http_get, http_send};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::impatient;

const DEADLINE: Duration = Duration::from_secs(30);
const MEBIBYTE: usize = 1 << 20;

fn standalone() -> RelayOptions {
    RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).arg("--standalone")
}

async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.split_once("://").unwrap().1).await.unwrap()
}

/// Reads until the other side closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer also ends the connection.
    let end = timeout(DEADLINE, stream.read_to_end(&mut bytes)).await;
    drop(end.expect("an end in time"));
    String::from_utf8(bytes).unwrap()
}

async fn ask(url: &str, request: &str) -> String {
    let mut stream = connect(url).await;
    // The answer may come, and the connection end, before all is written.
    drop(stream.write_all(request.as_bytes()).await);
    rest(&mut stream).await
}

fn assert_problem(reply: &HttpReply, status: u16) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.headers["content-type"], "application/problem+json");
    assert_eq!(reply.json()["status"], status);
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_413() {
    let relay = RelayProcess::start(standalone()).await;
    let url = format!("{}/dev/mine", relay.http_url());
    let padded = |length: usize| format!("{{\"blocks\":1{}}}", " ".repeat(length - "{\"blocks\":1}".len()));
    let post = async |body: String| {
        let request = Request::post(&url).header("content-type", "application/json");
        http_send(request.body(Full::from(body)).unwrap()).await
    };
    assert_eq!(post(padded(MEBIBYTE)).await.status, 200);
    assert_problem(&post(padded(MEBIBYTE + 1)).await, 413);

    // The same without a declared length.
    let body = padded(MEBIBYTE + 1);
    let chunked = format!(
        "POST /dev/mine HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let answer = ask(&relay.http_url(), &chunked).await;
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("application/problem+json"),
        "{answer}"
    );
}

#[tokio::test]
async fn headers_over_16_kib_are_431() {
    let relay = RelayProcess::start(standalone()).await;
    for url in [relay.ws_url(), relay.http_url()] {
        let with = |bytes: usize| {
            format!(
                "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {}\r\n\r\n",
                "a".repeat(bytes)
            )
        };
        let fits = ask(&url, &with(15 << 10)).await;
        assert!(
            !fits.starts_with("HTTP/1.1 431") && fits.starts_with("HTTP/1.1 "),
            "{fits}"
        );
        let answer = ask(&url, &with(17 << 10)).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
        let answer = ask(&url, &format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[tokio::test]
async fn headers_and_body_have_a_time_limit() {
    let relay = RelayProcess::start(impatient::standalone()).await;
    let slow = async |url: String| {
        let mut stream = connect(&url).await;
        let began = Instant::now();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            .await
            .unwrap();
        rest(&mut stream).await;
        began.elapsed()
    };
    // So has the body, of which only one byte is sent.
    let slow_body = async || {
        let mut stream = connect(&relay.http_url()).await;
        let began = Instant::now();
        let head = "POST /tx HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 408") && answer.contains("application/problem+json"),
            "{answer}"
        );
        began.elapsed()
    };
    let (ws, http, body) = tokio::join!(slow(relay.ws_url()), slow(relay.http_url()), slow_body());
    for took in [ws, http, body] {
        assert!(took >= impatient::INPUT - Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test]
async fn idle_connections_are_evicted() {
    open_files::to_the_most();
    let relay = RelayProcess::start(impatient::patient()).await;
    let mut idle = Vec::new();
    for _ in 0..HTTP_CONNECTIONS {
        idle.push(connect(&relay.http_url()).await);
    }
    let health = format!("{}/health", relay.http_url());
    assert_eq!(http_get(&health).await.status, 200);
    assert_eq!(rest(&mut idle[0]).await, "", "the oldest has made way");
    // The youngest is not: it is answered.
    let last = idle.last_mut().unwrap();
    last.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(rest(last).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_with_1013() {
    let relay = RelayProcess::start(standalone().set("LIMITS__CONNECTIONS", "2")).await;
    let ws_on_http = format!("{}/ws", relay.http_url().replace("http://", "ws://"));
    let mut held = vec![
        RawClient::connect(&relay.ws_url()).await.unwrap(),
        RawClient::connect(&ws_on_http).await.unwrap(),
    ];
    for url in [relay.ws_url(), ws_on_http] {
        let mut third = RawClient::connect(&url).await.unwrap();
        let close = timeout(DEADLINE, third.next()).await.unwrap().unwrap();
        assert!(
            matches!(&close, Frame::Close(code, _) if *code == CloseCode::TryAgain.code()),
            "{close:?}"
        );
    }
    assert_problem(&http_get(&format!("{}/events", relay.http_url())).await, 503);
    // The rest of the API stays open, and a released slot is available again.
    assert_eq!(http_get(&format!("{}/health", relay.http_url())).await.status, 200);
    drop(held.pop());
    eventually(DEADLINE, "a free place", async || {
        let mut next = RawClient::connect(&relay.ws_url()).await.unwrap();
        next.send_text("{}").await.unwrap();
        matches!(timeout(DEADLINE, next.next()).await.unwrap(), Ok(Frame::Text(_))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn too_many_requests_of_a_remote_address_are_429() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        "standalone = true\nws_url = \"127.0.0.1:0\"\nhttp_url = \"127.0.0.1:0\"\n[limits]\nrequests_per_second = 2\n";
    let file = dir.path().join("sdk_relay.toml");
    std::fs::write(&file, config).unwrap();
    let loader = Loader::new(Overrides::default().with_config(file).with_data_dir(dir.path()));
    let config = loader.load().unwrap();
    let relay = Relay::start(loader, config, LogTap::default()).await.unwrap();
    let api = relay.http_api().clone();
    let ask = async |from: &str| {
        let peer: SocketAddr = from.parse().unwrap();
        let request = Request::get("/health/live").header("host", "x").extension(Peer(peer));
        let request = request.body(Body::empty()).unwrap();
        let (head, body) = api.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head, serde_json::from_slice::<serde_json::Value>(&body).unwrap())
    };
    // A burst of three seconds, then one at a time.
    for _ in 0..6 {
        assert_eq!(ask("192.0.2.7:4000").await.0.status, 200);
    }
    let (head, problem) = ask("192.0.2.7:4001").await;
    assert_eq!(
        (head.status.as_u16(), &head.headers["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    assert_eq!(head.headers["content-type"], "application/problem+json");
    assert_eq!(problem["status"], 429);
    assert!(problem["detail"].as_str().unwrap().contains("192.0.2.7"), "{problem}");
    assert_eq!(ask("192.0.2.8:4000").await.0.status, 200, "another address");
    assert_eq!(ask("127.0.0.1:4000").await.0.status, 200, "loopback");
    relay.shut_down(CloseCode::GoingAway).await;
}
