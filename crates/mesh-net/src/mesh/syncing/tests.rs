use sdk_relay_protocol::{HealthPayload, HealthReport};

use super::*;
use crate::mesh::link::LinkStep;
use crate::mesh::testing::{host, linked, open};
use crate::mesh::{Inbound, Orders};
use crate::sync::HistoryFilter;

/// The payload of a relay that is healthy.
fn healthy() -> SyncPayload {
    SyncPayload::Health(HealthPayload {
        health: HealthReport {
            status: "healthy".to_owned(),
            memory_usage: None,
            cpu_usage: None,
            disk_usage: None,
            network_latency: None,
            error_count: 0,
            last_error: None,
            memory_bytes: None,
            cpu_percent: None,
            disk_bytes: None,
        },
    })
}

/// A request to a relay whose link the test serves.
struct Asked {
    mesh: Arc<Mesh>,
    pending: Pending,
    peer: Inbound,
    _dir: tempfile::TempDir,
    _orders: Orders,
}

fn ask() -> Asked {
    let dir = tempfile::tempdir().unwrap();
    let (mesh, orders, config) = open(dir.path());
    let peer = linked(&mesh, "peer", 'b');
    let handle = mesh.handle(peer.id()).unwrap();
    let pending = mesh.begin(&*host(config, healthy), handle, SyncType::HealthSync, None);
    Asked {
        mesh,
        pending,
        peer,
        _dir: dir,
        _orders: orders,
    }
}

/// The message that the link is to send.
async fn sent(peer: &mut Inbound) -> SyncMessage {
    let LinkStep::Send(frame) = peer.next().await else {
        panic!("the link is closed")
    };
    match serde_json::from_slice(&frame.text()).unwrap() {
        ServerMessage::Sync(message) => message,
        other => panic!("{other:?}"),
    }
}

fn response(to: &SyncMessage, from: &str) -> SyncReply {
    SyncReply {
        sync_type: to.sync_type,
        relay_id: from.to_owned(),
        payload: serde_json::Map::new(),
        timestamp: None,
        message_id: "response".to_owned(),
        in_reply_to: to.message_id.clone(),
    }
}

impl Asked {
    /// Requests sent, responses, errors, and syncs in progress.
    fn figures(&self) -> [u64; 4] {
        figures(&self.mesh)
    }
}

fn figures(mesh: &Mesh) -> [u64; 4] {
    let metrics = &mesh.metrics;
    [
        metrics.sync_requests.get(),
        metrics.sync_responses.get(),
        metrics.sync_errors.get(),
        mesh.active().len() as u64,
    ]
}

/// Outcomes of the history.
fn outcomes(mesh: &Mesh) -> Vec<SyncOutcome> {
    let page = mesh.syncs.history.page(&HistoryFilter::default(), 10);
    page.records.into_iter().map(|record| record.status).collect()
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_response_is_sent_twice_with_one_id_and_then_fails() {
    let mut asked = ask();
    assert_eq!(asked.figures(), [1, 0, 0, 1]);
    let (mesh, began) = (Arc::clone(&asked.mesh), Instant::now());
    let (ended, (first, second)) = tokio::join!(asked.pending.end(), async {
        let first = sent(&mut asked.peer).await;
        assert_eq!(began.elapsed().as_secs(), 0);
        let second = sent(&mut asked.peer).await;
        assert_eq!(began.elapsed(), mesh.timeouts.response);
        (first, second)
    });
    assert_eq!(
        first.message_id, second.message_id,
        "the peer answers it from its cache"
    );
    let error = ended.err().unwrap();
    assert_eq!(error, "no response within 10 s, after two attempts");
    assert_eq!(began.elapsed(), mesh.longest_sync());
    assert_eq!(figures(&mesh), [2, 0, 1, 0]);
    assert_eq!(outcomes(&mesh), [SyncOutcome::Failed]);
}

#[tokio::test(start_paused = true)]
async fn the_second_attempt_may_be_answered_and_its_latency_is_its_own() {
    let mut asked = ask();
    let mesh = Arc::clone(&asked.mesh);
    let (ended, ()) = tokio::join!(asked.pending.end(), async {
        sent(&mut asked.peer).await;
        let second = sent(&mut asked.peer).await;
        tokio::time::sleep(Duration::from_millis(70)).await;
        assert!(asked.peer.answered(response(&second, "peer")));
    });
    assert_eq!(ended.unwrap().latency.as_millis(), 70);
    assert_eq!(figures(&mesh), [2, 1, 0, 0]);
    assert_eq!(outcomes(&mesh), [SyncOutcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn a_response_of_another_relay_fails_the_request() {
    let mut asked = ask();
    let mesh = Arc::clone(&asked.mesh);
    let (ended, ()) = tokio::join!(asked.pending.end(), async {
        let message = sent(&mut asked.peer).await;
        assert!(asked.peer.answered(response(&message, "another")));
    });
    assert_eq!(ended.err().unwrap(), "the response does not match the request");
    assert_eq!(figures(&mesh), [1, 0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_its_link_ends_a_request_at_once() {
    let Asked {
        mesh, pending, peer, ..
    } = ask();
    let began = Instant::now();
    drop(peer);
    assert_eq!(pending.end().await.err().unwrap(), "the link ended before the response");
    assert_eq!((began.elapsed().as_secs(), figures(&mesh)), (0, [1, 0, 1, 0]));
}
