//! The ends of scans, for an edge that keeps what it was told.

use sdk_relay_platform::simulation;

use super::simulated::Tasks;
use super::*;
use crate::mailbox::{Mailbox, MailboxReceiver};
use crate::watch_message::WatchMessage;

async fn next(frames: &mut MailboxReceiver) -> String {
    let message = timeout(DEADLINE, frames.next()).await.expect("in time");
    match message.expect("an open mailbox") {
        WatchMessage::Payment(message) => match message.notification.event {
            Event::PaymentDetected(payment) => format!("detected {}", payment.confirmations),
            Event::PaymentReverted(payment) => format!("reverted {}", payment.confirmations),
            other => panic!("{other:?}"),
        },
        WatchMessage::MempoolScanned { watch_id } => format!("mempool scanned for {watch_id}"),
        WatchMessage::Settled { watch_id } => format!("settled for {watch_id}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_ends_of_scans_follow_what_they_find() {
    let _simulation = simulation::enter(1, 1_700_000_000);
    let Fixture {
        _dir,
        store,
        hub,
        scanner,
        parts,
    } = fixture(Fast::new());
    let (chain, events) = mpsc::channel(16);
    let started = start(parts, events, CancellationToken::new(), &Tasks).expect("detection");
    let to = |n: u8| receiver(n).address(Network::Regtest.silent_payment());
    let (own, paid) = (payment(1, &to(0)), payment(2, &to(1)));
    let synced = || observed(ChainEvent::MempoolSynced);
    for event in [block(1, Vec::new()), entered(&[own, paid.clone()]), synced()] {
        chain.send(event).await.expect("detection");
    }
    let is_known = |_: &u64| logged(&store).len() == 2;
    let mut head = hub.head();
    drop(
        timeout(DEADLINE, head.wait_for(is_known))
            .await
            .expect("in time")
            .expect("a hub"),
    );

    let address = IpAddr::from([127, 0, 0, 1]);
    let (mailbox, mut frames) = started.detection.mailbox_with_scan_ends(address);
    let (plain, mut others) = started.detection.mailbox(address);
    let order = |mailbox: &Mailbox| WatchOrder {
        receiver: scanner.prepare(receiver(1)),
        addresses: HashMap::new(),
        mailbox: mailbox.clone(),
        history: None,
        confirm_at: Vec::new(),
    };
    let watch = started.detection.watch(order(&mailbox)).await.expect("a watch");
    started.detection.watch(order(&plain)).await.expect("a watch");
    assert_eq!(next(&mut frames).await, "detected 0");
    let scanned = format!("mempool scanned for {}", watch.watch_id);
    assert_eq!(next(&mut frames).await, scanned);

    for event in [
        block(2, vec![paid.clone()]),
        disconnected(2),
        entered(std::slice::from_ref(&paid)),
        synced(),
    ] {
        chain.send(event).await.expect("detection");
    }
    let mut received = Vec::new();
    let settled = format!("settled for {}", watch.watch_id);
    while received.last() != Some(&settled) {
        received.push(next(&mut frames).await);
    }
    // The block may be disconnected before its scan ends.
    assert_eq!(received[received.len() - 2..], ["detected 0".to_owned(), settled]);
    // Others are told nothing of it.
    loop {
        if next(&mut others).await.starts_with("reverted") {
            break;
        }
    }
    assert_eq!(next(&mut others).await, "detected 0");
    assert!(others.try_next().is_none());
}

/// The mempool was known while a block was scanned, and then the block was replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_settled_while_a_block_is_being_replaced() {
    let (open, gate) = blocking::sync_channel(1);
    let Fixture {
        _dir,
        store,
        hub,
        scanner,
        parts,
    } = fixture(Gated(Mutex::new(Some(gate))));
    let (chain, events) = mpsc::channel(16);
    let stop = CancellationToken::new();
    let threads = Threads::default();
    let started = start(parts, events, stop.clone(), &threads).expect("detection");
    let address = IpAddr::from([127, 0, 0, 1]);
    let (mailbox, mut frames) = started.detection.mailbox_with_scan_ends(address);
    let (plain, _others) = started.detection.mailbox(address);
    let order = |mailbox: &Mailbox| WatchOrder {
        receiver: scanner.prepare(receiver(1)),
        addresses: HashMap::new(),
        mailbox: mailbox.clone(),
        history: None,
        confirm_at: Vec::new(),
    };
    let watch = started.detection.watch(order(&mailbox)).await.expect("a watch");
    let scanned = format!("mempool scanned for {}", watch.watch_id);
    assert_eq!(next(&mut frames).await, scanned);

    // The scan of the block waits for the gate.
    let other = receiver(255).address(Network::Regtest.silent_payment());
    let paid = vec![payment(1, &other), payment(2, &other)];
    let synced = || observed(ChainEvent::MempoolSynced);
    for event in [block(1, paid), synced(), disconnected(1)] {
        chain.send(event).await.expect("detection");
    }
    let is_known = |_: &u64| logged(&store) == [Logged::Block(1), Logged::Disconnected(1)];
    let mut head = hub.head();
    drop(
        timeout(DEADLINE, head.wait_for(is_known))
            .await
            .expect("in time")
            .expect("a hub"),
    );
    drop(open);
    let mut barrier = frames.barrier();
    timeout(DEADLINE, barrier.wait_for(|last| *last == u64::MAX))
        .await
        .expect("in time")
        .expect("a mailbox");
    // Handled after the end of the scan.
    started.detection.watch(order(&plain)).await.expect("a watch");
    assert!(frames.try_next().is_none(), "the new chain is not known yet");
    chain.send(synced()).await.expect("detection");
    assert_eq!(next(&mut frames).await, format!("settled for {}", watch.watch_id));

    stop.cancel();
    let joined = tokio::task::spawn_blocking(move || threads.join());
    timeout(DEADLINE, joined).await.expect("in time").expect("no panic");
}
