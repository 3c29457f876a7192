use sdk_relay_protocol::http::SyncDirection;
use sdk_relay_store::Retention;
use tempfile::TempDir;

use super::*;

fn open(dir: &TempDir) -> History {
    let retention = Retention {
        events: 10,
        bytes: 1 << 20,
    };
    let store = Store::open(&dir.path().join("relay.redb"), "regtest", retention).unwrap();
    History::open(Arc::new(store)).unwrap()
}

fn record(second: u64) -> SyncRecord {
    SyncRecord {
        timestamp: second,
        sync_type: SyncType::ALL[second as usize % 3],
        target_relay: format!("relay-{}", second % 2),
        status: if second.is_multiple_of(5) {
            SyncOutcome::Failed
        } else {
            SyncOutcome::Success
        },
        duration: 1,
        message_id: format!("msg-{second}"),
        payload_size: 300,
        latency: 0.5,
        direction: SyncDirection::Inbound,
        error: second.is_multiple_of(5).then(|| "gone".to_owned()),
    }
}

fn relay() -> Asker {
    Asker::Proven {
        relay_id: "relay-1".to_owned(),
        public_key: "ab".repeat(32),
    }
}

fn seconds(page: &Page) -> Vec<u64> {
    page.records.iter().map(|r| r.timestamp).collect()
}

#[test]
fn filters_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(&dir);
    assert_eq!(history.last(), None);
    (1..=30).for_each(|second| history.add(&relay(), record(second)));
    let all = HistoryFilter::default();
    let page = history.page(&all, 3);
    assert_eq!(
        (seconds(&page), page.successful, page.failed),
        (vec![30, 29, 28], 24, 6)
    );
    let some = HistoryFilter {
        since: Some(10),
        sync_type: Some(SyncType::StateSync),
        target_relay: Some("relay-0".to_owned()),
        status: None,
    };
    let page = history.page(&some, 100);
    assert_eq!(
        (seconds(&page), page.successful, page.failed),
        (vec![30, 24, 18, 12], 3, 1)
    );
    let failed = HistoryFilter {
        status: Some(SyncOutcome::Failed),
        ..all
    };
    assert_eq!(seconds(&history.page(&failed, 2)), [30, 25]);
    assert_eq!(history.last(), Some(30));
}

#[test]
fn survives_and_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(&dir);
    (1..=3).for_each(|second| history.add(&relay(), record(second)));
    history.save();
    history.add(&relay(), record(4));
    history.save();
    history.save();
    drop(history);
    let history = open(&dir);
    let page = history.page(&HistoryFilter::default(), 100);
    assert_eq!(page.records, (1..=4).rev().map(record).collect::<Vec<_>>());
}

#[test]
fn bounded_in_memory_and_in_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(&dir);
    history.add(&relay(), record(1));
    history.save();
    let newest = KEPT as u64 + 50;
    (2..=newest).for_each(|second| history.add(&relay(), record(second)));
    assert_eq!(history.inner.read().unwrap().records.len(), KEPT);
    assert_eq!(history.unsaved().len(), KEPT);
    history.save();
    assert!(history.unsaved().is_empty());
    drop(history);
    let history = open(&dir);
    let page = history.page(&HistoryFilter::default(), KEPT * 2);
    assert_eq!(seconds(&page), (51..=newest).rev().collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn written_at_most_once_in_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let history = Arc::new(open(&dir));
    let writer = tokio::spawn(Arc::clone(&history).save_regularly());
    let saved = async |history: &History| {
        // The clock is paused: it goes on only while everything waits.
        while history.inner.read().unwrap().unsaved > 0 {
            tokio::time::sleep(SAVE_EVERY / 100).await;
        }
        tokio::time::Instant::now()
    };
    history.add(&relay(), record(1));
    let first = saved(&history).await;
    history.add(&relay(), record(2));
    let second = saved(&history).await;
    assert!(second - first >= SAVE_EVERY, "{:?}", second - first);
    writer.abort();
}

#[test]
fn unauthenticated_peers_evict_no_other_entries() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(&dir);
    history.add(&relay(), record(1));
    for second in 2..2 + 2 * KEPT as u64 {
        let mut stranger = record(second);
        stranger.target_relay = Asker::Connection(7).name();
        history.add(&Asker::Connection(7), stranger);
    }
    let page = history.page(&HistoryFilter::default(), KEPT);
    assert_eq!(page.records.last().unwrap().timestamp, 1);
    let kept = page
        .records
        .iter()
        .filter(|record| record.target_relay == "conn-7")
        .count();
    assert!((100..110).contains(&kept), "{kept}");
    history.add(&relay(), record(1_000_000));
    assert_eq!(history.last(), Some(1_000_000));
}

#[test]
fn an_error_is_truncated() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(&dir);
    let mut long = record(1);
    long.error = Some("\u{e9}".repeat(1000));
    history.add(&relay(), long);
    let page = history.page(&HistoryFilter::default(), 1);
    assert_eq!(page.records[0].error.as_ref().unwrap().len(), ERROR_BYTES);
}
