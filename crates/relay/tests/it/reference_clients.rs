//! The sample clients of the API reference, unchanged but for the ports: JavaScript, Python, curl.
//!
//! `API_REFERENCE` has the path of the reference; without it these tests print that they did not run.

use testkit::{RelayOptions, RelayProcess};
use tokio::process::Command;

use crate::support::program::{Program, node, python};

/// The text of the reference; `None` if the variable is not set.
fn reference() -> Option<String> {
    let path = testkit::needed_file("API_REFERENCE", "reference")?;
    Some(std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

/// The part of the text between these two strings.
fn part<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text
        .find(from)
        .unwrap_or_else(|| panic!("no {from:?} in the reference"));
    let end = text[start..]
        .find(to)
        .unwrap_or_else(|| panic!("no {to:?} in the reference"))
        + start
        + to.len();
    &text[start..end]
}

/// A relay as the samples expect it: named `relay-1`, with notifications soon.
async fn relay() -> RelayProcess {
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .arg("--standalone")
        .fixed_ports()
        .set("RELAY_ID", "relay-1")
        .set("DEV__MINE_INTERVAL", "1");
    RelayProcess::start(options).await
}

/// The code with the ports of the relay in place of those of the reference.
fn with_ports(code: &str, relay: &RelayProcess) -> String {
    let port = |url: String| url.rsplit_once(':').unwrap().1.trim_end_matches('/').to_owned();
    replace_ports(code, &port(relay.ws_url()), &port(relay.http_url()))
}

/// One pass: a port that was put in may itself contain `8091`, as 28091 does.
fn replace_ports(code: &str, ws: &str, http: &str) -> String {
    code.split("8090")
        .map(|part| part.replace("8091", http))
        .collect::<Vec<_>>()
        .join(ws)
}

#[test]
fn a_port_that_contains_the_other_one_is_kept() {
    let code = "ws://localhost:8090 http://localhost:8091";
    assert_eq!(
        replace_ports(code, "28091", "29324"),
        "ws://localhost:28091 http://localhost:29324"
    );
    assert_eq!(
        replace_ports(code, "29324", "18090"),
        "ws://localhost:29324 http://localhost:18090"
    );
}

#[tokio::test]
async fn the_javascript_client() {
    let Some(reference) = reference() else { return };
    let relay = relay().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("client.js");
    std::fs::write(
        &file,
        with_ports(
            part(&reference, "class SdkRelayClient {", "main().catch(console.error);"),
            &relay,
        ),
    )
    .unwrap();
    let mut node = node();
    node.arg(&file);
    let wanted = [
        "Connecté à sdk_relay",
        "Handshake accepté",
        "Métriques:",
        "Notification: block_mined",
        "Sync: StateSync",
    ];
    Program::start(node).prints(&wanted).await;
}

#[tokio::test]
async fn the_python_client() {
    let Some(reference) = reference() else { return };
    let relay = relay().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("client.py");
    let code = part(
        &reference,
        "import asyncio\nimport aiohttp",
        "if __name__ == \"__main__\":\n    asyncio.run(main())",
    );
    std::fs::write(&file, with_ports(code, &relay)).unwrap();
    let mut python = Command::new(python().await);
    python.arg("-u").arg(&file);
    let wanted = [
        "Métriques:",
        "Handshake accepté par relay-1",
        "Notification block_mined",
        "Sync StateSync",
    ];
    Program::start(python).prints(&wanted).await;
}

#[tokio::test]
async fn the_curl_commands() {
    let Some(reference) = reference() else { return };
    let relay = relay().await;
    let commands = with_ports(part(&reference, "## Vérifier la santé\ncurl", "/restart\n"), &relay);
    let commands: Vec<String> = commands
        .replace("\\\n", " ")
        .lines()
        .filter(|l| l.starts_with("curl "))
        .map(str::to_owned)
        .collect();
    assert_eq!(commands.len(), 11, "{commands:#?}");
    for command in commands {
        let command = command.replacen("curl ", "curl --silent --show-error --write-out '\\n%{http_code}' ", 1);
        let done = Command::new("sh").args(["-c", &command]).output().await.unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr),
        );
        // The block in the reference does not exist, and its hash is invalid.
        let expected = if command.contains("/bitcoin/blocks/abc123...") {
            "422"
        } else {
            "200"
        };
        assert!(stdout.ends_with(expected), "{command}\n{stdout}{stderr}");
    }
}
