//! The client's side of SOCKS 5: RFC 1928, user and password (RFC 1929), and the reply codes of Tor.

use std::fmt;
use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

const VERSION: u8 = 5;
const AUTH_VERSION: u8 = 1;
const NO_AUTH: u8 = 0;
const USER_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Why the proxy does not accept this client.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejected {
    #[error("{}", closed(.0))]
    Io(#[from] io::Error),
    #[error("it does not speak SOCKS 5")]
    NotSocks,
    #[error("it requires a user and a password: socks5://USER:PASSWORD@HOST:PORT")]
    NeedsPassword,
    #[error("it requires another authentication than a user and a password")]
    NoMethod,
    #[error("it rejects the user or the password")]
    WrongPassword,
}

/// Why the proxy does not connect.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{}", closed(.0))]
    Io(#[from] io::Error),
    #[error("its reply is malformed")]
    Malformed,
    #[error("{0}")]
    Code(Code),
}

fn closed(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it closed the connection without a reply".to_owned(),
        _ => error.to_string(),
    }
}

/// The code of a reply that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) u8);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            1 => "general failure",
            2 => "not allowed by its rules",
            3 => "network unreachable",
            4 => "host unreachable",
            5 => "connection refused",
            6 => "timed out (TTL expired)",
            7 => "it does not support the command CONNECT",
            8 => "it does not support this type of address",
            // Of a port of Tor with the flag `ExtendedErrors` (proposal 304).
            0xf0 => "the onion service is not found: it is offline, or the address is wrong",
            0xf1 => "the descriptor of the onion service is invalid",
            0xf2 => "the introduction to the onion service failed",
            0xf3 => "the rendezvous with the onion service failed",
            0xf4 => "the onion service requires client authorization",
            0xf5 => "the onion service rejects the client authorization",
            0xf6 => "the onion address is invalid",
            0xf7 => "the introduction to the onion service timed out",
            other => return write!(f, "reply code {other}"),
        })
    }
}

/// Agrees with the proxy on the authentication, and authenticates.
pub(super) async fn authenticate<S>(stream: &mut S, credentials: Option<(&str, &str)>) -> Result<(), Rejected>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let methods: &[u8] = match credentials {
        // Tor takes the second one where it is offered, and separates the streams by it.
        Some(_) => &[VERSION, 2, NO_AUTH, USER_PASSWORD],
        None => &[VERSION, 1, NO_AUTH],
    };
    stream.write_all(methods).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    match (chosen, credentials) {
        ([VERSION, NO_AUTH], _) => Ok(()),
        ([VERSION, USER_PASSWORD], Some((user, password))) => log_in(stream, user, password).await,
        ([VERSION, USER_PASSWORD | NO_METHOD], None) => Err(Rejected::NeedsPassword),
        ([VERSION, _], _) => Err(Rejected::NoMethod),
        _ => Err(Rejected::NotSocks),
    }
}

async fn log_in<S>(stream: &mut S, user: &str, password: &str) -> Result<(), Rejected>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let length = |text: &str| u8::try_from(text.len()).map_err(|_| Rejected::WrongPassword);
    let mut request = Zeroizing::new(Vec::with_capacity(3 + user.len() + password.len()));
    request.extend([AUTH_VERSION, length(user)?]);
    request.extend(user.as_bytes());
    request.push(length(password)?);
    request.extend(password.as_bytes());
    stream.write_all(&request).await?;
    let mut reply = [0; 2];
    stream.read_exact(&mut reply).await?;
    // The version is not compared: some proxies send that of SOCKS.
    if reply[1] == 0 {
        Ok(())
    } else {
        Err(Rejected::WrongPassword)
    }
}

