//! Handshakes with certificates of all kinds, as a person makes them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::RawClient;
use crate::transport::{Connector, dial};

/// A certificate with its key, signed by itself or by the issuer.
struct Made {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

fn own(params: &CertificateParams) -> Made {
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    Made {
        pem: cert.pem(),
        der: cert.der().clone(),
        key,
    }
}

fn authority(names: &[&str]) -> CertificateParams {
    let mut params = params(names);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A server that completes handshakes with this certificate, and nothing else.
async fn server(made: &Made) -> SocketAddr {
    let key = PrivateKeyDer::try_from(made.key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A refused certificate ends it.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                drop(
                    stream
                        .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                        .await,
                );
                drop(stream.shutdown().await);
            }
        }
    });
    address
}

fn write(dir: &Path, pem: &str) -> PathBuf {
    let file = dir.join("trusted.pem");
    std::fs::write(&file, pem).unwrap();
    file
}

/// `None`: the handshake succeeded, and the server speaks no WebSocket.
async fn refusal(address: SocketAddr, trust: Trust) -> Option<String> {
    let connector = Connector {
        trust,
        ..Connector::default()
    };
    match dial(&format!("wss://{address}/ws"), &connector).await {
        Err(ConnectError::NotWebSocket { .. }) => None,
        Err(ConnectError::Tls { reason, .. }) => Some(reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_certificate_in_the_file_is_trusted_also_if_it_is_that_of_an_authority() {
    let dir = tempfile::tempdir().unwrap();
    for params in [params(&["127.0.0.1"]), authority(&["127.0.0.1"])] {
        let made = own(&params);
        let address = server(&made).await;
        let file = write(dir.path(), &made.pem);
        assert_eq!(refusal(address, Trust::File(file.clone())).await, None);
        assert_eq!(refusal(address, Trust::Exactly(file)).await, None);
    }
}

#[tokio::test]
async fn the_own_certificate_is_trusted_for_any_name_and_no_other_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut for_clients = params(&["relay.example"]);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for params in [params(&["relay.example"]), params(&[]), authority(&[]), for_clients] {
        let made = own(&params);
        let address = server(&made).await;
        let file = write(dir.path(), &made.pem);
        assert_eq!(refusal(address, Trust::Exactly(file)).await, None);
    }
    // Issued by the certificate of the file, or in the file, but not the first.
    let root = authority(&[]);
    let issuer = own(&root);
    let key = KeyPair::generate().unwrap();
    let cert = params(&["127.0.0.1"])
        .signed_by(&key, &Issuer::new(root, issuer.key))
        .unwrap();
    let issued = Made {
        pem: cert.pem(),
        der: cert.der().clone(),
        key,
    };
    let address = server(&issued).await;
    let file = write(dir.path(), &format!("{}{}", issuer.pem, issued.pem));
    assert_eq!(refusal(address, Trust::File(file.clone())).await, None);
    assert_eq!(
        refusal(address, Trust::Exactly(file)).await.as_deref(),
        Some("its certificate is another one than the first of the file")
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let mut expired = authority(&["127.0.0.1"]);
    expired.not_after = date_time_ymd(2020, 2, 29);
    let mut future = params(&["127.0.0.1"]);
    future.not_before = date_time_ymd(3000, 1, 1);
    future.not_after = date_time_ymd(3001, 1, 1);
    for (params, words) in [
        (&expired, "its certificate expired on 2020-02-29 00:00 UTC: renew it"),
        (
            &future,
            "its certificate is valid only from 3000-01-01 00:00 UTC: check the clocks",
        ),
    ] {
        let made = own(params);
        let address = server(&made).await;
        let file = write(dir.path(), &made.pem);
        for trust in [Trust::File(file.clone()), Trust::Exactly(file)] {
            let reason = refusal(address, trust).await.unwrap();
            assert!(reason.starts_with(words), "{reason}");
        }
    }
    let mut for_clients = params(&["127.0.0.1"]);
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let another = own(&params(&["127.0.0.1"]));
    for (params, is_trusted, words) in [
        (
            params(&["relay.example", "10.0.0.7"]),
            true,
            "its certificate is not valid for the name 127.0.0.1, only for relay.example, 10.0.0.7: use one of these",
        ),
        (
            authority(&["relay.example"]),
            true,
            "its certificate is not valid for the name 127.0.0.1, only for relay.example",
        ),
        (
            params(&[]),
            true,
            "its certificate has no name (subjectAltName; the CN does not count), and is not valid for 127.0.0.1: make one with ",
        ),
        (
            authority(&["127.0.0.1"]),
            false,
            "its certificate is that of an authority (CA:TRUE), which cannot be a server's: make one with ",
        ),
        (params(&["127.0.0.1"]), false, "its certificate is not "),
        (
            for_clients,
            false,
            "its certificate is not for servers (extendedKeyUsage has no serverAuth)",
        ),
    ] {
        let made = own(&params);
        let address = server(&made).await;
        let file = write(dir.path(), if is_trusted { &made.pem } else { &another.pem });
        let reason = refusal(address, Trust::File(file)).await.unwrap();
        assert!(reason.starts_with(words), "{reason}");
        assert!(!reason.contains(['{', '"']) && !reason.contains("Context"), "{reason}");
    }
}

#[tokio::test]
async fn the_wrong_scheme_is_named() {
    let made = own(&params(&["127.0.0.1"]));
    let address = server(&made).await;
    let error = RawClient::connect(&format!("ws://{address}")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address} speaks TLS: use wss:// in place of ws://")
    );

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 1024]).await);
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), &made.pem);
    let error = RawClient::connect_trusting(&format!("wss://{address}"), file)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address} does not speak TLS: use ws:// in place of wss://")
    );
}
