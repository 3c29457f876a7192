//! Who is served on which port.

use std::sync::Arc;

use serde_json::json;
use testkit::{Payee, RelayOptions, RelayProcess, eventually, http_post};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::electrum::wallet::{Wallet, keys};
use crate::impatient;
use crate::support::DEADLINE;
use crate::wire::standalone;

async fn over_tls(relay: &RelayProcess) -> Wallet {
    let mut roots = RootCertStore::empty();
    let certificate = relay.data_dir().join("tls-self-signed.crt");
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(relay.electrum_tls()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    Wallet::on(
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_protocol_with_and_without_tls() {
    let relay = RelayProcess::start(standalone().electrum().electrum_tls()).await;
    let mut plain = Wallet::connect(relay.electrum()).await;
    let mut secure = over_tls(&relay).await;
    for wallet in [&mut plain, &mut secure] {
        let tip = wallet.ask("blockchain.headers.subscribe", json!([])).await;
        assert!(tip["height"].is_u64() && tip["hex"].is_string(), "{tip}");
        wallet.subscribe(&Payee::new(&[]), json!(0)).await;
        assert!(wallet.history().await.is_empty());
    }
    // A client that speaks TLS on the port without it, and the other way round.
    let mut wrong = Wallet::connect(relay.electrum_tls()).await;
    wrong.send(r#"{"id":1,"method":"server.ping"}"#).await;
    while let Some(line) = wrong.line_or_bytes().await {
        assert!(!line.contains("result"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_port() {
    let relay = RelayProcess::start(standalone().fixed_ports().electrum()).await;
    let mut wallet = Wallet::connect(relay.electrum()).await;
    wallet.ask("server.ping", json!([])).await;
    assert_eq!(
        http_post(&format!("{}/restart", relay.http_url()), &json!({}))
            .await
            .status,
        200
    );
    let last = wallet.line().await.expect("the reason");
    assert!(last.contains("shutting down or restarting"), "{last}");
    assert_eq!(wallet.line().await, None);
    eventually(DEADLINE, "the second start", async || {
        let starts = relay.stderr().matches("listening for Electrum clients").count();
        (starts == 2).then_some(())
    })
    .await;
    let mut wallet = Wallet::connect(relay.electrum()).await;
    wallet.ask("blockchain.headers.subscribe", json!([])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_with_a_read_token_does_not_start_with_electrum_unless_told_so() {
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .set("STANDALONE", "true")
        .set("AUTH__READ_TOKEN", "0123456789abcdef")
        .electrum();
    let refused = RelayProcess::try_start(options.clone())
        .await
        .expect_err("it must not start");
    for text in ["electrum.listen", "auth.read_token", "electrum.open = true"] {
        assert!(refused.stderr.contains(text), "{text}: {}", refused.stderr);
    }
    // The check says the same.
    let checked = RelayProcess::try_start(options.clone().arg("check-config").arg("--offline"));
    let checked = checked.await.expect_err("it ends");
    let line = |text: &str| {
        text.lines()
            .find(|line| line.contains("electrum.listen"))
            .map(str::to_owned)
    };
    let reason = |text: &str| line(text).and_then(|line| line.split_once("electrum.listen").map(|(_, r)| r.to_owned()));
    assert_eq!(reason(&checked.stderr), reason(&refused.stderr));
    assert!(reason(&checked.stderr).is_some(), "{}", checked.stderr);
    let relay = RelayProcess::start(options.set("ELECTRUM__OPEN", "true")).await;
    Wallet::connect(relay.electrum())
        .await
        .ask("server.ping", json!([]))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_requests_is_disconnected_with_the_reason() {
    let relay = RelayProcess::start(impatient::with_electrum()).await;
    let mut wallet = Wallet::connect(relay.electrum()).await;
    wallet.ask("server.ping", json!([])).await;
    let last = wallet.line().await.expect("the reason");
    assert!(
        last.contains(&format!("no request within {} s", impatient::IDLE.as_secs())),
        "{last}"
    );
    assert_eq!(wallet.line().await, None);
    // A line that is never complete.
    let mut wallet = Wallet::connect(relay.electrum()).await;
    wallet.send_bytes(br#"{"id":1,"#).await;
    let last = wallet.line().await.expect("the reason");
    assert!(last.contains("not complete within"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_watches_hold_and_are_named() {
    let options = standalone()
        .electrum()
        .set("ELECTRUM__SUBSCRIPTIONS_PER_CONNECTION", "2")
        .set("ELECTRUM__LABELS_PER_SUBSCRIPTION", "3")
        // Those of the WebSocket API.
        .set("LIMITS__WATCHES_PER_CONNECTION", "0")
        .set("LIMITS__LABELS_PER_WATCH", "0")
        .set("LIMITS__WATCHES", "3");
    let relay = RelayProcess::start(options).await;
    let mut wallet = Wallet::connect(relay.electrum()).await;
    let subscribe = "blockchain.silentpayments.subscribe";
    let params = |payee: &Payee, labels: &[u32]| {
        let [scan, spend] = keys(payee);
        json!([scan, spend, 0, labels])
    };
    let (first, second) = (Payee::new(&[]), Payee::new(&[]));
    let (code, reason) = wallet.refused(subscribe, params(&first, &[1, 2, 3, 4, 5])).await;
    assert!(
        code == -32_602 && reason.contains("electrum.labels_per_subscription"),
        "{reason}"
    );
    wallet.ask(subscribe, params(&first, &[1, 2])).await;
    wallet.ask(subscribe, params(&first, &[3])).await;
    let (_, reason) = wallet.refused(subscribe, params(&first, &[4])).await;
    assert!(
        reason.contains("at most 3 (electrum.labels_per_subscription)"),
        "{reason}"
    );
    wallet.ask(subscribe, params(&second, &[])).await;
    let (code, reason) = wallet.refused(subscribe, params(&Payee::new(&[]), &[])).await;
    assert!(
        code == -32_602 && reason.contains("electrum.subscriptions_per_connection"),
        "{reason}"
    );
    // Of all connections.
    let mut other = Wallet::connect(relay.electrum()).await;
    other.ask(subscribe, params(&first, &[])).await;
    let (code, reason) = other.refused(subscribe, params(&second, &[])).await;
    assert!(code == 2 && reason.contains("limits.watches"), "{reason}");
    let [scan, spend] = keys(&second);
    wallet
        .ask("blockchain.silentpayments.unsubscribe", json!([scan, spend]))
        .await;
    wallet.ask(subscribe, params(&second, &[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_too_many_is_told_why() {
    // Loopback addresses count in the total only.
    let relay = RelayProcess::start(standalone().electrum().set("LIMITS__CONNECTIONS", "2")).await;
    let mut kept = [
        Wallet::connect(relay.electrum()).await,
        Wallet::connect(relay.electrum()).await,
    ];
    for wallet in &mut kept {
        wallet.ask("server.ping", json!([])).await;
    }
    let mut third = Wallet::connect(relay.electrum()).await;
    let last = third.line().await.expect("the reason");
    assert!(last.contains("limits.connections"), "{last}");
    let [first, _second] = kept;
    drop(first);
    eventually(DEADLINE, "a free slot", async || {
        let mut wallet = Wallet::connect(relay.electrum()).await;
        wallet.send(r#"{"id":1,"method":"server.ping"}"#).await;
        wallet.line().await.filter(|line| line.contains("result")).map(drop)
    })
    .await;
}
