//! A real nginx in front of the relay, with the configurations in docs/reverse-proxy.md.
//!
//! `scripts/nginx` finds it, or unpacks Debian's; without one these tests fail, unless `WITHOUT=nginx` skips them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use flate2::write::GzDecoder;
use sdk_relay_client::{Frame, RawClient};
use serde_json::json;
use testkit::{GuardedChild, RelayOptions, RelayProcess, eventually, http_post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::access::talk::{
    DEADLINE, PRIVILEGED, TOKEN, address, request, say, say_on, standalone, status, status_of, until,
};

const CLOSE: &str = "Connection: close\r\n";
const NAME: &str = "relay.example.com";

/// The nginx that `scripts/nginx` finds; `None` if these tests are skipped.
fn exe() -> Option<&'static Path> {
    static EXE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = EXE.get_or_init(|| {
        if testkit::is_left_out("nginx") {
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/nginx");
        let output = Command::new(&script).stderr(Stdio::inherit()).output();
        let output = output.unwrap_or_else(|e| panic!("{} cannot be started: {e}", script.display()));
        assert!(
            output.status.success(),
            "{} finds no nginx (its reason is above); WITHOUT=nginx leaves these tests out",
            script.display()
        );
        let stdout = String::from_utf8(output.stdout).unwrap();
        Some(PathBuf::from(stdout.lines().last().unwrap()))
    });
    found.as_deref()
}

/// A running nginx; dropped, it is killed.
struct Nginx {
    child: GuardedChild,
    dir: tempfile::TempDir,
    /// `127.0.0.1:PORT` of each requested port.
    ports: Vec<String>,
}

impl Nginx {
    /// Starts nginx with the output of `servers` for free ports inside `http { … }`. Retries if a port is taken
    /// meanwhile.
    async fn start(exe: &Path, ports: usize, servers: impl Fn(&[String], &Path) -> String) -> Nginx {
        for _ in 0..10 {
            let held: Vec<_> = (0..ports)
                .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
                .collect();
            let ports: Vec<_> = held.iter().map(|l| l.local_addr().unwrap().to_string()).collect();
            drop(held);
            let dir = tempfile::tempdir().unwrap();
            let conf = format!(
                "daemon off; master_process off; pid nginx.pid; error_log stderr warn;\n\
                 events {{ worker_connections 256; }}\n\
                 http {{\naccess_log off; gzip on;\nclient_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;\n{}\n}}\n",
                servers(&ports, dir.path())
            );
            std::fs::write(dir.path().join("nginx.conf"), conf).unwrap();
            let mut command = Command::new(exe);
            command
                .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
                .arg(format!("{}/", dir.path().display()))
                .stdin(Stdio::null());
            let child = GuardedChild::spawn(&mut command).unwrap();
            let mut nginx = Nginx { child, dir, ports };
            if nginx.is_up().await {
                return nginx;
            }
        }
        panic!("nginx does not start: its reason is above");
    }

    /// Returns false if it has ended.
    async fn is_up(&mut self) -> bool {
        let Nginx { child, ports, .. } = self;
        let child = std::sync::Mutex::new(child);
        eventually(DEADLINE, "nginx", async || {
            if child.lock().unwrap().try_wait().unwrap().is_some() {
                return Some(false);
            }
            for port in ports.iter() {
                TcpStream::connect(port).await.ok()?;
            }
            Some(true)
        })
        .await
    }
}

/// A code block of the page, by the word after its language.
fn block(mark: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reverse-proxy.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, rest) = page
        .split_once(&format!("```{mark}\n"))
        .unwrap_or_else(|| panic!("no block {mark}"));
    rest.split_once("```").unwrap().0.to_owned()
}

/// Applies these replacements, each of which must match.
fn put(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replace(from, to)
    })
}

/// A server that passes everything on to the relay's HTTP port, with these further lines.
fn server(port: &str, relay: &RelayProcess, lines: &str) -> String {
    let upstream = relay.http_url();
    format!("server {{ listen {port}; location / {{ proxy_pass {upstream}; {lines} }} }}")
}

