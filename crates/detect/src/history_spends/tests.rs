//! The task, with an index whose outputs are spent by transactions that only the node names. The test plays detection,
//! and the node. The clock is paused: it moves while everything waits.

use std::sync::Mutex;

use async_trait::async_trait;
use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version as BlockVersion};
use bitcoin::hashes::Hash as _;
use bitcoin::transaction::Version;
use bitcoin::{Amount, Block, CompactTarget, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut, Witness};
use sdk_relay_bip352::{Fast, Scanner};
use sdk_relay_chain::{
    BlockWithPrevouts, BroadcastError, FeeRates, MempoolSnapshot, MempoolTx, NodeInfo, Signals, SourceStatus,
};
use sdk_relay_index::{IndexFigures, IndexState, IndexStatus, Pool};
use sdk_relay_platform::simulation;
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{IndexedBlock, IndexedTx, OutputPlace, SpentOutput};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::*;
use crate::commands::Command;
use crate::ledger::Ledger;
use crate::look_up::{LookUp, Of, Unchecked};
use crate::mailbox::tests::of_bytes;
use crate::mailbox::{Mailbox, MailboxReceiver};
use crate::spend::Coin;
use crate::unnamed::NameLookUp;

/// Far longer than all polls of a test together.
const DEADLINE: Duration = Duration::from_secs(600);
/// Outputs of block 1 that are spent: the output `n` in the block `n + 2`.
const OUTPUTS: u32 = 20;
/// One that is not.
const UNSPENT: u32 = OUTPUTS;
const TIP: u32 = OUTPUTS + 1;

fn hash(height: u32) -> BlockHash {
    BlockHash::hash(&height.to_le_bytes())
}

fn output(n: u32) -> OutPoint {
    OutPoint::new(Txid::hash(&n.to_le_bytes()), 0)
}

/// The transaction that spends an output. It has no taproot output.
fn spending(n: u32) -> Transaction {
    let input = |previous_output| TxIn {
        previous_output,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input(OutPoint::null()), input(output(n))],
        output: vec![TxOut {
            value: Amount::ONE_SAT,
            script_pubkey: ScriptBuf::new(),
        }],
    }
}

fn blocks() -> Vec<IndexedBlock> {
    let tx = |n: u32| IndexedTx {
        txid: output(n).txid,
        tweak: [2; 33],
        keys: vec![[7; 32]],
        places: vec![OutputPlace {
            vout: 0,
            amount: Amount::ONE_BTC,
        }],
        fee: None,
        size: 100,
        spends: 0..0,
    };
    let spent = |n| SpentOutput {
        outpoint: output(n),
        key_prefix: [7; 8],
    };
    let block = |height: u32| IndexedBlock {
        height,
        hash: hash(height),
        time: height,
        transactions: if height == 1 {
            (0..=UNSPENT).map(tx).collect()
        } else {
            Vec::new()
        },
        spent: height.checked_sub(2).map(spent).into_iter().collect(),
    };
    (0..=TIP).map(block).collect()
}

/// The block of a spend.
fn block_of(at: BlockHash) -> BlockWithPrevouts {
    let n = (0..OUTPUTS).find(|n| hash(n + 2) == at).expect("a block of the test");
    let header = Header {
        version: BlockVersion::TWO,
        prev_blockhash: BlockHash::all_zeros(),
        merkle_root: TxMerkleNode::all_zeros(),
        time: 1,
        bits: CompactTarget::from_consensus(0x207f_ffff),
        nonce: 0,
    };
    BlockWithPrevouts {
        block: Block {
            header,
            txdata: vec![spending(n)],
        },
        prevouts: Vec::new(),
        size: 0,
    }
}

/// How the node answers a request for a block.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Block,
    /// This often, and then the block.
    Fails(u32),
    Pruned,
    Never,
    /// The block, after this many seconds.
    Slow(u64),
}

/// The node, which answers `Block` unless the test says otherwise.
#[derive(Default)]
struct Node {
    answers: Mutex<HashMap<BlockHash, Answer>>,
    /// Blocks that are being read.
    reading: Mutex<Vec<BlockHash>>,
    /// The most of them that were read at the same time.
    most: Mutex<usize>,
}

impl Node {
    fn set(&self, n: u32, answer: Answer) {
        self.answers.lock().unwrap().insert(hash(n + 2), answer);
    }
}

