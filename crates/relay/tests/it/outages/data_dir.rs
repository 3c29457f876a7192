//! Errors at the start: one message with the reason, and exit code 1.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use testkit::{RelayOptions, RelayProcess};

use crate::outages::options;

/// Starts a relay that must fail to start. Returns the last line of its standard error.
pub(crate) async fn refused(options: RelayOptions) -> String {
    let ended = match RelayProcess::try_start(options).await {
        Ok(relay) => panic!("it started: {}", relay.stderr()),
        Err(ended) => ended,
    };
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(!ended.stderr.contains("panicked"), "{ended}");
    let last = ended.stderr.lines().last().expect("a message");
    assert!(last.starts_with("sdk_relay: "), "{ended}");
    last.to_owned()
}

#[tokio::test]
async fn a_second_relay() {
    let dir = tempfile::tempdir().unwrap();
    let standalone = || options().arg("--standalone").data_dir(dir.path());
    let mut first = RelayProcess::start(standalone()).await;
    let message = refused(standalone()).await;
    assert!(message.contains(&dir.path().display().to_string()), "{message}");
    assert!(message.contains(&format!("process {}", first.pid())), "{message}");
    // The first is not affected, and a killed one leaves nothing behind that would prevent the next start.
    crate::outages::well(&first).await;
    first.kill9();
    drop(RelayProcess::start(standalone()).await);
}

#[tokio::test]
async fn a_data_directory_of_another_network() {
    let dir = tempfile::tempdir().unwrap();
    drop(RelayProcess::start(options().arg("--standalone").data_dir(dir.path())).await);
    let message = refused(options().data_dir(dir.path()).set("NETWORK", "signet")).await;
    for word in ["regtest", "signet", "data_dir", &dir.path().display().to_string()] {
        assert!(message.contains(word), "{message}");
    }
}

/// Without a configuration the first start is on mainnet. The advice to start with another network must work.
#[tokio::test]
async fn a_first_start_on_the_wrong_network_does_not_decide_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let mainnet = options()
        .set("NETWORK", "mainnet")
        .set("BITCOIN_CORE__URL", "http://127.0.0.1:1");
    let mut relay = RelayProcess::start_listening(mainnet.data_dir(dir.path())).await;
    assert!(relay.terminate().await.success());
    let regtest = RelayProcess::start(options().arg("--standalone").data_dir(dir.path())).await;
    crate::outages::well(&regtest).await;
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written() {
    // Even root cannot create a file in /proc, or a directory in a file.
    for path in ["/proc", "/dev/null/relay"] {
        let message = refused(options().arg("--standalone").set("DATA_DIR", path)).await;
        assert!(
            message.contains("data directory") && message.contains(path),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    for key in ["WS_URL", "HTTP_URL"] {
        let standalone = options().arg("--standalone").data_dir(dir.path());
        let message = refused(standalone.set(key, &address)).await;
        assert!(
            message.contains(&key.to_lowercase()) && message.contains(&address),
            "{message}"
        );
        assert!(message.contains("in use"), "{message}");
        // The next start, perhaps on mainnet, would use it as its hot wallet.
        assert!(!dir.path().join("wallet.key").exists(), "a refused start made a wallet");
    }
}

#[tokio::test]
async fn a_wallet_key_that_others_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let standalone = || options().arg("--standalone").data_dir(dir.path());
    drop(RelayProcess::start(standalone()).await);
    let key = dir.path().join("wallet.key");
    let mode = |mode| std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    let message = refused(standalone()).await;
    for word in ["0644", "chmod 600", &key.display().to_string()] {
        assert!(message.contains(word), "{message}");
    }
    mode(0o600);
    drop(RelayProcess::start(standalone()).await);
}
