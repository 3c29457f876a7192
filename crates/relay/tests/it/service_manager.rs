//! What the relay reports to a service manager (systemd, `Type=notify`), and that it reads its credentials.

use std::process::Command;
use std::time::Duration;

use hyper::Request;
use serde_json::json;
use tempfile::TempDir;
use testkit::{RelayOptions, RelayProcess, http_post, http_send};
use tokio::net::UnixDatagram;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(60);
/// systemd reads no longer message (`NOTIFY_BUFFER_MAX`).
const LONGEST: usize = 4096;
const TOKEN: &str = "the-token-of-the-administrator";

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    dir: TempDir,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        Self { socket, dir }
    }

    fn starts(&self, options: RelayOptions) -> RelayOptions {
        options.env("NOTIFY_SOCKET", self.dir.path().join("notify"))
    }

    async fn message(&self) -> String {
        let mut buffer = [0; LONGEST + 1];
        let received = timeout(DEADLINE, self.socket.recv(&mut buffer)).await;
        let length = received.expect("a notification in time").unwrap();
        assert!(length <= LONGEST, "{length}");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// The first message from now on that has this text.
    async fn message_with(&self, text: &str) -> String {
        let wait = async {
            loop {
                let message = self.message().await;
                if message.contains(text) {
                    return message;
                }
            }
        };
        let found = timeout(DEADLINE, wait).await;
        found.unwrap_or_else(|_| panic!("no notification with {text:?}"))
    }
}

fn signal(relay: &RelayProcess, name: &str) {
    let kill = format!("kill -{name} {}", relay.pid());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[tokio::test]
async fn readiness_status_watchdog_reload_and_end() {
    let manager = Manager::new();
    // Three pings a second.
    let options = manager.starts(RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")));
    let options = options.set("STANDALONE", "true").env("WATCHDOG_USEC", "1000000");
    let mut relay = RelayProcess::start(options).await;
    let ready = manager.message_with("READY=1\n").await;
    assert!(ready.contains("\nSTATUS="), "{ready}");
    for _ in 0..3 {
        assert_eq!(manager.message_with("WATCHDOG=1").await, "WATCHDOG=1\n");
    }
    let mined = http_post(&format!("{}/dev/mine", relay.http_url()), &json!({ "blocks": 1 })).await;
    let height = mined.json()["height"].as_u64().unwrap();
    manager.message_with(&format!("STATUS=healthy, block {height}\n")).await;
    signal(&relay, "HUP");
    let reload = manager.message_with("RELOADING=1\n").await;
    assert!(reload.contains("\nMONOTONIC_USEC="), "{reload}");
    manager.message_with("READY=1\n").await;

    let restart = http_post(&format!("{}/restart", relay.http_url()), &json!({})).await;
    assert!(restart.status.is_success(), "{}", restart.text());
    manager.message_with("STATUS=restarting\n").await;
    manager.message_with("READY=1\n").await;
    // The threads of the HTTP API are others now.
    manager.message_with("WATCHDOG=1\n").await;

    assert!(relay.terminate().await.success());
    manager.message_with("STOPPING=1\nSTATUS=shutting down\n").await;
}

/// Clients connect and read the log while the node is away: the service has started.
#[tokio::test]
async fn a_relay_without_its_node_is_ready_and_says_what_is_missing() {
    let manager = Manager::new();
    let options = manager.starts(RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")));
    // Port 1 of this machine: nothing listens there.
    let options = options.set("BITCOIN_CORE__URL", "http://127.0.0.1:1");
    let mut relay = RelayProcess::start_listening(options).await;
    manager.message_with("READY=1\n").await;
    let status = manager.message_with("127.0.0.1:1 does not answer").await;
    assert!(status.starts_with("STATUS=critical, no block yet: "), "{status}");
    assert!(relay.terminate().await.success());
}

#[tokio::test]
async fn a_credential_is_the_token() {
    let credentials = tempfile::tempdir().unwrap();
    std::fs::write(credentials.path().join("auth.admin_token"), format!("{TOKEN}\n")).unwrap();
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .set("STANDALONE", "true")
        .env("CREDENTIALS_DIRECTORY", credentials.path());
    let relay = RelayProcess::start(options).await;
    let change = json!({ "sync": { "interval": 31 } });
    let put = async |token: Option<&str>| {
        let request = Request::put(format!("{}/config", relay.http_url())).header("content-type", "application/json");
        let request = token.iter().fold(request, |request, token| {
            request.header("authorization", format!("Bearer {token}"))
        });
        http_send(request.body(change.to_string().into()).unwrap()).await.status
    };
    assert_eq!(put(None).await, 401);
    assert_eq!(put(Some(TOKEN)).await, 200);
    assert!(!relay.stderr().contains(TOKEN), "{}", relay.stderr());
}
