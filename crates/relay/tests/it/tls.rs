//! TLS on both ports, from outside the process.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sdk_relay_client::{Client, ConnectError};
use testkit::{PooledNode, RelayOptions, RelayProcess, eventually, http_get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::impatient;

const DEADLINE: Duration = Duration::from_secs(30);
/// Far below the time that a handshake may take.
const AT_ONCE: Duration = Duration::from_secs(5);

fn standalone() -> RelayOptions {
    RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).arg("--standalone")
}

fn with_files(cert: &Path, key: &Path) -> RelayOptions {
    standalone().set("TLS__CERT", cert).set("TLS__KEY", key)
}

fn address(url: &str) -> &str {
    url.split_once("://").unwrap().1
}

fn client(relay: &RelayProcess) -> sdk_relay_client::ClientBuilder {
    Client::builder(&format!("wss://{}", address(&relay.ws_url()))).reconnect(false)
}

/// Replaces the files by a certificate for 127.0.0.1 and its key.
fn write_pair(cert: &Path, key: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(cert, made.cert.pem()).unwrap();
    std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
}

async fn https(relay: &RelayProcess, method: &str, path: &str, trusted: &Path) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let url = relay.http_url();
    let stream = TcpStream::connect(address(&url)).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    answer
}

async fn https_get(relay: &RelayProcess, path: &str, trusted: &Path) -> String {
    https(relay, "GET", path, trusted).await
}

fn hang_up(relay: &RelayProcess) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -HUP {}", relay.pid())])
        .status();
    assert!(sent.unwrap().success());
}

async fn logged(relay: &RelayProcess, times: usize, text: &str) {
    eventually(DEADLINE, text, async || {
        (relay.stderr().matches(text).count() == times).then_some(())
    })
    .await;
}

fn fingerprint(relay: &RelayProcess) -> String {
    let log = relay.stderr();
    log.split("fingerprint=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a fingerprint")
        .to_owned()
}

