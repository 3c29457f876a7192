//! The token, and TLS with the relay's certificate.

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sdk_relay_blindbit_proto::oracle_service_client::OracleServiceClient;
use std::sync::Arc;
use testkit::{RelayOptions, RelayProcess, eventually};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::{Code, Request};

use crate::blindbit::scene::INDEXED;
use crate::grpc::client::{client, range};

const READ_TOKEN: &str = "a-reader-of-this-test";
const ADMIN_TOKEN: &str = "an-administrator-of-this-test";

fn standalone() -> RelayOptions {
    RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .arg("--standalone")
        .set("BLINDBIT__GRPC_LISTEN", "127.0.0.1:0")
}

fn with<T>(message: T, authorization: &str) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", authorization.parse().unwrap());
    request
}

#[tokio::test]
async fn a_relay_with_a_token_answers_only_those_who_have_it() {
    let options = standalone()
        .set("AUTH__READ_TOKEN", READ_TOKEN)
        .set("AUTH__ADMIN_TOKEN", ADMIN_TOKEN);
    let relay = RelayProcess::start(options).await;
    let mut client = client(&relay);
    for wrong in ["", "Bearer a-reader-of-another-test", READ_TOKEN] {
        let status = client.get_info(with((), wrong)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        assert!(status.message().contains("authorization: Bearer TOKEN"), "{status}");
        let status = client.stream_compute_index(with(range(0, 1), wrong)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    }
    for token in [READ_TOKEN, ADMIN_TOKEN] {
        let right = format!("Bearer {token}");
        eventually(INDEXED, "the index", async || {
            client.get_info(with((), &right)).await.ok()
        })
        .await;
        let blocks = client.stream_compute_index(with(range(0, 1), &right)).await;
        assert!(blocks.unwrap().into_inner().message().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn the_port_has_the_certificate_of_the_relay() {
    let relay = RelayProcess::start(standalone().arg("--tls-self-signed")).await;
    let trusted = relay.data_dir().join("tls-self-signed.crt");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&trusted).unwrap()).unwrap();
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http2()
        .build();
    let https = Client::builder(TokioExecutor::new()).http2_only(true).build(connector);
    let url = relay.grpc_url().replace("http://", "https://");
    let mut secure = OracleServiceClient::with_origin(https, url.parse().unwrap());
    let info = eventually(INDEXED, "the index", async || secure.get_info(()).await.ok()).await;
    assert_eq!(info.into_inner().network, "regtest");
    // Not in plain text.
    assert!(client(&relay).get_info(()).await.is_err());
}
