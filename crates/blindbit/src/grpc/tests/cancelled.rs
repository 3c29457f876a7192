//! Streams that clients cancel: what they have begun to read, and what they wait for.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use axum::body::Body;
use futures_util::{FutureExt, StreamExt};
use http_body_util::BodyExt;
use hyper::{Request, Response};
use prost::Message as _;
use sdk_relay_blindbit_proto::RangedBlockHeightRequestFiltered;
use sdk_relay_store::TweakIndex;
use sdk_relay_transport::{AddressPermits, Peer};
use tokio::runtime::Builder;
use tonic::{Code, Status};
use tower::Service;

use super::scene::Scene;
use crate::grpc::caller::Caller;
use crate::grpc::stream::{Range, Walk, blocks};
use crate::grpc::wire;

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// Streams of this machine at once.
const STREAMS: usize = 96;

fn range(end: u64) -> RangedBlockHeightRequestFiltered {
    RangedBlockHeightRequestFiltered {
        start: 0,
        end,
        dustlimit: 0,
        cut_through: false,
    }
}

/// A call of a program of this machine.
async fn open(scene: &Scene) -> Response<Body> {
    let message = range(0).encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0], &length[..], &message].concat();
    let mut request = Request::post("/blindbit.oracle.v1.OracleService/StreamComputeIndex")
        .header("content-type", "application/grpc")
        .body(Body::from(body))
        .unwrap();
    scene.extend(&mut request);
    request.extensions_mut().insert(Peer((LOCAL, 1).into()));
    scene.api.clone().call(request).await.unwrap()
}

fn code(response: &Response<Body>) -> Option<Code> {
    Status::from_header_map(response.headers()).map(|status| status.code())
}

#[test]
fn a_cancelled_stream_keeps_its_permit_until_its_read_has_ended() {
    // One thread for reads, which is busy: they wait in its queue, as for a slow disk.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let scene = Scene::new(3);
        let (release, busy) = mpsc::sync_channel::<()>(1);
        let blocked = tokio::task::spawn_blocking(move || busy.recv());
        for n in 0..STREAMS {
            let mut response = open(&scene).await;
            assert_eq!(code(&response), None, "stream {n}");
            assert!(response.body_mut().frame().now_or_never().is_none(), "it is being read");
            // RST_STREAM
            drop(response);
        }
        let refused = open(&scene).await;
        assert_eq!(
            code(&refused),
            Some(Code::ResourceExhausted),
            "its reads are still in progress"
        );
        release.send(()).unwrap();
        blocked.await.unwrap().unwrap();
        // The one thread runs them in their order: this one after all of theirs.
        tokio::task::spawn_blocking(|| {}).await.unwrap();
        let mut response = open(&scene).await;
        assert_eq!(code(&response), None);
        assert!(response.body_mut().frame().await.unwrap().is_ok());
    });
}

static READS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_batch_is_not_read_before_its_turn() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(waits_for_its_turn());
}

async fn waits_for_its_turn() {
    let scene = Scene::new(3);
    let far: IpAddr = [192, 0, 2, 77].into();
    let permits = AddressPermits::new(1, 1);
    let walk = Walk {
        handles: Arc::clone(&scene.oracle.handles),
        pacer: scene.oracle.pacer.clone(),
        metrics: scene.metrics.clone(),
        caller: Caller {
            address: far,
            ending: scene.listeners.ending.clone(),
            permit: Arc::new(permits.try_acquire(far, 1).unwrap()),
        },
    };
    // Its address has used up its rate, for now.
    for _ in 0..3 {
        let paced = scene.oracle.pacer.pace(far, 500).now_or_never();
        assert!(paced.is_none_or(|paced| paced.is_ok()));
    }
    let read = |store: &TweakIndex, height| {
        READS.fetch_add(1, Ordering::SeqCst);
        store.transaction_rows(height)
    };
    let mut stream = Box::pin(blocks(walk, Range::of(&range(2)).unwrap(), read, wire::compute_index));
    assert!(stream.next().now_or_never().is_none(), "it waits");
    // The one thread runs a read that has begun before this one.
    tokio::task::spawn_blocking(|| {}).await.unwrap();
    assert_eq!(READS.load(Ordering::SeqCst), 0, "nothing is read");
    let began = tokio::time::Instant::now();
    assert_eq!(stream.map(|block| block.unwrap()).count().await, 3);
    assert!(began.elapsed() > std::time::Duration::ZERO);
    assert_eq!(READS.load(Ordering::SeqCst), 3);
}
