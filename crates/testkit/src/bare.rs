//! A TCP connection for tests: sends any bytes and WebSocket frames, unchecked.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Longer than any awaited step takes, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// The request that opens a WebSocket (the key is that of RFC 6455, section 1.3).
pub const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A TCP connection.
#[derive(Debug)]
pub struct Bare {
    /// The connection itself.
    pub stream: TcpStream,
}

impl Bare {
    /// Connects to `ws://HOST:PORT` or `http://HOST:PORT`.
    pub async fn connect(url: &str) -> Bare {
        Bare {
            stream: TcpStream::connect(host(url)).await.expect("a connection"),
        }
    }

    /// The same with a small window: the relay cannot send much ahead of what is read.
    pub async fn connect_narrow(url: &str) -> Bare {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        let address = host(url).parse().expect("an address");
        Bare {
            stream: socket.connect(address).await.expect("a connection"),
        }
    }

    /// Opens a WebSocket on it.
    pub async fn upgrade(self) -> Bare {
        self.upgrade_at("/").await
    }

    /// The same at a path: the HTTP port has it at `/ws`.
    pub async fn upgrade_at(mut self, path: &str) -> Bare {
        let request = UPGRADE.replacen("GET / ", &format!("GET {path} "), 1);
        assert!(self.send(request.as_bytes()).await);
        let head = self.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        self
    }

    /// Sends bytes. Returns false if the relay has closed the connection or accepts no data.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(DEADLINE, self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Sends these bytes again and again, without reading, until the relay ends the connection. Panics if it does not
    /// within `deadline`, whether it accepts data or not.
    pub async fn flood(&mut self, bytes: &[u8], deadline: Duration) {
        let flooding = async { while self.stream.write_all(bytes).await.is_ok() {} };
        timeout(deadline, flooding)
            .await
            .expect("the relay ends the connection in time");
    }

    /// Sends one masked frame; the first byte holds FIN, the reserved bits and the opcode.
    pub async fn send_frame(&mut self, first_byte: u8, payload: &[u8]) -> bool {
        self.send(&frame(first_byte, payload)).await
    }

    /// The head of an HTTP answer, up to the empty line; less when the connection ends before.
    pub async fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match timeout(DEADLINE, self.stream.read_u8())
                .await
                .expect("an answer in time")
            {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8(head).expect("an answer in ASCII")
    }

    /// The next frame that the relay sends: its first byte, and its payload; `None` where the connection ends before.
    pub async fn read_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let reading = async {
            let first = self.stream.read_u8().await?;
            let length = match self.stream.read_u8().await? {
                126 => usize::from(self.stream.read_u16().await?),
                127 => usize::try_from(self.stream.read_u64().await?).expect("a length"),
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await?;
            std::io::Result::Ok((first, payload))
        };
        timeout(DEADLINE, reading).await.expect("a frame in time").ok()
    }

    /// Reads until the relay ends the connection. Panics if it does not within `deadline`.
    pub async fn read_to_end(&mut self, deadline: Duration) -> Vec<u8> {
        let mut all = Vec::new();
        let mut part = [0; 4096];
        let reading = async {
            loop {
                match self.stream.read(&mut part).await {
                    // A reset ends it as well.
                    Ok(0) | Err(_) => break,
                    Ok(n) => all.extend_from_slice(&part[..n]),
                }
            }
        };
        timeout(deadline, reading)
            .await
            .expect("the relay ends the connection in time");
        all
    }
}

/// A masked frame with the mask 0.
pub fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first_byte];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        middle @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The code of the final close frame of a relay, whose frames are unmasked.
pub fn close_code(sent: &[u8]) -> Option<u16> {
    let mut rest = sent;
    loop {
        let (first, length) = (*rest.first()?, *rest.get(1)?);
        let (header, length) = match length {
            126 => (4, usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]))),
            127 => (10, u64::from_be_bytes(rest.get(2..10)?.try_into().ok()?) as usize),
            short => (2, usize::from(short)),
        };
        let payload = rest.get(header..header + length)?;
        if first & 0x0f == 8 {
            return Some(u16::from_be_bytes([*payload.first()?, *payload.get(1)?]));
        }
        rest = &rest[header + length..];
    }
}

fn host(url: &str) -> &str {
    url.split("//").nth(1).expect("a URL")
}
