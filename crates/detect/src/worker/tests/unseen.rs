//! Spends in blocks that detection did not process live: the index has them, and they are looked up there.

use sdk_relay_index::{Index, IndexFigures, IndexState, IndexStatus, Pool};
use sdk_relay_platform::simulation;
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::IndexedBlock;
use tokio::sync::watch;

use super::simulated::Tasks;
use super::*;
use crate::mailbox::MailboxReceiver;
use crate::watch_message::WatchMessage;
use sdk_relay_backfill::Heights;

/// Blocks of the chain: a payment in block 1, and its spend in block 2.
const TIP: u32 = 3;

/// Detection of a relay that has processed the blocks up to some tip before, with an index.
struct Relay {
    store: Arc<Store>,
    hub: Arc<Hub>,
    scanner: Scanner,
    index: Arc<TweakIndex>,
    status: watch::Sender<IndexStatus>,
    chain: mpsc::Sender<Observed>,
    detection: Detection,
    blocks: Vec<(BlockRef, IndexedBlock)>,
    _dirs: [tempfile::TempDir; 2],
    _simulation: simulation::Guard,
}

fn indexed(scanner: &Scanner, observed: &Observed) -> (BlockRef, IndexedBlock) {
    let ChainEvent::BlockConnected { at, block } = &observed.event else {
        panic!("a block")
    };
    let tweak = |tx: &Transaction, prevouts: &[TxOut]| scanner.tweaks(&[(tx, prevouts)]).remove(0);
    (
        *at,
        IndexedBlock::with_tweaks(at.height, at.hash, &block.block, &block.prevouts, tweak),
    )
}

impl Relay {
    /// `tip`: of detection; `indexed`: of the index. The payment is to the receiver `to`; if that is the own wallet, it
    /// was reported before.
    fn start(to: u8, tip: u32, index_tip: u32) -> Self {
        let _simulation = simulation::enter(1, 1_700_000_000);
        let Fixture {
            _dir,
            store,
            hub,
            scanner,
            mut parts,
        } = fixture(Fast::new());
        let paid = payment(1, &receiver(to).address(Network::Regtest.silent_payment()));
        let spent = spend(&paid.0);
        let outpoint = spent.0.input[0].previous_output;
        let blocks: Vec<_> = [vec![], vec![paid], vec![spent], vec![]]
            .into_iter()
            .zip(0..)
            .map(|(txs, height)| indexed(&scanner, &block(height, txs)))
            .collect();
        let index_dir = tempfile::tempdir().expect("a directory");
        let index = Arc::new(TweakIndex::open(&index_dir.path().join("index"), "regtest", 0).expect("an index"));
        let first: Vec<_> = blocks[..=index_tip as usize].iter().map(|(_, b)| b.clone()).collect();
        index.append(BlockHash::all_zeros(), &first).expect("blocks");
        let status = watch::Sender::new(IndexStatus {
            state: IndexState::Current,
            since: std::time::Instant::now(),
            start_height: 0,
            first: 0,
            first_is_known: true,
            tip: Some(blocks[index_tip as usize].0),
            // The builder has not asked the node yet, as after each start.
            target: None,
            node_is_syncing: false,
        });
        let coin = Coin {
            amount_sats: 1_000,
            address: "sprt1".into(),
            label: None,
            height: 1,
        };
        let output = Output {
            known: Known::Final(coin),
            spend: None,
        };
        let record = (to == 0).then(|| (outpoint, Some(output.encode(outpoint).expect("a record"))));
        let mut payments: Vec<_> = record.into_iter().collect();
        for (at, _) in &blocks[..=tip as usize] {
            let before = Batch {
                block: Some(BlockChange::Connect(at.height, at.hash)),
                payments: std::mem::take(&mut payments),
                ..Batch::default()
            };
            store.commit(&before).expect("the store");
        }
        parts.index = Some(Index {
            store: Arc::clone(&index),
            status: status.subscribe(),
            figures: watch::channel(IndexFigures::default()).1,
            pool: Arc::new(Pool::new(1).expect("a thread")),
        });
        let (chain, events) = mpsc::channel(16);
        let started = start(parts, events, CancellationToken::new(), &Tasks).expect("detection");
        tokio::spawn(started.history.expect("an index").run());
        Self {
            store,
            hub,
            scanner,
            index,
            status,
            chain,
            detection: started.detection,
            blocks,
            _dirs: [_dir, index_dir],
            _simulation,
        }
    }

