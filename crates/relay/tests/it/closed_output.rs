//! Commands whose output nobody reads any more (`sdk_relay status | head -3`), or who have none.

#![cfg(unix)]

use std::io::{PipeWriter, pipe};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{GuardedChild, RelayOptions, RelayProcess, eventually, http_get};

const DEADLINE: Duration = Duration::from_secs(30);
/// Exit code of a shell for a program that SIGPIPE has ended.
const OUTPUT_CLOSED: i32 = 141;

fn sdk_relay(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sdk_relay"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SDK_RELAY_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("HOME", home).current_dir(home);
    command.stdin(Stdio::null());
    command
}

/// The end of a pipe that nobody reads.
fn closed() -> PipeWriter {
    pipe().unwrap().1
}

/// A home directory with a wallet, and the port of a relay that runs.
async fn scene(home: &Path) -> RelayProcess {
    let data = home.join("data");
    std::fs::create_dir(&data).unwrap();
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).arg("--standalone");
    let relay = RelayProcess::start(options.data_dir(&data)).await;
    std::fs::write(
        home.join("keys"),
        "0101010101010101010101010101010101010101010101010101010101010101 \
         0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    )
    .unwrap();
    relay
}

/// Every command that prints, with its arguments.
fn commands<'a>(http: &'a str, ws: &'a str) -> Vec<Vec<&'a str>> {
    vec![
        vec!["--help"],
        vec!["--version"],
        vec!["check-config", "--standalone", "--data-dir", "data"],
        vec!["init", "--data-dir", "new"],
        vec!["status", "--url", http],
        vec!["status", "--url", http, "--json"],
        vec!["scan", "--from", "0", "--relay", ws, "--keys", "keys"],
        vec!["wallet", "address", "--standalone", "--data-dir", "data"],
        vec!["wallet", "export", "copy", "--standalone", "--data-dir", "data"],
        vec!["wallet", "import", "copy", "--standalone", "--data-dir", "another"],
        // Errors.
        vec!["status", "--url", "http://127.0.0.1:1"],
        vec!["--no-such-flag"],
    ]
}

#[tokio::test]
async fn no_command_panics_with_a_closed_output() {
    let home = tempfile::tempdir().unwrap();
    let relay = scene(home.path()).await;
    let (http, ws) = (relay.http_url(), relay.ws_url());
    for arguments in commands(&http, &ws) {
        // Both, because what a command prints depends on what it did before.
        for close_errors in [false, true] {
            for made in ["new", "copy", "another"] {
                let path = home.path().join(made);
                if made == "copy" && arguments.contains(&"import") {
                    std::fs::copy(home.path().join("data/wallet.key"), path).unwrap();
                } else if path.is_dir() {
                    std::fs::remove_dir_all(path).unwrap();
                } else if path.exists() {
                    std::fs::remove_file(path).unwrap();
                }
            }
            let mut command = sdk_relay(home.path(), &arguments);
            command.stdout(closed());
            if close_errors {
                command.stderr(closed());
            }
            let output = tokio::task::spawn_blocking(move || command.output().unwrap())
                .await
                .unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            let code = output.status.code();
            assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
            // 101 is the code of a panic.
            assert!(
                matches!(code, Some(0 | 1 | 2 | OUTPUT_CLOSED)),
                "{arguments:?} ended with {:?}: {stderr}",
                output.status
            );
            if matches!(arguments[0], "check-config" | "init" | "wallet") || arguments.contains(&http.as_str()) {
                assert_eq!((code, stderr.as_str()), (Some(OUTPUT_CLOSED), ""), "{arguments:?}");
            }
        }
    }
}

/// A disk that is full, for a command that writes to a file.
#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = sdk_relay(home.path(), &["init"]).stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.starts_with("sdk_relay: cannot write to standard output: No space left on device"),
        "{stderr}"
    );
}

/// A relay continues: its log is in `GET /logs` too.
#[tokio::test]
async fn a_relay_serves_with_closed_outputs() {
    let home = tempfile::tempdir().unwrap();
    // Both at once, so that they differ.
    let [ws, http] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [ws, http] = [ws, http].map(|listener| listener.local_addr().unwrap().port());
    let mut command = sdk_relay(home.path(), &["--standalone", "--data-dir", "data"]);
    command
        .env("SDK_RELAY_WS_URL", format!("127.0.0.1:{ws}"))
        .env("SDK_RELAY_HTTP_URL", format!("127.0.0.1:{http}"))
        .env("SDK_RELAY_LOG__LEVEL", "debug")
        .stdout(closed())
        .stderr(closed());
    let _relay = GuardedChild::spawn(&mut command).unwrap();
    eventually(DEADLINE, "an answer of the relay", async || {
        TcpStream::connect(("127.0.0.1", http)).ok()?;
        let answer = http_get(&format!("http://127.0.0.1:{http}/health/ready")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    // Also after the first lines have failed to be written.
    eventually(DEADLINE, "the line of the log", async || {
        let logs = http_get(&format!("http://127.0.0.1:{http}/logs")).await;
        logs.text().contains("\"message\":\"ready\"").then_some(())
    })
    .await;
}