/// Has an authenticated proxy connect to a host, which it resolves if it is a name. The host of an IPv6 address is
/// without brackets.
pub(super) async fn request<S>(stream: &mut S, host: &str, port: u16) -> Result<(), Refused>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = vec![VERSION, CONNECT, 0];
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            request.push(IPV4);
            request.extend(ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            request.push(IPV6);
            request.extend(ip.octets());
        }
        Err(_) => {
            let length = u8::try_from(host.len()).map_err(|_| Refused::Code(Code(8)))?;
            request.extend([NAME, length]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, code, _, kind] = head;
    if version != VERSION {
        return Err(Refused::Malformed);
    }
    if code != 0 {
        return Err(Refused::Code(Code(code)));
    }
    // The address and the port that the proxy uses: of no interest, but the bytes after them are those of the peer.
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(stream.read_u8().await?),
        _ => return Err(Refused::Malformed),
    };
    let mut bound = vec![0; length + 2];
    stream.read_exact(&mut bound).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;

    /// The bytes that the client sends, and its result, where the proxy replies with these bytes and closes.
    async fn requested(host: &str, reply: &[u8]) -> (Vec<u8>, Result<(), Refused>) {
        let (mut near, mut far) = duplex(1024);
        far.write_all(reply).await.unwrap();
        far.shutdown().await.unwrap();
        let result = request(&mut near, host, 0x1f90).await;
        drop(near);
        let mut sent = Vec::new();
        far.read_to_end(&mut sent).await.unwrap();
        (sent, result)
    }

    async fn authenticated(credentials: Option<(&str, &str)>, reply: &[u8]) -> (Vec<u8>, Result<(), Rejected>) {
        let (mut near, mut far) = duplex(1024);
        far.write_all(reply).await.unwrap();
        far.shutdown().await.unwrap();
        let result = authenticate(&mut near, credentials).await;
        drop(near);
        let mut sent = Vec::new();
        far.read_to_end(&mut sent).await.unwrap();
        (sent, result)
    }

    #[tokio::test]
    async fn the_bytes_are_those_of_the_rfc() {
        let (sent, result) = authenticated(None, &[5, 0]).await;
        assert_eq!(sent, [5, 1, 0]);
        result.unwrap();
        let (sent, result) = authenticated(Some(("me", "pw!")), &[5, 2, 1, 0]).await;
        assert_eq!(sent, b"\x05\x02\x00\x02\x01\x02me\x03pw!");
        result.unwrap();
        let (sent, result) = authenticated(Some(("me", "pw!")), &[5, 0]).await;
        assert_eq!(sent, [5, 2, 0, 2], "a proxy without authentication gets no password");
        result.unwrap();
        let done = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for (host, address) in [
            ("192.0.2.7", &b"\x01\xc0\x00\x02\x07"[..]),
            ("::1", b"\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"),
            ("node.example", b"\x03\x0cnode.example"),
        ] {
            let (sent, result) = requested(host, &done).await;
            assert_eq!(sent, [&b"\x05\x01\x00"[..], address, b"\x1f\x90"].concat(), "{host}");
            result.unwrap();
        }
    }

    #[tokio::test]
    async fn nothing_of_the_peer_is_read() {
        for bound in [&b"\x01abcdpp"[..], b"\x03\x04namepp", b"\x04abcdefghijklmnoppp"] {
            let reply = [b"\x05\x00\x00", bound, b"hello"].concat();
            let (mut near, mut far) = duplex(1024);
            far.write_all(&reply).await.unwrap();
            far.shutdown().await.unwrap();
            request(&mut near, "a", 1).await.unwrap();
            let mut rest = String::new();
            near.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, "hello");
        }
    }

    proptest! {
        /// Whatever a proxy sends, there is a result, and a success reads no more than its reply.
        #[test]
        fn any_reply_has_a_result(reply in vec(prop_oneof![Just(5), Just(0), Just(3), any::<u8>()], 0..300)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut replies = &reply[..];
            let mut sent = Vec::new();
            let mut stream = tokio::io::join(&mut replies, &mut sent);
            let result = runtime.block_on(async {
                authenticate(&mut stream, Some(("me", "pw"))).await.is_ok() && request(&mut stream, "a", 1).await.is_ok()
            });
            prop_assert!(!result || reply.len() - replies.len() >= 2 + 7);
            prop_assert!(replies.len() <= reply.len());
        }
    }

    #[tokio::test]
    async fn what_the_proxy_rejects_is_told_apart() {
        let why = async |credentials, reply: &[u8]| authenticated(credentials, reply).await.1.unwrap_err().to_string();
        let me = Some(("me", "pw"));
        assert!(
            why(None, &[5, 0xff])
                .await
                .starts_with("it requires a user and a password")
        );
        assert!(
            why(None, &[5, 2])
                .await
                .starts_with("it requires a user and a password")
        );
        assert!(
            why(me, &[5, 0xff])
                .await
                .starts_with("it requires another authentication")
        );
        assert!(why(me, &[5, 1]).await.starts_with("it requires another authentication"));
        assert_eq!(why(me, &[5, 2, 1, 1]).await, "it rejects the user or the password");
        assert_eq!(
            why(None, b"HTTP/1.1 400 Bad Request\r\n").await,
            "it does not speak SOCKS 5"
        );
        assert_eq!(why(None, &[5]).await, "it closed the connection without a reply");
        let long = "x".repeat(256);
        assert_eq!(
            why(Some(("me", &long)), &[5, 2, 1, 0]).await,
            "it rejects the user or the password"
        );
    }

    #[tokio::test]
    async fn why_the_proxy_does_not_connect() {
        let why = async |reply: &[u8]| requested("a", reply).await.1.unwrap_err().to_string();
        for (code, text) in [
            (1, "general failure"),
            (4, "host unreachable"),
            (5, "connection refused"),
            (
                0xf0,
                "the onion service is not found: it is offline, or the address is wrong",
            ),
            (0x77, "reply code 119"),
        ] {
            assert_eq!(why(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await, text);
        }
        assert_eq!(why(&[4, 0, 0, 1]).await, "its reply is malformed");
        assert_eq!(why(&[5, 0, 0, 9, 0, 0]).await, "its reply is malformed");
        assert_eq!(why(&[5, 0, 0, 1, 0]).await, "it closed the connection without a reply");
        let (sent, result) = requested(&"x".repeat(256), &[]).await;
        assert!(
            sent.is_empty() && result.is_err(),
            "a name that does not fit is not sent"
        );
    }
}