    /// The rest of the chain.
    fn index_catches_up(&self) {
        let tip = self.index.tip().expect("the index").expect("blocks");
        let rest: Vec<_> = self.blocks[tip.height as usize + 1..]
            .iter()
            .map(|(_, b)| b.clone())
            .collect();
        self.index.append(tip.hash, &rest).expect("blocks");
        self.status
            .send_modify(|status| status.tip = Some(self.blocks[TIP as usize].0));
    }

    async fn jump(&self, to: u32) {
        let at = self.blocks[to as usize].0;
        self.chain
            .send(observed(ChainEvent::Jumped { at }))
            .await
            .expect("detection");
    }

    /// Waits until the spend of the own wallet is logged, and nothing else of it.
    async fn assert_own_spend(&self) {
        let mut head = self.hub.head();
        let spends = |store: &Store| {
            let mut log = logged(store);
            log.retain(|event| matches!(event, Logged::Spent(_) | Logged::Unspent(_)));
            log
        };
        let is_logged = timeout(DEADLINE, head.wait_for(|_| !spends(&self.store).is_empty())).await;
        is_logged.expect("the spend in time").expect("a hub");
        assert_eq!(spends(&self.store), [Logged::Spent(1)]);
    }

    async fn watch(&self, history: Option<Heights>) -> MailboxReceiver {
        let (mailbox, frames) = self.detection.mailbox(IpAddr::from([127, 0, 0, 1]));
        let order = WatchOrder {
            receiver: self.scanner.prepare(receiver(1)),
            addresses: HashMap::new(),
            mailbox,
            history,
            confirm_at: Vec::new(),
        };
        self.detection.watch(order).await.expect("a watch");
        frames
    }
}

/// The next message about a watch: the type of an event, with the height of its block and of the spend; or the end of
/// the history.
async fn next(frames: &mut MailboxReceiver) -> (&'static str, Option<u32>, Option<u32>) {
    loop {
        match timeout(DEADLINE, frames.next()).await.expect("in time").expect("open") {
            WatchMessage::Payment(message) => {
                return match message.notification.event {
                    Event::PaymentDetected(p) => ("detected", p.block_height, p.spent_height),
                    Event::PaymentSpent(s) => ("spent", None, s.block_height),
                    other => panic!("{other:?}"),
                };
            }
            WatchMessage::Progress(progress) if progress.progress >= 1.0 => return ("over", None, None),
            WatchMessage::Progress(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The relay was killed between a jump and its look-up, or ran as an older version.
#[tokio::test(start_paused = true)]
async fn a_start_finds_what_spent_the_own_wallet_in_blocks_that_were_not_seen() {
    for index_tip in [TIP, 1] {
        let relay = Relay::start(0, TIP, index_tip);
        if index_tip < TIP {
            relay.index_catches_up();
        }
        relay.assert_own_spend().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_jump_finds_what_spent_the_own_wallet_in_the_skipped_blocks() {
    let relay = Relay::start(0, 1, TIP);
    relay.jump(TIP).await;
    relay.assert_own_spend().await;
}

/// The index is behind detection, which has kept no spends before a start. The builder has no target yet.
#[tokio::test(start_paused = true)]
async fn a_history_misses_no_spend_between_the_index_and_the_tip() {
    let relay = Relay::start(1, TIP, 1);
    let mut frames = relay.watch(Some(Heights { from: 0, to: None })).await;
    assert_eq!(next(&mut frames).await, ("detected", Some(1), None));
    relay.index_catches_up();
    assert_eq!(next(&mut frames).await, ("spent", None, Some(2)));
    assert_eq!(next(&mut frames).await, ("over", None, None));
}

/// The history ends below the spend, and the index has it only later.
#[tokio::test(start_paused = true)]
async fn a_history_with_an_end_waits_for_the_spends_above_it() {
    let relay = Relay::start(1, TIP, 1);
    let mut frames = relay.watch(Some(Heights { from: 0, to: Some(1) })).await;
    assert_eq!(next(&mut frames).await, ("detected", Some(1), None));
    relay.index_catches_up();
    assert_eq!(next(&mut frames).await, ("spent", None, Some(2)));
    assert_eq!(next(&mut frames).await, ("over", None, None));
}

#[tokio::test(start_paused = true)]
async fn a_jump_looks_up_what_a_history_has_reported_before() {
    let relay = Relay::start(1, 1, 1);
    let mut frames = relay.watch(Some(Heights { from: 0, to: None })).await;
    assert_eq!(next(&mut frames).await, ("detected", Some(1), None));
    relay.jump(TIP).await;
    relay.index_catches_up();
    loop {
        match next(&mut frames).await {
            // Of the history before the jump, or of that of the skipped blocks.
            ("over", ..) => {}
            message => break assert_eq!(message, ("spent", None, Some(2))),
        }
    }
}