#[tokio::test]
async fn a_usual_nginx_passes_no_privilege_on_and_a_bare_one_does() {
    let Some(exe) = exe() else { return };
    let open = RelayProcess::start(standalone()).await;
    let closed = RelayProcess::start(standalone().set("HTTP__LOCAL_ADMIN", "false")).await;
    let usual = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
    let real_ip = "proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;";
    let nginx = Nginx::start(exe, 4, |ports, _| {
        [
            server(&ports[0], &open, usual),
            server(&ports[1], &open, real_ip),
            server(&ports[2], &open, ""),
            server(&ports[3], &closed, ""),
        ]
        .join("\n")
    })
    .await;
    // Bare, nginx sends the address of the upstream as Host; docs/reverse-proxy.md recommends local_admin = false.
    for (port, expected) in [(0, 401), (1, 401), (2, 200), (3, 401)] {
        for (method, path) in PRIVILEGED
            .into_iter()
            .filter(|(_, path)| *path != "/restart" || expected == 401)
        {
            for host in [NAME, "localhost"] {
                let lines = format!("Host: {host}\r\n{CLOSE}");
                let answer = say(&nginx.ports[port], request(method, path, &lines)).await;
                assert_eq!(status_of(&answer), expected, "{port} {method} {path} {host}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn events_pass_nginx_defaults_and_gzip_immediately() {
    let Some(exe) = exe() else { return };
    let relay = RelayProcess::start(standalone()).await;
    // The default of nginx before 1.29 for upstreams: unchunked answers, buffered completely.
    let old = "proxy_http_version 1.0;";
    // Compression of event streams, which is not a default: the compressor buffers data that is not flushed.
    let gzip = "gzip_types *; gzip_proxied any;";
    let nginx = Nginx::start(exe, 3, |ports, _| {
        [
            server(&ports[0], &relay, ""),
            server(&ports[1], &relay, old),
            server(&ports[2], &relay, gzip),
        ]
        .join("\n")
    })
    .await;
    for (port, compressed) in [(0, false), (1, false), (2, true)] {
        let mut stream = TcpStream::connect(&nginx.ports[port]).await.unwrap();
        let request_text = request("GET", "/events", "Host: localhost\r\nAccept-Encoding: gzip\r\n");
        stream.write_all(request_text.as_bytes()).await.unwrap();
        let head = until(&mut stream, "\r\n\r\n").await.to_ascii_lowercase();
        assert_eq!(head.contains("content-encoding: gzip"), compressed, "{port}: {head}");
        let mut body = Body::new(compressed);
        // While idle: buffered data would wait for the end of the answer.
        body.until(&mut stream, ": welcome\n\n").await;
        for _ in 0..3 {
            let mined = http_post(&format!("{}/dev/mine", relay.http_url()), &json!({})).await;
            assert_eq!(mined.status, 200);
            let hash = mined.json()["blocks"][0].as_str().unwrap().to_owned();
            body.until(&mut stream, &hash).await;
        }
    }
}

/// The received part of a chunked answer.
enum Body {
    Plain(Vec<u8>),
    Gzip(Box<GzDecoder<Vec<u8>>>),
}

impl Body {
    fn new(compressed: bool) -> Body {
        if compressed {
            Body::Gzip(Box::new(GzDecoder::new(Vec::new())))
        } else {
            Body::Plain(Vec::new())
        }
    }

    /// Reads chunks until they contain this text.
    async fn until(&mut self, stream: &mut TcpStream, text: &str) {
        while !self.text().contains(text) {
            let length = until(stream, "\r\n").await;
            let length = usize::from_str_radix(length.trim(), 16).unwrap();
            let mut chunk = vec![0; length + 2];
            timeout(DEADLINE, stream.read_exact(&mut chunk)).await.unwrap().unwrap();
            match self {
                Body::Plain(bytes) => bytes.extend_from_slice(&chunk[..length]),
                Body::Gzip(decoder) => {
                    decoder.write_all(&chunk[..length]).unwrap();
                    decoder.flush().unwrap();
                }
            }
        }
    }

    fn text(&self) -> String {
        let bytes = match self {
            Body::Plain(bytes) => bytes,
            Body::Gzip(decoder) => decoder.get_ref(),
        };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// The page's relay, and its nginx with a certificate created by the test.
async fn as_documented(exe: &Path) -> (RelayProcess, Nginx) {
    let toml = put(
        &block("toml relay"),
        &[
            ("127.0.0.1:8090", "127.0.0.1:0"),
            ("127.0.0.1:8091", "127.0.0.1:0"),
            ("REPLACE ME", TOKEN),
        ],
    );
    let limits = "[limits]\nconnections_per_address = 1\n";
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let file = dir.path().join("relay.toml");
    std::fs::write(&file, format!("standalone = true\n{toml}\n{limits}")).unwrap();
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .arg("--config")
        .arg(&file);
    let relay = RelayProcess::start(options).await;
    let (https, wss) = (block("nginx https"), block("nginx wss"));
    let nginx = Nginx::start(exe, 2, |ports, dir| {
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let files = [
            ("/etc/ssl/relay.example.com.pem", cert.to_str().unwrap()),
            ("/etc/ssl/relay.example.com.key", key.to_str().unwrap()),
        ];
        let (http_url, ws_url) = (relay.http_url(), relay.ws_url());
        let https = put(
            &put(&https, &files),
            &[
                ("listen 443 ", &format!("listen {} ", ports[0])),
                ("127.0.0.1:8091", address(&http_url)),
            ],
        );
        let wss = put(
            &put(&wss, &files),
            &[
                ("listen 8090 ", &format!("listen {} ", ports[1])),
                ("127.0.0.1:8090", address(&ws_url)),
            ],
        );
        format!("{https}\n{wss}")
    })
    .await;
    (relay, nginx)
}

async fn tls(nginx: &Nginx, port: usize) -> TlsStream<TcpStream> {
    shake(nginx, TcpStream::connect(&nginx.ports[port]).await.unwrap()).await
}

async fn shake(nginx: &Nginx, stream: TcpStream) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(nginx.dir.path().join("cert.pem")).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    connector
        .connect(ServerName::try_from(NAME).unwrap(), stream)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_documented_nginx_supports_the_whole_api() {
    let Some(exe) = exe() else { return };
    let (relay, nginx) = as_documented(exe).await;
    let here = format!("Host: {NAME}\r\n{CLOSE}");
    for (method, path) in PRIVILEGED {
        let answer = say_on(tls(&nginx, 0).await, request(method, path, &here).as_bytes()).await;
        assert_eq!(status_of(&answer), 401, "{method} {path}: {answer}");
    }
    // A token is required on the machine of the relay too.
    let url = relay.http_url();
    let direct = |lines: &str| request("GET", "/logs", &format!("Host: localhost\r\n{CLOSE}{lines}"));
    assert_eq!(status(address(&url), direct("")).await, 401);
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(status(address(&url), direct(&token)).await, 200);
    // A page under the public name is an own page of the relay.
    let page = format!("{here}{token}Origin: https://{NAME}\r\nSec-Fetch-Site: same-origin\r\n");
    let answer = say_on(tls(&nginx, 0).await, request("GET", "/logs", &page).as_bytes()).await;
    assert_eq!(status_of(&answer), 200, "{answer}");

    // Events without delay.
    let mut events = tls(&nginx, 0).await;
    events
        .write_all(request("GET", "/events", &format!("Host: {NAME}\r\n")).as_bytes())
        .await
        .unwrap();
    until(&mut events, ": welcome\n\n").await;
    drop(events);

    // WebSockets, on both ports.
    let trusted = nginx.dir.path().join("cert.pem");
    for (port, path) in [(0, "/ws"), (1, "/")] {
        let url = format!("wss://{}{path}", nginx.ports[port]);
        let mut raw = RawClient::connect_trusting(&url, &trusted).await.unwrap();
        let hello =
            json!({"type": "handshake", "client_id": "app", "version": "1.0.0", "capabilities": ["notifications"]});
        raw.send_text(hello.to_string()).await.unwrap();
        for (expected, then_mine) in [("\"accepted\"", true), ("block_mined", false)] {
            let frame = timeout(DEADLINE, raw.next()).await.unwrap().unwrap();
            assert!(
                matches!(&frame, Frame::Text(text) if text.contains(expected)),
                "{expected}: {frame:?}"
            );
            if then_mine {
                let mined = http_post(&format!("{}/dev/mine", relay.http_url()), &json!({})).await;
                assert_eq!(mined.status, 200);
            }
        }
    }
}

#[tokio::test]
async fn clients_behind_the_documented_nginx_are_limited_separately() {
    let Some(exe) = exe() else { return };
    let (_relay, nginx) = as_documented(exe).await;
    // From 127.0.0.1, which the relay trusts, as a second proxy before nginx; and from 127.0.0.2, which is not trusted.
    let open = async |from: &str, named: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let stream = socket.connect(nginx.ports[0].parse().unwrap()).await.unwrap();
        let mut stream = shake(&nginx, stream).await;
        let lines = format!("Host: {NAME}\r\nX-Forwarded-For: {named}\r\n");
        stream
            .write_all(request("GET", "/events", &lines).as_bytes())
            .await
            .unwrap();
        let head = until(&mut stream, "\r\n\r\n").await;
        (status_of(&head), stream)
    };
    // One connection per address; open ones count.
    let first = open("127.0.0.1", "203.0.113.7").await;
    let second = open("127.0.0.1", "203.0.113.7").await;
    let other = open("127.0.0.1", "203.0.113.8").await;
    assert_eq!([first.0, second.0, other.0], [200, 503, 200]);
    let claims = [
        open("127.0.0.2", "203.0.113.7").await,
        open("127.0.0.2", "203.0.113.7").await,
    ];
    assert_eq!(
        claims.each_ref().map(|(status, _)| *status),
        [200, 200],
        "loopback, whatever it claims"
    );
}
