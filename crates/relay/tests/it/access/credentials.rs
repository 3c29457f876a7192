//! Credentials are sent only to the address for which they were configured.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::{RelayOptions, RelayProcess, eventually, http_get, http_post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::access::talk::{DEADLINE, address, header, say};

const PASSWORD: &str = "node-52e8c0b7f1a6943d";

/// An HTTP server that answers 401 to everything, like a node without valid credentials, and records the heads of the
/// requests.
struct Thief {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Thief {
    async fn new() -> Thief {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&heads);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let kept = Arc::clone(&kept);
                connections.spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    kept.lock().unwrap().push(String::from_utf8(head).unwrap());
                    let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    drop(stream.write_all(answer).await);
                });
            }
        });
        Thief {
            url,
            heads,
            _tasks: tasks,
        }
    }

    /// The heads of all requests so far; waits until there are more than `before`.
    async fn more_than(&self, before: usize) -> Vec<String> {
        eventually(DEADLINE, "a request to the thief", async || {
            let heads = self.heads.lock().unwrap().clone();
            (heads.len() > before).then_some(heads)
        })
        .await
    }
}

fn carries_credentials(heads: &[String]) -> bool {
    heads.iter().any(|head| header(head, "authorization").is_some())
}

async fn put_url(relay: &RelayProcess, url: &str) -> Value {
    let host = relay.http_url();
    let body = json!({"bitcoin_core": {"url": url}}).to_string();
    let request = format!(
        "PUT /config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = say(address(&host), request).await;
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn a_node_address_set_over_http_gets_no_credentials_before_and_after_restarts() {
    let node = Thief::new().await;
    let cookie_dir = tempfile::tempdir().unwrap();
    let cookie = cookie_dir.path().join("cookie");
    std::fs::write(&cookie, format!("__cookie__:{PASSWORD}")).unwrap();
    let with_password = |o: RelayOptions| {
        o.set("BITCOIN_CORE__USER", "relay")
            .set("BITCOIN_CORE__PASSWORD", PASSWORD)
    };
    let with_cookie = |o: RelayOptions| o.set("BITCOIN_CORE__COOKIE_FILE", &cookie);
    for with in [&with_password as &dyn Fn(RelayOptions) -> RelayOptions, &with_cookie] {
        let dir = tempfile::tempdir().unwrap();
        // Of its own: the last relay of a round sends credentials to it until it is killed.
        let thief = Thief::new().await;
        let base = || {
            with(
                RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
                    .data_dir(dir.path())
                    .fixed_ports(),
            )
        };
        let options = base().set("BITCOIN_CORE__URL", &node.url);
        let requested = node.heads.lock().unwrap().len();
        let mut relay = RelayProcess::start_listening(options.clone()).await;
        assert!(
            carries_credentials(&node.more_than(requested).await[requested..]),
            "the operator's node is asked with them"
        );

        let answer = put_url(&relay, &thief.url).await;
        assert_eq!(answer["restart_required"], true, "{answer}");
        let warning = answer["warnings"][0].as_str().unwrap();
        assert!(
            warning.contains("credentials") && warning.contains(&node.url),
            "{warning}"
        );
        assert!(!answer.to_string().contains(PASSWORD), "{answer}");

        let requested = thief.heads.lock().unwrap().len();
        let restarted = http_post(&format!("{}/restart", relay.http_url()), &json!({})).await;
        assert_eq!(restarted.status, 200, "{}", restarted.text());
        let heads = thief.more_than(requested).await;
        assert!(!carries_credentials(&heads), "{heads:?}");
        relay.terminate().await;

        // A new process reads the change from the data directory.
        let requested = heads.len();
        relay = RelayProcess::start_listening(options).await;
        let heads = thief.more_than(requested).await;
        assert!(!carries_credentials(&heads), "{heads:?}");
        assert!(
            relay.stderr().contains("sending no credentials to the node"),
            "{}",
            relay.stderr()
        );
        assert!(!relay.stderr().contains(PASSWORD));
        let health = eventually(DEADLINE, "why the node is away", async || {
            let health = http_get(&format!("{}/health", relay.http_url())).await;
            health
                .text()
                .contains("no credentials were sent")
                .then(|| health.text().to_owned())
        });
        assert!(!health.await.contains(PASSWORD));
        relay.terminate().await;

        // Once the operator has set the address, the credentials are for it.
        let requested = thief.heads.lock().unwrap().len();
        let _relay = RelayProcess::start_listening(base().set("BITCOIN_CORE__URL", &thief.url)).await;
        eventually(DEADLINE, "credentials", async || {
            let heads = thief.heads.lock().unwrap();
            carries_credentials(&heads[requested..]).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_refused_change_is_neither_stored_nor_logged() {
    let relay = RelayProcess::start(crate::access::talk::standalone().set("LOG__LEVEL", "trace")).await;
    let host = relay.http_url();
    for (patch, field) in [
        (
            json!({"bitcoin_core": {"zmq_url": "tcp://me:5ec2e75ec2e7@127.0.0.1:29000"}}),
            "bitcoin_core.zmq_url",
        ),
        (
            json!({"bitcoin_core": {"url": "http://me:5ec2e75ec2e7@127.0.0.1:1"}}),
            "bitcoin_core.url",
        ),
        (
            json!({"blindbit": {"url": "http://me:5ec2e75ec2e7@127.0.0.1:1"}}),
            "blindbit.url",
        ),
        (
            json!({"bitcoin_core": {"wallet": "w\u{0}5ec2e75ec2e7"}}),
            "bitcoin_core.wallet",
        ),
        (
            json!({"bitcoin_core": {"wallet": "../5ec2e75ec2e7"}}),
            "bitcoin_core.wallet",
        ),
        (json!({"sync.interval": 5}), "sync.interval"),
    ] {
        let body = patch.to_string();
        let request = format!(
            "PUT /config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = say(address(&host), request).await;
        let problem: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(
            (&problem["status"], &problem["errors"][0]["field"]),
            (&json!(422), &json!(field)),
            "{problem}"
        );
    }
    assert!(!relay.data_dir().join("settings.toml").exists());
    assert!(!relay.stderr().contains("5ec2e75ec2e7"), "{}", relay.stderr());
}
