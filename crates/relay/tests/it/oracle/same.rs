//! With a correct Oracle the index is the same, whatever its version.

use serde_json::json;
use testkit::{RelayProcess, http_get};

use crate::oracle::scene::{Scene, metric, until_oracle_is};

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_the_same_through_all_interfaces_and_reorganisations() {
    let mut scene = Scene::new().await;
    let http = |n: u8| format!("{}/blindbit/v{n}", scene.truth.http_url());
    let versions = [http(1), http(2), scene.grpc_url()];
    let mut relays = Vec::new();
    for url in &versions {
        relays.push(RelayProcess::start(scene.options(url)).await);
    }
    for (relay, url) in relays.iter().zip(&versions) {
        let health = until_oracle_is(relay, "connected").await;
        assert_eq!(
            (&health["checks"]["blindbit_api"], &health["status"]),
            (&json!(true), &json!("healthy"))
        );
        scene.indexed(relay).await;
        scene.assert_same(relay).await;
        let config = http_get(&format!("{}/config", relay.http_url())).await.json();
        assert_eq!(config["blindbit"]["url"], url.as_str());
        assert!(metric(relay, "sdk_relay_blindbit_blocks_total").await >= 4);
        assert_eq!(metric(relay, "sdk_relay_blindbit_own_blocks_total").await, 0);
        assert_eq!(metric(relay, "sdk_relay_blindbit_implausible_total").await, 0);
    }
    // Live: new blocks while both relays run, and a reorganisation.
    scene.pay().await;
    let fork = scene.node.hash_at(scene.node.height().await - 1).await;
    scene.node.invalidate(fork).await;
    scene.node.mine(2).await;
    scene.pay().await;
    scene.indexed(&scene.truth).await;
    for relay in &relays {
        scene.indexed(relay).await;
        scene.assert_same(relay).await;
        until_oracle_is(relay, "connected").await;
        assert_eq!(metric(relay, "sdk_relay_blindbit_implausible_total").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oracle_with_tls_needs_a_certificate_trusted_by_the_system() {
    let scene = Scene::new().await;
    let options = testkit::RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .node(&scene.node)
        .set("BLINDBIT__GRPC_LISTEN", "127.0.0.1:0")
        .set("TLS__SELF_SIGNED", "true");
    let oracle = RelayProcess::start(options).await;
    let certificate = oracle.data_dir().join("tls-self-signed.crt");
    for url in [
        format!("{}/blindbit/v2", oracle.http_url().replace("http://", "https://")),
        oracle.grpc_url().replace("http://", "grpcs://"),
    ] {
        let trusting = RelayProcess::start(scene.options(&url).env("SSL_CERT_FILE", &certificate)).await;
        until_oracle_is(&trusting, "connected").await;
        scene.indexed(&trusting).await;
        scene.assert_same(&trusting).await;

        let careful = RelayProcess::start(scene.options(&url)).await;
        let health = until_oracle_is(&careful, "disconnected").await;
        let problems = health["problems"].to_string();
        assert!(
            problems.contains("certificate") && problems.contains(&url),
            "{problems}"
        );
        scene.indexed(&careful).await;
        scene.assert_same(&careful).await;
    }
}