/// Ends a read, also one that was cancelled.
struct Reading<'a>(&'a Node, BlockHash);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.reading.lock().unwrap().retain(|hash| *hash != self.1);
    }
}

#[async_trait]
impl ChainSource for Node {
    async fn block(&self, at: BlockHash) -> Result<BlockWithPrevouts, SourceError> {
        let count = {
            let mut reading = self.reading.lock().unwrap();
            reading.push(at);
            reading.len()
        };
        let _reading = Reading(self, at);
        {
            let mut most = self.most.lock().unwrap();
            *most = (*most).max(count);
        }
        // Others are read meanwhile.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            let answer = answers.entry(at).or_insert(Answer::Block);
            let now = *answer;
            if let Answer::Fails(left) = answer {
                *answer = if *left > 1 {
                    Answer::Fails(*left - 1)
                } else {
                    Answer::Block
                };
            }
            now
        };
        match answer {
            Answer::Never => std::future::pending().await,
            Answer::Slow(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(block_of(at))
            }
            Answer::Pruned => Err(SourceError::Pruned(at)),
            Answer::Fails(_) => Err(SourceError::Unreachable {
                at: "127.0.0.1:18443".to_owned(),
                reason: "connection refused".to_owned(),
            }),
            Answer::Block => Ok(block_of(at)),
        }
    }

    async fn status(&self) -> Result<SourceStatus, SourceError> {
        unimplemented!()
    }

    async fn tip(&self) -> Result<BlockRef, SourceError> {
        unimplemented!()
    }

    async fn hash_at(&self, _: u32) -> Result<Option<BlockHash>, SourceError> {
        unimplemented!()
    }

    async fn mempool(&self) -> Result<MempoolSnapshot, SourceError> {
        unimplemented!()
    }

    async fn transactions(&self, _: &[Txid], _: Vec<Transaction>) -> Result<Vec<MempoolTx>, SourceError> {
        unimplemented!()
    }

    async fn spenders(&self, _: &[OutPoint]) -> Result<Vec<Option<Txid>>, SourceError> {
        unimplemented!()
    }

    async fn broadcast(&self, _: &Transaction) -> Result<Txid, BroadcastError> {
        unimplemented!()
    }

    async fn info(&self) -> Result<NodeInfo, SourceError> {
        unimplemented!()
    }

    async fn fee_rates(&self, _: &[u16]) -> Result<FeeRates, SourceError> {
        unimplemented!()
    }

    async fn block_info(&self, _: BlockHash) -> Result<serde_json::Value, SourceError> {
        unimplemented!()
    }

    fn signals(&self) -> Option<Signals> {
        None
    }
}

struct Fixture {
    queue: Arc<SpendQueue>,
    node: Arc<Node>,
    detection: Detection,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<IndexStatus>,
    _dir: tempfile::TempDir,
    _simulation: simulation::Guard,
}

impl Fixture {
    /// With an index whose status names this tip.
    fn start(tip: u32) -> Self {
        let _simulation = simulation::enter(1, 1_700_000_000);
        let _dir = tempfile::tempdir().unwrap();
        let store = TweakIndex::open(&_dir.path().join("index"), "regtest", 0).unwrap();
        store.append(BlockHash::all_zeros(), &blocks()).unwrap();
        let status = watch::Sender::new(IndexStatus {
            state: IndexState::Current,
            since: std::time::Instant::now(),
            start_height: 0,
            first: 0,
            first_is_known: true,
            tip: Some(BlockRef {
                height: tip,
                hash: hash(tip),
            }),
            target: None,
            node_is_syncing: false,
        });
        let scanner = Scanner::new(Arc::new(Fast::new()), |_, error| assert_eq!(error, None));
        let (detection, commands) = Detection::channel(scanner);
        let (queue, node) = (Arc::<SpendQueue>::default(), Arc::<Node>::default());
        let finder = SpendFinder {
            index: Index {
                store: Arc::new(store),
                status: status.subscribe(),
                figures: watch::channel(IndexFigures::default()).1,
                pool: Arc::new(Pool::new(1).unwrap()),
            },
            chain: Some(Arc::<Node>::clone(&node)),
            detection: detection.clone(),
            scans: Arc::default(),
            queue: Arc::clone(&queue),
        };
        tokio::spawn(finder.run());
        Self {
            queue,
            node,
            detection,
            commands,
            status,
            _dir,
            _simulation,
        }
    }

