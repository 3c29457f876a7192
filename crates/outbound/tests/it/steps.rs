//! Each step of an attempt: its result, its time limit, its size.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::header::{HeaderValue, RETRY_AFTER};
use sdk_relay_outbound::{Dialer, Failure, Resolver, Step, Timeouts};
use sdk_relay_platform::net::Stream;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

use crate::servers::{Server, answer_with, read_request};
use crate::stage::{CLIENT, PUBLIC, Setup, request};

const OK: &str = "HTTP/1.1 201 Created\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nhello";
/// For steps that never end.
const SHORT: Duration = Duration::from_millis(50);

/// A server with a certificate of this name, and what trusts it.
async fn tls_server(name: &str) -> (Server, RootCertStore) {
    let certified = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer_with(stream, OK).await;
            }
        }
    });
    (server.await, roots)
}

#[tokio::test]
async fn the_certificate_is_checked_against_the_name_of_the_url() {
    let (server, roots) = tls_server("push.example").await;
    let stage = Setup {
        roots,
        ..Setup::default()
    }
    .build();
    stage.serve("push.example", PUBLIC, server.address);
    stage.serve("other.example", PUBLIC, server.address);
    let answer = stage.post("https://push.example/up").await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..], answer.is_whole),
        (201, &b"hello"[..], true)
    );
    assert_eq!(answer.headers.get(RETRY_AFTER), Some(&HeaderValue::from_static("7")));
    for url in ["https://other.example/up", "https://1.1.1.1/up"] {
        let error = stage.post(url).await.unwrap_err();
        assert!(
            matches!(&error, Failure::Tls(reason) if !reason.is_empty()),
            "{error:?}"
        );
    }
    // An authority that nobody trusts.
    let stage = Setup::default().build();
    stage.serve("push.example", PUBLIC, server.address);
    assert!(matches!(
        stage.post("https://push.example/up").await,
        Err(Failure::Tls(_))
    ));
}

/// Never answers.
struct Stuck;

#[async_trait]
impl Resolver for Stuck {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        std::future::pending().await
    }
}

#[async_trait]
impl Dialer for Stuck {
    async fn connect(&self, _: SocketAddr) -> io::Result<Stream> {
        std::future::pending().await
    }
}

fn impatient() -> Setup {
    let timeouts = Timeouts {
        resolve: SHORT,
        connect: SHORT,
        tls: SHORT,
        head: SHORT,
        body: SHORT,
    };
    Setup {
        timeouts,
        ..Setup::default()
    }
}

#[tokio::test]
async fn each_step_has_a_time_limit() {
    let late = |step| Failure::Late { step, limit: SHORT };
    let stuck = impatient().build_with(Arc::new(Stuck), Arc::new(Stuck));
    for (url, step) in [
        ("https://push.example/", Step::Resolve),
        ("https://1.1.1.1/", Step::Connect),
    ] {
        assert_eq!(stuck.post(CLIENT, &request(url)).await.unwrap_err(), late(step));
    }
    let server = Server::silent().await;
    let stage = impatient().build();
    stage.serve("push.example", PUBLIC, server.address);
    assert_eq!(stage.post("https://push.example/").await.unwrap_err(), late(Step::Tls));
    assert_eq!(stage.post("http://push.example/").await.unwrap_err(), late(Step::Head));
    assert_eq!(server.connections(), 2);
    // A body that stops: the status counts.
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        drop(
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
                .await,
        );
        std::future::pending::<()>().await;
    });
    stage.serve("push.example", PUBLIC, server.await.address);
    let answer = Setup {
        timeouts: Timeouts {
            body: SHORT,
            ..Timeouts::default()
        },
        ..Setup::default()
    }
    .build_with(
        Arc::clone(&stage.names) as Arc<dyn Resolver>,
        Arc::clone(&stage.map) as Arc<dyn Dialer>,
    );
    let answer = answer.post(CLIENT, &request("http://push.example/")).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..], answer.is_whole),
        (200, &b"part"[..], false)
    );
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let stage = Setup::default().build();
    let endless_body = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    let endless_head = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n").await);
        while stream
            .write_all(b"x-more: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n")
            .await
            .is_ok()
        {}
    });
    stage.serve("body.example", PUBLIC, endless_body.await.address);
    stage.serve("head.example", [1, 1, 1, 2].into(), endless_head.await.address);
    let answer = stage.post("http://body.example/").await.unwrap();
    assert!(answer.body.len() == 16 << 10 && !answer.is_whole);
    let error = stage.post("http://head.example/").await.unwrap_err();
    assert!(matches!(error, Failure::Http(_)), "{error:?}");
    let no_http = Server::answering("SSH-2.0-OpenSSH_9.2\r\n").await;
    stage.serve("ssh.example", PUBLIC, no_http.address);
    let error = stage.post("http://ssh.example/").await.unwrap_err();
    assert!(matches!(error, Failure::Http(_)), "{error:?}");
}

#[tokio::test]
async fn the_next_address_of_a_name_is_tried() {
    let server = Server::answering(OK).await;
    let stage = Setup::default().build();
    stage.serve("push.example", PUBLIC, server.address);
    // Nothing listens at the first two.
    let away = ["1.1.1.7".parse().unwrap(), "2606:4700::7".parse().unwrap()];
    stage.names.set("push.example", &[&[away[0], away[1], PUBLIC]]);
    assert_eq!(stage.post("http://push.example/").await.unwrap().status, 201);
    stage.names.set("push.example", &[&away]);
    let error = stage.post("http://push.example/").await.unwrap_err();
    assert!(matches!(error, Failure::Unreachable(_)), "{error:?}");
    stage.names.set("push.example", &[&[]]);
    assert_eq!(stage.post("http://push.example/").await.unwrap_err(), Failure::Refused);
}
