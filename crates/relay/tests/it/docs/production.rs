//! Commands of `docs/production.md`: a certificate of one's own, and the backup.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use testkit::{RelayProcess, is_left_out};

use super::{SCAN_KEY, SPEND_KEY, block};
use crate::wire::standalone;

const PAGE: &str = "production.md";

/// Runs commands in this folder, which is also the home directory, with the program on the `PATH`.
fn shell(commands: &str, folder: &Path) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_sdk_relay")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", commands]).current_dir(folder);
    let done = shell.env("HOME", folder).env("PATH", path).output().unwrap();
    assert!(done.status.success(), "{commands}: {done:?}");
    done
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_backup_is_private_and_silent_and_restores_the_keys() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = old.path().join(".sdk_relay");
    std::fs::create_dir(&data).unwrap();
    for (name, text) in [
        ("wallet.key", "keys"),
        ("sdk_relay.toml", "# configured"),
        ("relay.redb", "a log"),
    ] {
        std::fs::write(data.join(name), text).unwrap();
        std::fs::set_permissions(data.join(name), PermissionsExt::from_mode(0o600)).unwrap();
    }
    let saved = shell(&block(PAGE, "sh backup"), old.path());
    assert_eq!(
        (saved.stdout, saved.stderr),
        (vec![], vec![]),
        "files that do not exist are no trouble"
    );
    let archive = "sdk_relay-backup.tar.gz";
    assert_eq!(mode(&old.path().join(archive)), 0o600);

    std::fs::copy(old.path().join(archive), new.path().join(archive)).unwrap();
    let restored = shell(&block(PAGE, "sh restore"), new.path());
    assert_eq!((restored.stdout, restored.stderr), (vec![], vec![]));
    let data = new.path().join(".sdk_relay");
    assert_eq!(std::fs::read_to_string(data.join("wallet.key")).unwrap(), "keys");
    assert_eq!(
        std::fs::read_to_string(data.join("sdk_relay.toml")).unwrap(),
        "# configured"
    );
    assert!(!data.join("relay.redb").exists(), "the log is not in the backup");
    assert_eq!((mode(&data), mode(&data.join("wallet.key"))), (0o700, 0o600));
}

#[tokio::test]
async fn strict_clients_accept_the_certificate() {
    if is_left_out("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let here = |words: &str| {
        block(PAGE, words)
            .replace("relay.example.com", "localhost")
            .replace("192.0.2.20", "127.0.0.1")
    };
    shell(&here("sh certificate"), folder.path());
    assert_eq!(mode(&file("localhost.key")), 0o600);
    let options = standalone().fixed_ports();
    let options = options
        .set("TLS__CERT", file("localhost.pem"))
        .set("TLS__KEY", file("localhost.key"));
    let relay = RelayProcess::start(options).await;
    std::fs::write(file("keys"), format!("{SCAN_KEY} {SPEND_KEY}\n")).unwrap();
    let port = |url: String| url.rsplit_once(':').unwrap().1.to_owned();
    let commands = here("sh trusted")
        .replace("8091", &port(relay.http_url()))
        .replace("8090", &port(relay.ws_url()))
        .replace("709632", "0")
        .replace("FILE", "keys");
    let folder = folder.path().to_owned();
    let done = tokio::task::spawn_blocking(move || shell(&commands, &folder))
        .await
        .unwrap();
    let shown = String::from_utf8(done.stdout).unwrap();
    assert!(shown.contains("· healthy"), "{shown}");
    let scanned = String::from_utf8(done.stderr).unwrap();
    assert!(scanned.contains("0 payments up to block"), "{scanned}");
}