    fn client(&self, address: u8) -> (Mailbox, MailboxReceiver) {
        self.detection.mailbox([192, 0, 2, address].into())
    }

    /// Requests what spends these outputs, in an index that has the block `through`.
    fn look_up(&self, watch_id: &str, mailbox: &Mailbox, outputs: &[u32], through: u32) {
        let mut ledger = Ledger::default();
        for n in outputs {
            let coin = Coin {
                amount_sats: 1,
                address: "sprt1".into(),
                label: None,
                height: 1,
            };
            ledger.found(output(*n), coin);
        }
        let mut unchecked = Unchecked::default();
        unchecked.extend(through);
        self.queue.add(LookUp {
            of: Of::Watch(watch_id.to_owned()),
            mailbox: Some(mailbox.clone()),
            chunk: unchecked.next(&ledger).expect("outputs"),
            is_retry: false,
        });
    }

    /// The next answer: the watch, and for each output its block and the name of what spends it.
    async fn answer(&mut self) -> (String, Vec<(u32, Option<Txid>)>) {
        let command = timeout(DEADLINE, self.commands.recv())
            .await
            .expect("an answer in time");
        let Some(Command::LookedUp(looked_up, applied)) = command else {
            panic!("another command")
        };
        applied.send(()).expect("the task waits");
        let Of::Watch(watch_id) = looked_up.look_up.of.clone() else {
            panic!("a watch")
        };
        let mut spends: Vec<_> = looked_up
            .up_to(TIP)
            .map(|(_, spend)| {
                assert_eq!(spend.by.map(|(_, vin)| vin), spend.by.map(|_| Some(1)));
                (spend.at.height, spend.by.map(|(txid, _)| txid))
            })
            .collect();
        spends.sort_unstable();
        (watch_id, spends)
    }
}

fn named(n: u32) -> (u32, Option<Txid>) {
    (n + 2, Some(spending(n).compute_txid()))
}

#[tokio::test(start_paused = true)]
async fn a_node_that_fails_for_a_moment_is_asked_again() {
    let mut fixture = Fixture::start(TIP);
    let (mailbox, _kept) = fixture.client(1);
    fixture.node.set(3, Answer::Fails(2));
    fixture.look_up("a", &mailbox, &[3, 4], 0);
    assert_eq!(fixture.answer().await, ("a".to_owned(), vec![named(3), named(4)]));
}

