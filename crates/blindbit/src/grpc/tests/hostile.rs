//! Requests of any bytes are answered with a status, and none with a panic.

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use hyper::Request;
use proptest::prelude::*;
use tonic::Code;
use tower::Service;

use super::scene::Scene;
use crate::grpc::paths::REQUEST_BYTES;

const PATHS: [&str; 10] = [
    "/blindbit.oracle.v1.OracleService/GetInfo",
    "/blindbit.oracle.v1.OracleService/GetBestBlockHeight",
    "/blindbit.oracle.v1.OracleService/GetBlockHashByHeight",
    "/blindbit.oracle.v1.OracleService/GetFullBlock",
    "/blindbit.oracle.v1.OracleService/GetSpentOutputsShort",
    "/blindbit.oracle.v1.OracleService/StreamBlockScanDataShort",
    "/blindbit.oracle.v1.OracleService/StreamComputeIndex",
    "/blindbit.oracle.v1.OracleService/Nothing",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/nowhere",
];

/// The status of the answer to these bytes.
async fn status(scene: &Scene, path: &str, body: Vec<u8>) -> Code {
    let mut request = Request::post(path)
        .header("content-type", "application/grpc")
        .body(Body::from(body))
        .unwrap();
    scene.extend(&mut request);
    let response = scene.api.clone().call(request).await.unwrap();
    let (head, body) = response.into_parts();
    if let Some(status) = tonic::Status::from_header_map(&head.headers) {
        return status.code();
    }
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().expect("trailers").clone();
    tonic::Status::from_header_map(&trailers).expect("a status").code()
}

fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0], &length[..], bytes].concat()
}

#[tokio::test]
async fn broken_requests_have_a_status() {
    let scene = Scene::new(3);
    let height = "/blindbit.oracle.v1.OracleService/GetFullBlock";
    for (body, code) in [
        (message(&[0x08, 2]), Code::Ok),
        // Unknown fields are ignored, as protobuf requires.
        (message(&[0x08, 2, 0x50, 1]), Code::Ok),
        (message(&[0x08]), Code::Internal),
        (message(&[0x0a, 200]), Code::Internal),
        (vec![], Code::Internal),
        (vec![0, 0, 0], Code::Internal),
        (vec![1, 0, 0, 0, 0], Code::Internal),
        (message(&[0; REQUEST_BYTES + 1]), Code::ResourceExhausted),
        (vec![0, 0xff, 0xff, 0xff, 0xff], Code::OutOfRange),
    ] {
        let found = status(&scene, height, body.clone()).await;
        // How a library names a broken message is its own matter.
        let is_error = code != Code::Ok && found != Code::Ok;
        assert!(found == code || is_error, "{found:?}: {body:?}");
    }
    assert_eq!(status(&scene, "/nowhere", message(&[])).await, Code::Unimplemented);
    let nothing = "/blindbit.oracle.v1.OracleService/Nothing";
    assert_eq!(status(&scene, nothing, message(&[])).await, Code::Unimplemented);
}

#[tokio::test]
async fn what_is_not_grpc_is_told_so() {
    let scene = Scene::new(3);
    for request in [
        Request::get("/"),
        Request::post("/").header("content-type", "application/json"),
    ] {
        let mut request = request.body(Body::empty()).unwrap();
        scene.extend(&mut request);
        let response = scene.api.clone().call(request).await.unwrap();
        assert_eq!(response.status(), 415);
        let text: Bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(text.starts_with(b"this port speaks gRPC"), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_bytes_have_a_status(path in 0..PATHS.len(), bytes in prop::collection::vec(any::<u8>(), 0..60), is_message in any::<bool>()) {
        thread_local! {
            static SCENE: (tokio::runtime::Runtime, Scene) = {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let scene = { let _entered = runtime.enter(); Scene::new(3) };
                (runtime, scene)
            };
        }
        let body = if is_message { message(&bytes) } else { bytes };
        SCENE.with(|(runtime, scene)| {
            runtime.block_on(status(scene, PATHS[path], body));
        });
    }
}