#[tokio::test]
async fn a_self_signed_certificate_serves_both_ports_and_is_kept() {
    let mut relay = RelayProcess::start(standalone().arg("--tls-self-signed")).await;
    let trusted = relay.data_dir().join("tls-self-signed.crt");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let key = std::fs::metadata(relay.data_dir().join("tls-self-signed.key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
    let (connection, _events) = client(&relay).trust(&trusted).connect().await.unwrap();
    assert_eq!(connection.relay().network, "regtest");
    let answer = https_get(&relay, "/health", &trusted).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("healthy"),
        "{answer}"
    );
    // The same for WebSockets on the HTTP port, under a name of the certificate.
    let url = format!("wss://localhost:{}/ws", relay.http_url().rsplit_once(':').unwrap().1);
    drop(Client::builder(&url).trust(&trusted).connect().await.unwrap());

    let untrusted = client(&relay).connect().await.unwrap_err();
    assert!(
        matches!(untrusted, ConnectError::Tls { .. } | ConnectError::Trust { .. }),
        "{untrusted}"
    );

    let first = fingerprint(&relay);
    drop(connection);
    assert!(relay.terminate().await.success());
    relay.start_again().await;
    assert_eq!(fingerprint(&relay), first);
}

#[tokio::test]
async fn plain_text_is_closed_immediately_and_not_logged() {
    let relay = RelayProcess::start(standalone().arg("--tls-self-signed")).await;
    // The last log line of a start; it may follow the one that the relay is ready.
    let before = eventually(DEADLINE, "the index to be there", async || {
        Some(relay.stderr()).filter(|log| log.contains("the tweak index has reached the tip"))
    })
    .await;
    for url in [relay.ws_url(), relay.http_url()] {
        for _ in 0..50 {
            let mut stream = TcpStream::connect(address(&url)).await.unwrap();
            stream
                .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await
                .unwrap();
            let mut answer = Vec::new();
            // A reset ends the connection too.
            let end = timeout(AT_ONCE, stream.read_to_end(&mut answer)).await;
            drop(end.expect("an end at once"));
            assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        }
    }
    assert_eq!(relay.stderr(), before);
}

#[tokio::test]
async fn a_handshake_has_a_time_limit() {
    let relay = RelayProcess::start(impatient::standalone().set("TLS__SELF_SIGNED", "true")).await;
    let silent = async |url: String| {
        let mut stream = TcpStream::connect(address(&url)).await.unwrap();
        let began = Instant::now();
        // What begins a handshake, and no more.
        stream.write_all(&[0x16, 3, 1]).await.unwrap();
        let end = timeout(DEADLINE, stream.read_to_end(&mut Vec::new())).await;
        drop(end.expect("an end"));
        began.elapsed()
    };
    let (ws, http) = tokio::join!(silent(relay.ws_url()), silent(relay.http_url()));
    for took in [ws, http] {
        assert!(took >= impatient::INPUT - Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test]
async fn a_new_certificate_affects_no_open_connection_and_a_wrong_one_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let [cert, key, old] = ["relay.crt", "relay.key", "old.crt"].map(|name| dir.path().join(name));
    write_pair(&cert, &key);
    std::fs::copy(&cert, &old).unwrap();
    let relay = RelayProcess::start(with_files(&cert, &key)).await;
    let (before, _events) = client(&relay).trust(&old).connect().await.unwrap();

    write_pair(&cert, &key);
    hang_up(&relay);
    logged(&relay, 1, "reloaded the certificate").await;
    let (after, _events) = client(&relay).trust(&cert).connect().await.unwrap();
    assert!(matches!(
        client(&relay).trust(&old).connect().await,
        Err(ConnectError::Tls { .. })
    ));
    assert!(
        https_get(&relay, "/health/live", &cert)
            .await
            .starts_with("HTTP/1.1 200")
    );
    before.ping().await.expect("the old connection is open");

    let good = dir.path().join("good.crt");
    std::fs::rename(&cert, &good).unwrap();
    std::fs::write(&cert, "no certificate").unwrap();
    hang_up(&relay);
    logged(&relay, 1, "keeping the old one").await;
    let log = relay.stderr();
    let line = log.lines().find(|l| l.contains("keeping the old one")).unwrap();
    assert!(
        line.contains("ERROR") && line.contains("relay.crt") && line.contains("contains no certificate"),
        "{line}"
    );
    drop(client(&relay).trust(&good).connect().await.unwrap());
    // A restart without a valid certificate is refused.
    let refused = https(&relay, "POST", "/restart", &good).await;
    assert!(
        refused.starts_with("HTTP/1.1 422") && refused.contains("relay.crt"),
        "{refused}"
    );
    before.ping().await.unwrap();
    after.ping().await.unwrap();
}

#[tokio::test]
async fn without_tls_sighup_has_no_effect() {
    let relay = RelayProcess::start(standalone()).await;
    hang_up(&relay);
    logged(&relay, 1, "SIGHUP: log.level is the same as before").await;
    assert_eq!(http_get(&format!("{}/health", relay.http_url())).await.status, 200);
}

#[tokio::test]
async fn a_mismatched_key_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let [cert, key, other] = ["relay.crt", "relay.key", "other.key"].map(|name| dir.path().join(name));
    write_pair(&cert, &key);
    write_pair(&dir.path().join("other.crt"), &other);
    let refused = async |options| {
        let ended = RelayProcess::try_start(options).await.unwrap_err();
        assert_eq!(ended.status.code(), Some(1));
        ended.stderr
    };
    let received = refused(with_files(&cert, &other)).await;
    assert!(
        received.contains("tls.key") && received.contains("other.key") && received.contains("does not match"),
        "{received}"
    );
    let received = refused(with_files(&cert, &dir.path().join("none"))).await;
    assert!(
        received.contains("tls.key") && received.contains("none") && received.contains("expected"),
        "{received}"
    );
    let received = refused(with_files(&key, &key)).await;
    assert!(
        received.contains("tls.cert") && received.contains("contains no certificate") && received.contains("expected"),
        "{received}"
    );
    let received = refused(standalone().set("TLS__CERT", &cert)).await;
    assert!(
        received.contains("tls.key = \"\"") && received.contains("expected"),
        "{received}"
    );
    let checked = Command::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .args(["check-config", "--standalone", "--data-dir"])
        .arg(dir.path())
        .env("SDK_RELAY_TLS__CERT", &cert)
        .env("SDK_RELAY_TLS__KEY", &other)
        .output()
        .unwrap();
    let received = String::from_utf8(checked.stderr).unwrap();
    assert!(
        !checked.status.success() && received.contains("does not match"),
        "{received}"
    );
}

#[tokio::test]
async fn relays_link_over_tls_to_trusted_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    write_pair(&cert, &key);
    let node = PooledNode::take(testkit::Options::default()).await;
    let relay = |name: &str, scheme: &str| {
        RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
            .node(&node)
            .in_mesh_over(scheme)
            .set("RELAY_ID", name)
            .set("SYNC__INTERVAL", "1")
    };
    let a = RelayProcess::start(relay("a", "wss").set("TLS__CERT", &cert).set("TLS__KEY", &key)).await;
    let url = format!("wss://{}", address(&a.ws_url()));
    let links = |name: &str| relay(name, "ws").set("MESH__PEERS", &url);
    let wary = RelayProcess::start(links("wary")).await;
    logged(&wary, 1, "mesh.peers: cannot connect").await;
    let b = RelayProcess::start(links("b").set("MESH__TRUST", &cert)).await;
    let listed = eventually(DEADLINE, "a link to a", async || {
        let list = http_get(&format!("{}/relays", b.http_url())).await.json();
        (list["relays"][1]["link"] == "outbound").then(|| list["relays"][1].clone())
    })
    .await;
    // It announces its own URL to other relays.
    assert_eq!((&listed["relay_id"], &listed["url"]), (&"a".into(), &url.into()));
}
