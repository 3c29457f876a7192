//! No secret leaves the relay: not by an answer, not by its log.

use testkit::{RelayOptions, RelayProcess, http_get};

const PASSWORD: &str = "c0rrect-h0rse-battery";
const SCAN: &str = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
const SPEND: &str = "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";

#[tokio::test]
async fn nothing_shows_a_password_or_a_key() {
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .set("BITCOIN_CORE__URL", "http://127.0.0.1:1")
        .set("BITCOIN_CORE__USER", "rpc-user-name")
        .set("BITCOIN_CORE__PASSWORD", PASSWORD)
        .set("WALLET__SCAN_PRIVATE_KEY", SCAN)
        .set("WALLET__SPEND_PUBLIC_KEY", SPEND)
        .set("LOG__LEVEL", "trace");
    let relay = RelayProcess::start_listening(options).await;
    let url = relay.http_url();
    let block = format!("/bitcoin/blocks/{}", "ab".repeat(32));
    for path in [
        "/config",
        "/health",
        "/health/ready",
        "/metrics",
        "/bitcoin/info",
        &block,
        "/nope",
    ] {
        let reply = http_get(&format!("{url}{path}")).await;
        for secret in [PASSWORD, SCAN] {
            assert!(!reply.text().contains(secret), "{path}: {}", reply.text());
            assert!(!format!("{:?}", reply.headers).contains(secret), "{path}");
        }
    }
    assert!(
        http_get(&format!("{url}/config")).await.text().contains("sprt1q"),
        "the wallet of these keys"
    );
    // The credentials as they go to the node are as bad as the password.
    let basic = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("rpc-user-name:{PASSWORD}"),
    );
    let log = relay.stderr();
    for secret in [PASSWORD, SCAN, &basic] {
        assert!(!log.contains(secret), "a secret is in the log:\n{log}");
    }
    assert!(log.contains("TRACE"), "the log is the most talkative one");
}
