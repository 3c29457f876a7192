//! Oracles over gRPC that are none, or answer with something else: reported, and without effect on the index.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use sdk_relay_blindbit_proto::{BlockIdentifier, ComputeIndexResponse, ComputeIndexTxItem, InfoResponse};
use testkit::{RelayProcess, eventually};
use tokio::net::TcpListener;

use crate::oracle::scene::{DEADLINE, Scene};

/// The answer to a call.
#[derive(Clone)]
enum Answer {
    Message(Vec<u8>),
    /// A status and its sentence.
    Status(&'static str, &'static str),
    /// The beginning of a message of this size.
    Announced(u32),
}

/// Serves these answers at the returned address. Ends with the test.
async fn serve(answer: impl Fn(&str) -> Answer + Clone + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("grpc://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let call = request.uri().path().rsplit('/').next().unwrap().to_owned();
                let response = respond(answer(&call));
                async move { Ok::<_, Infallible>(response) }
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    url
}

fn respond(answer: Answer) -> Response<Body> {
    let framed = |size: u32, bytes: Vec<u8>| [&[0], &size.to_be_bytes()[..], &bytes].concat();
    let (bytes, status, sentence) = match answer {
        Answer::Message(bytes) => (framed(u32::try_from(bytes.len()).unwrap(), bytes), "0", ""),
        Answer::Status(status, sentence) => (Vec::new(), status, sentence),
        Answer::Announced(size) => (framed(size, vec![0; 100]), "0", ""),
    };
    let trailers = HeaderMap::from_iter([
        ("grpc-status".parse().unwrap(), HeaderValue::from_static(status)),
        ("grpc-message".parse().unwrap(), HeaderValue::from_static(sentence)),
    ]);
    let frames = [Frame::data(Bytes::from(bytes)), Frame::trailers(trailers)];
    let frames = futures_util::stream::iter(frames.map(Ok::<_, Infallible>));
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    response
}

fn info(network: &str) -> Answer {
    Answer::Message(
        InfoResponse {
            network: network.to_owned(),
            height: 1,
            tweaks_full_basic: true,
            ..InfoResponse::default()
        }
        .encode_to_vec(),
    )
}

/// A block with one transaction.
fn block(hash: Vec<u8>, height: u64, item: ComputeIndexTxItem) -> Vec<u8> {
    ComputeIndexResponse {
        block_identifier: Some(BlockIdentifier {
            block_hash: hash,
            block_height: height,
        }),
        index: vec![item],
    }
    .encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_an_oracle_of_this_network_is_reported_over_grpc() {
    let scene = Scene::new().await;
    let height = scene.node.height().await;
    let mut tip = bitcoin::hashes::Hash::to_byte_array(scene.node.tip().await).to_vec();
    tip.reverse();
    let short_tweak = block(
        tip.clone(),
        height.into(),
        ComputeIndexTxItem {
            txid: vec![1; 32],
            tweak: vec![2; 32],
            outputs_short: Vec::new(),
        },
    );
    let short_txid = block(
        tip,
        height.into(),
        ComputeIndexTxItem {
            txid: vec![1; 31],
            tweak: vec![2; 33],
            outputs_short: Vec::new(),
        },
    );
    let of_regtest = |answer: Answer| {
        move |call: &str| match call {
            "GetInfo" => info("regtest"),
            _ => answer.clone(),
        }
    };
    let cases = [
        (serve(|_| info("signet")).await, "\\\"signet\\\""),
        (
            serve(|_| Answer::Status("12", "unknown service")).await,
            "check the port in blindbit.url",
        ),
        (
            serve(of_regtest(Answer::Status("12", "unknown call"))).await,
            "check the port in blindbit.url",
        ),
        (
            serve(of_regtest(Answer::Announced(5 << 20))).await,
            "StreamComputeIndex",
        ),
        (
            serve(of_regtest(Answer::Message(vec![0x0a, 200]))).await,
            "StreamComputeIndex",
        ),
        (
            serve(of_regtest(Answer::Message(short_tweak))).await,
            "a tweak of 32 bytes",
        ),
        (
            serve(of_regtest(Answer::Message(short_txid))).await,
            "a txid of 31 bytes",
        ),
        (
            serve(|_| Answer::Status("16", "no%20token%1b")).await,
            "GetInfo: Unauthenticated: no token",
        ),
        // The HTTP port.
        (scene.truth.http_url().replace("http://", "grpc://"), "grpc://127.0.0.1"),
        ("grpc://127.0.0.1:1".to_owned(), "127.0.0.1:1"),
    ];
    for (url, why) in cases {
        let relay = RelayProcess::start(scene.options(&url)).await;
        // In the log: one that is wrong about a block alone is used again at once.
        eventually(DEADLINE, why, async || {
            let log = relay.stderr();
            let lines = log
                .lines()
                .filter(|line| line.contains("the BlindBit Oracle does not answer"));
            let mut lines = lines.filter(|line| line.contains(&url) && line.contains(why));
            lines.next().map(drop)
        })
        .await;
        scene.indexed(&relay).await;
        scene.assert_same(&relay).await;
    }
}
