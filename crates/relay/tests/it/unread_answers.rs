//! Clients of one address that request a large answer and do not read it: the memory for unread answers is bounded,
//! further requests of that address get a 503, and other clients are served.

use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use serde_json::json;
use testkit::{HttpReply, RelayProcess, eventually, http_get, http_post, http_send};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::impatient;

const DEADLINE: Duration = Duration::from_secs(60);
/// Output buffered for one address.
const PER_ADDRESS: usize = 16 << 20;
/// Makes the answer larger than the socket buffers of both ends.
const PAYMENTS: usize = 1500;
/// Receive buffer of a client that does not read; by default it would grow to megabytes.
const RECEIVED: u32 = 16 << 10;
const DEAF: &str = "192.0.2.7";
const OTHER: &str = "192.0.2.8";

/// Sends a request as a client behind a proxy, and reads only the status.
async fn request_unread(address: String, path: String) -> (TcpStream, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVED).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {DEAF}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    let read = timeout(DEADLINE, stream.read_exact(&mut status)).await;
    read.expect("a status in time").unwrap();
    (stream, String::from_utf8_lossy(&status).into_owned())
}

async fn get_as(client: &str, url: &str) -> HttpReply {
    let request = Request::get(url).header("X-Forwarded-For", client);
    http_send(request.body(Full::default()).unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_answers_are_bounded_in_memory_and_others_are_served() {
    let options = impatient::without_memory().set("HTTP__TRUSTED_PROXIES", "127.0.0.1");
    let relay = RelayProcess::start(options).await;
    let http = relay.http_url();
    let wallet = http_get(&format!("{http}/config")).await.json()["silent_payment_address"].clone();
    for _ in 0..PAYMENTS {
        let pay = json!({"address": wallet, "amount": "0.001"});
        let paid = http_post(&format!("{http}/dev/pay"), &pay).await;
        assert_eq!(paid.status, 200, "{}", paid.text());
    }
    let mined = http_post(&format!("{http}/dev/mine"), &json!({"blocks": 1})).await;
    let path = format!("/blindbit/v2/full-block/{}", mined.json()["height"]);
    let url = format!("{http}{path}");
    let size = eventually(DEADLINE, "the block in the index", async || {
        let reply = http_get(&url).await;
        (reply.status == 200).then_some(reply.body.len())
    })
    .await;
    let fit = PER_ADDRESS / size;
    assert!((8..64).contains(&fit), "{size} bytes");
    let request = Request::get(&url).header("Accept-Encoding", "gzip");
    let compressed = http_send(request.body(Full::default()).unwrap()).await;
    assert_eq!(compressed.headers["content-encoding"], "gzip");
    assert!(compressed.body.len() < size);

    let address = http.split_once("://").unwrap().1;
    let mut clients = JoinSet::new();
    for _ in 0..2 * fit {
        clients.spawn(request_unread(address.to_owned(), path.clone()));
    }
    let clients = clients.join_all().await;
    let count = |status: &str| clients.iter().filter(|(_, is)| is == status).count();
    assert_eq!(
        (count("HTTP/1.1 200"), count("HTTP/1.1 503")),
        (fit, fit),
        "{size} bytes"
    );
    assert_eq!(get_as(OTHER, &url).await.body.len(), size);

    // Their memory is released when they disconnect.
    drop(clients);
    let reply = get_as(DEAF, &url).await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (200, size));
}
