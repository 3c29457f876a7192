//! Raw requests, byte for byte.

use std::time::Duration;

use testkit::RelayOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than any awaited step takes, even on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const TOKEN: &str = "admin-4be1c07d95f2a836";

/// Requests that need no token from a local program, and a token from others. A restart ends the relay of the test, so
/// it is last.
pub(crate) const PRIVILEGED: [(&str, &str); 6] = [
    ("PUT", "/config"),
    ("GET", "/logs"),
    ("HEAD", "/logs"),
    ("GET", "/webhooks"),
    ("POST", "/sync/force"),
    ("POST", "/restart"),
];

/// The headers of a request that opens a WebSocket (the key is that of RFC 6455, section 1.3).
pub(crate) const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub(crate) fn standalone() -> RelayOptions {
    RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).arg("--standalone")
}

/// `HOST:PORT` of a URL.
pub(crate) fn address(url: &str) -> &str {
    url.split_once("://").unwrap().1
}

/// A request with these header lines, an empty JSON object as the body where the method has one, and nothing else.
pub(crate) fn request(method: &str, target: &str, lines: &str) -> String {
    let body = match method {
        "PUT" | "POST" => "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        _ => "\r\n",
    };
    format!("{method} {target} HTTP/1.1\r\n{lines}{body}")
}

/// Sends these bytes, half-closes the connection, and reads to its end.
pub(crate) async fn say(address: &str, bytes: impl AsRef<[u8]>) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    say_on(stream, bytes.as_ref()).await
}

pub(crate) async fn say_on(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    // A reset after the answer also ends the connection.
    drop(read.expect("an end in time"));
    String::from_utf8(answer).unwrap()
}

/// The same, with the status only.
pub(crate) async fn status(address: &str, request: String) -> u16 {
    status_of(&say(address, &request).await)
}

pub(crate) fn status_of(answer: &str) -> u16 {
    let line = answer.lines().next().unwrap_or_default();
    let code = line
        .split(' ')
        .nth(1)
        .unwrap_or_else(|| panic!("no answer: {answer:?}"));
    code.parse().unwrap()
}

/// The status of an answer that does not end: that of a stream, or of an upgrade.
pub(crate) async fn opened(address: &str, request: String) -> (u16, TcpStream) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = until(&mut stream, "\r\n\r\n").await;
    (status_of(&head), stream)
}

/// Reads up to and including this text.
pub(crate) async fn until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        let byte = timeout(DEADLINE, stream.read_u8()).await;
        let byte = byte.unwrap_or_else(|_| panic!("no {end:?} in time: {}", String::from_utf8_lossy(&bytes)));
        bytes.push(byte.unwrap_or_else(|e| panic!("no {end:?} ({e}): {}", String::from_utf8_lossy(&bytes))));
    }
    String::from_utf8(bytes).unwrap()
}

/// A header of an answer.
pub(crate) fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap();
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
