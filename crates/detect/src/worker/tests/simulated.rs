//! Detection in a simulation of the platform: tasks of one thread, with seeded ids and a virtual clock.

use sdk_relay_platform::simulation;

use super::*;

const START: u64 = 1_700_000_000;

/// What would be threads are tasks.
pub(super) struct Tasks;

impl SpawnThread for Tasks {
    fn spawn_thread(&self, _: &'static str, work: ThreadWork) -> std::io::Result<()> {
        tokio::spawn(work);
        Ok(())
    }
}

/// The id of a watch, and the log after a block that pays it and the own wallet.
fn run(seed: u64) -> (String, Vec<Vec<u8>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let _simulation = simulation::enter(seed, START);
        let Fixture {
            _dir,
            store,
            scanner,
            parts,
            ..
        } = fixture(Fast::new());
        let (chain, events) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let started = start(parts, events, stop.clone(), &Tasks).expect("detection");
        let (mailbox, mut frames) = started.detection.mailbox(IpAddr::from([127, 0, 0, 1]));
        let order = WatchOrder {
            receiver: scanner.prepare(receiver(1)),
            addresses: HashMap::new(),
            mailbox,
            history: None,
            confirm_at: Vec::new(),
        };
        let watch = started.detection.watch(order).await.expect("a watch");
        let to = |n: u8| receiver(n).address(Network::Regtest.silent_payment());
        let paid = block(1, vec![payment(1, &to(0)), payment(2, &to(1))]);
        chain.send(paid).await.expect("detection");
        let found = timeout(DEADLINE, frames.next()).await.expect("in time");
        assert!(found.is_some(), "the payment of the watch");
        stop.cancel();
        let limit = ReadLimit {
            events: 1_000,
            bytes: usize::MAX,
        };
        let log = store.read_after(0, limit).expect("the log");
        let log = log.into_iter().map(|entry| entry.payload.to_vec()).collect();
        (watch.watch_id, log)
    })
}

#[test]
fn a_seed_gives_the_same_ids_and_log_again() {
    let (watch, log) = run(1);
    let texts: Vec<_> = log.iter().map(|payload| String::from_utf8_lossy(payload)).collect();
    assert!(
        texts.len() >= 2
            && texts
                .iter()
                .all(|text| text.contains("1700000000") || text.contains("2023-11-14T22:13:20Z")),
        "the time of the simulation: {texts:?}"
    );
    assert_eq!(run(1), (watch.clone(), log));
    assert_ne!(run(2).0, watch);
}