/// Silence would be a spend that is missed.
#[tokio::test(start_paused = true)]
async fn a_spend_is_reported_where_the_node_cannot_name_it() {
    for answer in [Answer::Pruned, Answer::Never, Answer::Fails(100)] {
        let mut fixture = Fixture::start(TIP);
        let (mailbox, _kept) = fixture.client(1);
        fixture.node.set(3, answer);
        fixture.look_up("a", &mailbox, &[3], 0);
        let command = timeout(DEADLINE, fixture.commands.recv()).await.expect("in time");
        let Some(Command::LookedUp(looked_up, _)) = command else {
            panic!("another command")
        };
        let spends: Vec<_> = looked_up.up_to(TIP).map(|(_, spend)| spend).collect();
        let [spend] = spends[..] else { panic!("{spends:?}") };
        assert_eq!((spend.at.height, spend.by), (5, None), "{answer:?}");
        assert_eq!(spend.may_be_named, answer != Answer::Pruned, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_the_node_holds_up_no_other() {
    let mut fixture = Fixture::start(TIP);
    let mut kept = Vec::new();
    // Ten connections of one address, each with a block that never arrives.
    for n in 0..10 {
        fixture.node.set(n, Answer::Never);
        let (mailbox, frames) = fixture.client(1);
        fixture.look_up(&format!("stuck {n}"), &mailbox, &[n], 0);
        kept.push(frames);
    }
    let began = Instant::now();
    for n in 10..15 {
        let (mailbox, frames) = fixture.client(2);
        fixture.look_up("other", &mailbox, &[n], 0);
        kept.push(frames);
        assert_eq!(fixture.answer().await, ("other".to_owned(), vec![named(n)]));
    }
    assert!(began.elapsed() < BLOCK_WITHIN, "{:?}", began.elapsed());
    assert_eq!(*fixture.node.most.lock().unwrap(), 2, "one of each address");
    // And they end: each with its spend.
    for _ in 0..10 {
        let (watch_id, spends) = fixture.answer().await;
        assert!(watch_id.starts_with("stuck") && spends.len() == 1 && spends[0].1.is_none());
    }
}

/// A busy node: no single block takes too long, but all of them together.
#[tokio::test(start_paused = true)]
async fn the_blocks_of_a_job_have_a_time_together() {
    let mut fixture = Fixture::start(TIP);
    let (mailbox, _kept) = fixture.client(1);
    let all: Vec<u32> = (0..OUTPUTS).collect();
    for n in &all {
        fixture.node.set(*n, Answer::Slow(9));
    }
    let began = Instant::now();
    fixture.look_up("a", &mailbox, &all, 0);
    let (_, spends) = fixture.answer().await;
    assert!(began.elapsed() < BLOCKS_WITHIN + BLOCK_WITHIN, "{:?}", began.elapsed());
    assert_eq!(spends.len(), all.len(), "each with its block");
    let named = spends.iter().filter(|(_, by)| by.is_some()).count();
    assert!((10..15).contains(&named), "{named} with their names");
}

/// Whatever the node does, spends that need no block are known.
#[tokio::test(start_paused = true)]
async fn a_search_of_the_index_does_not_wait_for_the_node() {
    let mut fixture = Fixture::start(TIP);
    let mut kept = Vec::new();
    for n in 0..10_u8 {
        fixture.node.set(n.into(), Answer::Never);
        let (mailbox, frames) = fixture.client(n);
        fixture.look_up(&format!("stuck {n}"), &mailbox, &[n.into()], 0);
        kept.push(frames);
    }
    while fixture.node.reading.lock().unwrap().len() < STEPS {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let (mailbox, _kept) = fixture.client(100);
    fixture.look_up("other", &mailbox, &[UNSPENT], 0);
    assert_eq!(fixture.answer().await, ("other".to_owned(), vec![]));
    assert!(began.elapsed() < BLOCK_WITHIN / 10, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn reads_of_all_clients_together_are_bounded() {
    let mut fixture = Fixture::start(TIP);
    let mut kept = Vec::new();
    for n in 0..12_u8 {
        let (mailbox, frames) = fixture.client(n);
        fixture.look_up(&n.to_string(), &mailbox, &[u32::from(n)], 0);
        kept.push(frames);
    }
    for _ in 0..12 {
        fixture.answer().await;
    }
    assert_eq!(*fixture.node.most.lock().unwrap(), STEPS);
}

#[tokio::test(start_paused = true)]
async fn an_index_without_the_blocks_is_waited_for() {
    let mut fixture = Fixture::start(TIP - 1);
    let (mailbox, _kept) = fixture.client(1);
    fixture.look_up("a", &mailbox, &[0], TIP);
    fixture.look_up("b", &mailbox, &[1], TIP - 1);
    assert_eq!(fixture.answer().await.0, "b");
    assert!(
        timeout(DEADLINE, fixture.commands.recv()).await.is_err(),
        "it did not wait"
    );
    fixture.status.send_modify(|status| {
        status.tip = Some(BlockRef {
            height: TIP,
            hash: hash(TIP),
        });
    });
    assert_eq!(fixture.answer().await, ("a".to_owned(), vec![named(0)]));
}

/// Tens of thousands of outputs may be spent: the answers must not fill the mailbox of a slow client.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_waited_for_and_holds_up_no_other() {
    let mut fixture = Fixture::start(TIP);
    let ((full, mut unread), (other, _kept)) = (fixture.client(1), fixture.client(2));
    while full.has_capacity() {
        full.post(of_bytes(10_000));
    }
    fixture.look_up("full", &full, &[0], 0);
    fixture.look_up("other", &other, &[1], 0);
    assert_eq!(fixture.answer().await, ("other".to_owned(), vec![named(1)]));
    assert!(
        timeout(DEADLINE, fixture.commands.recv()).await.is_err(),
        "it did not wait"
    );
    while unread.try_next().is_some() {}
    assert_eq!(fixture.answer().await, ("full".to_owned(), vec![named(0)]));
}

/// A client that connects again and again leaves nothing behind.
#[tokio::test(start_paused = true)]
async fn the_look_up_of_a_client_that_has_left_is_dropped() {
    let mut fixture = Fixture::start(TIP);
    let (gone, frames) = fixture.client(1);
    fixture.look_up("gone", &gone, &[0], TIP + 1);
    let (mailbox, _kept) = fixture.client(2);
    fixture.look_up("ended", &mailbox, &[0], TIP + 1);
    drop(frames);
    fixture.queue.remove("ended");
    assert!(timeout(DEADLINE, fixture.commands.recv()).await.is_err());
    assert!(fixture.queue.poll_interval().is_none());
}

impl Fixture {
    fn look_up_names(&self, mailbox: &Mailbox, n: u32, pause: Duration) {
        self.queue.add_names(NameLookUp {
            watch_id: "a".to_owned(),
            mailbox: mailbox.clone(),
            outputs: vec![(1, output(n))],
            pause,
        });
    }

    /// The next answer to a look-up of names: the transaction, or whether it may be known later.
    async fn name(&mut self) -> Result<Txid, bool> {
        let command = timeout(DEADLINE, self.commands.recv())
            .await
            .expect("an answer in time");
        let Some(Command::Named(named, applied)) = command else {
            panic!("another command")
        };
        applied.send(()).expect("the task waits");
        let spend = named.spends.values().next().expect("a spend");
        spend.by.map(|(txid, _)| txid).ok_or(spend.may_be_named)
    }
}

/// Only a block that the node does not have is given up.
#[tokio::test(start_paused = true)]
async fn names_are_looked_up_again_after_a_pause_and_after_all_else() {
    let mut fixture = Fixture::start(TIP);
    let (mailbox, _kept) = fixture.client(1);
    let pause = Duration::from_secs(30);
    for answer in [Answer::Never, Answer::Fails(1), Answer::Pruned, Answer::Block] {
        fixture.node.set(3, answer);
        let began = Instant::now();
        fixture.look_up_names(&mailbox, 3, pause);
        fixture.look_up("a", &mailbox, &[4], 0);
        assert_eq!(fixture.answer().await, ("a".to_owned(), vec![named(4)]));
        assert!(began.elapsed() < pause, "{answer:?}");
        let expected = match answer {
            Answer::Block => Ok(spending(3).compute_txid()),
            answer => Err(answer != Answer::Pruned),
        };
        assert_eq!(fixture.name().await, expected, "{answer:?}");
        assert!(began.elapsed() >= pause, "{answer:?}");
    }
    // Of a watch that has ended.
    fixture.look_up_names(&mailbox, 3, pause);
    fixture.queue.remove("a");
    assert!(timeout(DEADLINE, fixture.commands.recv()).await.is_err());
}

/// All clients of a proxy, or of Tor.
#[tokio::test(start_paused = true)]
async fn a_client_behind_a_proxy_holds_up_no_other() {
    let mut fixture = Fixture::start(TIP);
    let mut kept = Vec::new();
    let loopback = |fixture: &Fixture| fixture.detection.mailbox([127, 0, 0, 1].into());
    fixture.node.set(0, Answer::Never);
    let (stuck, frames) = loopback(&fixture);
    fixture.look_up("stuck 0", &stuck, &[0], 0);
    kept.push(frames);
    let began = Instant::now();
    let (mailbox, frames) = loopback(&fixture);
    fixture.look_up("proxied", &mailbox, &[10], 0);
    kept.push(frames);
    assert_eq!(fixture.answer().await, ("proxied".to_owned(), vec![named(10)]));
    // However many of them wait for the node, another address does not wait for them.
    for n in 1..10 {
        fixture.node.set(n, Answer::Never);
        let (mailbox, frames) = loopback(&fixture);
        fixture.look_up(&format!("stuck {n}"), &mailbox, &[n], 0);
        kept.push(frames);
    }
    while fixture.node.reading.lock().unwrap().len() < LOOPBACK_STEPS {
        tokio::task::yield_now().await;
    }
    let (mailbox, frames) = fixture.client(2);
    fixture.look_up("other", &mailbox, &[11], 0);
    kept.push(frames);
    assert_eq!(fixture.answer().await, ("other".to_owned(), vec![named(11)]));
    assert!(began.elapsed() < BLOCK_WITHIN, "{:?}", began.elapsed());
}
