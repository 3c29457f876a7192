//! Events during a long scan of a block for watches.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::mpsc as blocking;
use std::thread::JoinHandle;
use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version as BlockVersion};
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Block, CompactTarget, CompressedPublicKey, OutPoint, Sequence, Transaction, TxIn, TxMerkleNode, TxOut,
    Witness,
};
use sdk_relay_bip352::send::{Input, InputKey, output_keys};
use sdk_relay_bip352::{
    EligibleTx, Engine, EngineError, Fast, Hit, Pair, Prepared, Receiver, ScanKey, Scanner, SilentPaymentAddress,
};
use sdk_relay_chain::{BlockRef, BlockWithPrevouts, ChainEvent, MempoolTx};
use sdk_relay_config::Network;
use sdk_relay_events::{Hub, Next};
use sdk_relay_protocol::{Event, ServerMessage, Topic, Topics};
use sdk_relay_scheduler::{SpawnThread, ThreadWork};
use sdk_relay_store::{Batch, BlockChange, EventLog, ReadLimit, Retention, Store};
use sdk_relay_telemetry::Vitals;
use tokio::time::timeout;

use super::*;
use crate::commands::WatchOrder;
use crate::own_record::Known;
use crate::spend::Coin;
use crate::start;

mod scan_ends;
mod simulated;
mod unseen;

const DEADLINE: Duration = Duration::from_secs(60);
/// Watches and transactions of the block.
const MANY: u8 = 41;

/// Threads that are joined at the end.
#[derive(Default)]
struct Threads(Mutex<Vec<JoinHandle<()>>>);

impl SpawnThread for Threads {
    fn spawn_thread(&self, name: &'static str, work: ThreadWork) -> std::io::Result<()> {
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || runtime.block_on(work))?;
        self.0.lock().unwrap().push(thread);
        Ok(())
    }
}

impl Threads {
    fn join(self) {
        for thread in self.0.into_inner().unwrap() {
            thread.join().expect("no panic");
        }
    }
}

/// The fast engine, which waits for the gate before it scans a block.
struct Gated(Mutex<Option<blocking::Receiver<()>>>);

impl Engine for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn prepare(&self, receiver: Receiver) -> Prepared {
        Fast::new().prepare(receiver)
    }

    fn scan(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Hit>, EngineError> {
        Fast::new().scan(receivers, rows)
    }

    fn suspects(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Pair>, EngineError> {
        if rows.len() > 1 {
            // Once opened, the gate stays open: its sender is dropped then.
            let gate = self.0.lock().expect("no thread panics").take();
            if let Some(gate) = gate {
                assert_ne!(gate.recv_timeout(DEADLINE), Err(blocking::RecvTimeoutError::Timeout));
            }
        }
        Fast::new().suspects(receivers, rows)
    }
}

fn key(n: u8, kind: u8) -> SecretKey {
    let mut bytes = [kind; 32];
    bytes[31] = n;
    SecretKey::from_slice(&bytes).expect("a scalar")
}

fn receiver(n: u8) -> Receiver {
    let spend = key(n, 2).public_key(&Secp256k1::new());
    Receiver::new(ScanKey::from(key(n, 1)), spend, []).expect("labels")
}

/// Pays this address from a key of its own.
fn payment(n: u8, to: &SilentPaymentAddress) -> (Transaction, Vec<TxOut>) {
    let secp = Secp256k1::new();
    let (secret, outpoint) = (key(n, 3), OutPoint::new(Txid::from_byte_array([n; 32]), 0));
    let input = Input {
        outpoint,
        key: InputKey::Ecdsa(secret),
    };
    let paid = output_keys(&[input], std::slice::from_ref(to)).expect("outputs");
    let public = CompressedPublicKey(secret.public_key(&secp));
    let out = |script_pubkey| TxOut {
        value: Amount::from_sat(1_000),
        script_pubkey,
    };
    let taproot =
        |key: &bitcoin::XOnlyPublicKey| out(ScriptBuf::from_bytes([&[0x51, 0x20], &key.serialize()[..]].concat()));
    let tx = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: outpoint,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[vec![0x30; 71], public.to_bytes().to_vec()]),
        }],
        output: paid.iter().map(taproot).collect(),
    };
    (tx, vec![out(ScriptBuf::new_p2wpkh(&public.wpubkey_hash()))])
}

fn block(height: u32, txs: Vec<(Transaction, Vec<TxOut>)>) -> Observed {
    let (txdata, prevouts): (Vec<_>, Vec<_>) = txs.into_iter().unzip();
    let header = Header {
        version: BlockVersion::TWO,
        prev_blockhash: BlockHash::all_zeros(),
        merkle_root: TxMerkleNode::all_zeros(),
        time: 1,
        bits: CompactTarget::from_consensus(0x207f_ffff),
        nonce: height,
    };
    let at = BlockRef {
        height,
        hash: header.block_hash(),
    };
    let block = Block { header, txdata };
    let event = ChainEvent::BlockConnected {
        at,
        block: Arc::new(BlockWithPrevouts {
            size: block.total_size(),
            block,
            prevouts,
        }),
    };
    observed(event)
}

fn observed(event: ChainEvent) -> Observed {
    let now = Instant::now();
    Observed {
        event,
        noticed: now,
        available: now,
    }
}

/// Events of the log: the height of a block, the confirmations of a payment or a spend.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Logged {
    Block(u32),
    Disconnected(u32),
    Payment(u32),
    Reverted(u32),
    Confirmed(u32),
    Spent(u32),
    Unspent(u32),
}

fn logged(store: &Store) -> Vec<Logged> {
    let limit = ReadLimit {
        events: 1_000,
        bytes: usize::MAX,
    };
    let entries = store.read_after(0, limit).expect("the log").into_iter();
    let events = entries.map(|entry| serde_json::from_slice(&entry.payload).expect("a message"));
    let logged = events.filter_map(|message| match message {
        ServerMessage::Notification(n) => match n.event {
            Event::BlockMined(block) => Some(Logged::Block(block.block_height)),
            Event::BlockDisconnected(block) => Some(Logged::Disconnected(block.block_height)),
            Event::PaymentDetected(payment) => Some(Logged::Payment(payment.confirmations)),
            Event::PaymentReverted(payment) => Some(Logged::Reverted(payment.confirmations)),
            Event::PaymentConfirmed(payment) => Some(Logged::Confirmed(payment.confirmations)),
            Event::PaymentSpent(spent) => Some(Logged::Spent(spent.confirmations)),
            Event::PaymentSpentReverted(spent) => Some(Logged::Unspent(spent.confirmations)),
            _ => None,
        },
        _ => None,
    });
    logged.collect()
}

/// What detection works with: an empty log, and an engine that does not fail.
struct Fixture {
    _dir: tempfile::TempDir,
    store: Arc<Store>,
    hub: Arc<Hub>,
    scanner: Scanner,
    parts: Parts,
}

fn fixture(engine: impl Engine + 'static) -> Fixture {
    let dir = tempfile::tempdir().expect("a directory");
    let retention = Retention {
        events: 1_000,
        bytes: 1 << 30,
    };
    let store = Arc::new(Store::open(&dir.path().join("store"), "regtest", retention).expect("a store"));
    let hub = Arc::new(Hub::new(Arc::clone(&store)).expect("a hub"));
    let scanner = Scanner::new(Arc::new(engine), |_, error| {
        assert_eq!(error, None, "the fast engine does not fail");
    });
    let parts = parts(&store, &hub, &scanner);
    Fixture {
        _dir: dir,
        store,
        hub,
        scanner,
        parts,
    }
}

fn parts(store: &Arc<Store>, hub: &Arc<Hub>, scanner: &Scanner) -> Parts {
    Parts {
        store: Arc::<Store>::clone(store),
        hub: Arc::clone(hub),
        metrics: Arc::default(),
        vitals: Arc::new(Vitals::new(None)),
        timings: Arc::default(),
        network: Network::Regtest,
        own: Some(Arc::new(scanner.prepare(receiver(0)))),
        scanner: scanner.clone(),
        index: None,
        chain: None,
        max_watches: usize::from(MANY),
        detached: crate::DetachedLimits::default(),
        confirm_at: Vec::new(),
        wallet_scripts: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_for_watches_delays_only_the_events_of_their_connection() {
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
    let (mailbox, mut frames) = started.detection.mailbox(IpAddr::from([127, 0, 0, 1]));
    let mut cursor = hub.live().held_by(frames.barrier());
    for n in 1..MANY {
        let order = WatchOrder {
            receiver: scanner.prepare(receiver(n)),
            addresses: HashMap::new(),
            mailbox: mailbox.clone(),
            history: None,
            confirm_at: Vec::new(),
        };
        started.detection.watch(order).await.expect("a watch");
    }

    let address = |n: u8| receiver(n).address(Network::Regtest.silent_payment());
    // The block pays the own wallet and the last watch; all other payments are to other keys.
    let payee = |n: u8| match n {
        1 => address(0),
        2 => address(MANY - 1),
        _ => address(255),
    };
    chain
        .send(block(1, (0..MANY).map(|n| payment(n, &payee(n))).collect()))
        .await
        .expect("detection");
    let (tx, prevouts) = payment(MANY, &address(0));
    let entered = MempoolTx {
        txid: tx.compute_txid(),
        tx,
        prevouts,
    };
    chain
        .send(observed(ChainEvent::TxsEntered(vec![Arc::new(entered)])))
        .await
        .expect("detection");
    chain.send(block(2, Vec::new())).await.expect("detection");
    let mut head = hub.head();
    timeout(
        DEADLINE,
        head.wait_for(|_| store.recent_blocks().is_ok_and(|blocks| blocks.len() == 2)),
    )
    .await
    .expect("in time")
    .expect("a hub");
    // All events are in the log: a connection without watches receives them now.
    let all = [
        Logged::Block(1),
        Logged::Payment(1),
        Logged::Payment(0),
        Logged::Block(2),
    ];
    assert_eq!(logged(&store), all);
    let topics: Topics = [Topic::Notifications].into_iter().collect();
    let next = hub.next(&mut cursor, topics).await.expect("the log");
    assert!(
        matches!(next, Next::UpToDate),
        "the connection with watches sees nothing of it: {next:?}"
    );
    assert!(frames.try_next().is_none());

    drop(open);
    let queued = timeout(DEADLINE, frames.next()).await.expect("in time");
    assert!(queued.is_some() && frames.try_next().is_none());
    let mut barrier = frames.barrier();
    timeout(DEADLINE, barrier.wait_for(|last| *last == u64::MAX))
        .await
        .expect("in time")
        .expect("a mailbox");
    let Ok(Next::Frames(frames)) = hub.next(&mut cursor, topics).await else {
        panic!("the events")
    };
    assert_eq!(frames.len(), all.len());

    stop.cancel();
    let joined = tokio::task::spawn_blocking(move || threads.join());
    timeout(DEADLINE, joined).await.expect("in time").expect("no panic");
}

/// Spends the output of a payment.
fn spend(of: &Transaction) -> (Transaction, Vec<TxOut>) {
    let tx = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(of.compute_txid(), 0),
            witness: Witness::from_slice(&[vec![1; 64]]),
            ..TxIn::default()
        }],
        output: Vec::new(),
    };
    (tx, vec![of.output[0].clone()])
}

fn entered(txs: &[(Transaction, Vec<TxOut>)]) -> Observed {
    let tx = |(tx, prevouts): &(Transaction, Vec<TxOut>)| {
        Arc::new(MempoolTx {
            txid: tx.compute_txid(),
            tx: tx.clone(),
            prevouts: prevouts.clone(),
        })
    };
    observed(ChainEvent::TxsEntered(txs.iter().map(tx).collect()))
}

fn disconnected(height: u32) -> Observed {
    let hash = |height| {
        let Observed {
            event: ChainEvent::BlockConnected { at, .. },
            ..
        } = block(height, Vec::new())
        else {
            unreachable!("a block")
        };
        at
    };
    observed(ChainEvent::BlockDisconnected {
        at: hash(height),
        parent: hash(height - 1),
    })
}

/// Detection is started again before each group of events, with what it has stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spends_of_the_own_wallet_are_logged_once_across_restarts() {
    use Logged::{Block, Confirmed, Disconnected, Payment, Reverted, Spent, Unspent};
    let Fixture {
        _dir,
        store,
        hub,
        scanner,
        ..
    } = fixture(Fast::new());
    let address = receiver(0).address(Network::Regtest.silent_payment());
    let paid = payment(1, &address);
    let spent = spend(&paid.0);
    let both = [paid.clone(), spent.clone()];
    let synced = || observed(ChainEvent::MempoolSynced);
    let mut before = 0;
    for (events, expected) in [
        (vec![block(1, Vec::new())], vec![Block(1)]),
        (vec![entered(&both), synced()], vec![Payment(0), Spent(0)]),
        (vec![entered(&both), synced()], vec![]),
        // In one block, spend and payment.
        (vec![block(2, both.to_vec())], vec![Block(2), Payment(1), Spent(1)]),
        (vec![block(3, Vec::new())], vec![Block(3), Confirmed(2)]),
        (
            vec![disconnected(3), disconnected(2)],
            vec![Disconnected(3), Unspent(1), Reverted(2), Disconnected(2)],
        ),
        // Only the payment returns to the mempool; the spend follows with its block.
        (vec![entered(std::slice::from_ref(&paid)), synced()], vec![Payment(0)]),
        (
            vec![
                block(2, vec![paid]),
                entered(std::slice::from_ref(&spent)),
                block(3, vec![spent]),
            ],
            vec![Block(2), Payment(1), Spent(0), Block(3), Spent(1), Confirmed(2)],
        ),
    ] {
        let parts = Parts {
            confirm_at: vec![2],
            ..parts(&store, &hub, &scanner)
        };
        detect(parts, events).await;
        let log = logged(&store);
        assert_eq!(log[before..], expected, "after {:?}", &log[..before]);
        before = log.len();
    }
    assert_eq!(store.payments().expect("the store").len(), 1);
}

/// No reorganisation can revert the payment any more; its output is kept until its spend is as deep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_output_of_a_payment_of_long_ago_is_spent() {
    use Logged::{Block, Disconnected, Spent, Unspent};
    const TIP: u32 = 5_000;
    let Fixture {
        _dir,
        store,
        hub,
        scanner,
        ..
    } = fixture(Fast::new());
    let paid = payment(1, &receiver(0).address(Network::Regtest.silent_payment()));
    let spent = spend(&paid.0);
    let outpoint = spent.0.input[0].previous_output;
    let known = Known::Final(Coin {
        amount_sats: 1_000,
        address: "sprt1".into(),
        label: None,
        height: 7,
    });
    let output = Output { known, spend: None };
    let ChainEvent::BlockDisconnected { parent, .. } = disconnected(TIP + 1).event else {
        panic!("a block")
    };
    let stored = Batch {
        block: Some(BlockChange::Jump(TIP, parent.hash)),
        payments: vec![(outpoint, Some(output.encode(outpoint).expect("a record")))],
        ..Batch::default()
    };
    store.commit(&stored).expect("the store");
    let mut log = Vec::new();
    for (event, expected) in [
        (entered(std::slice::from_ref(&spent)), vec![Spent(0)]),
        (block(TIP + 1, vec![spent.clone()]), vec![Block(TIP + 1), Spent(1)]),
        (disconnected(TIP + 1), vec![Unspent(1), Disconnected(TIP + 1)]),
        (block(TIP + 1, vec![spent]), vec![Block(TIP + 1), Spent(1)]),
    ] {
        detect(parts(&store, &hub, &scanner), vec![event]).await;
        log.extend(expected);
        assert_eq!(logged(&store), log);
    }
    let [(_, record)] = &store.payments().expect("the store")[..] else {
        panic!("one output")
    };
    assert!(Output::decode(record).expect("a record").spend.is_some());
}

/// Runs detection, with what it has stored, until it has processed these events.
async fn detect(parts: Parts, events: Vec<Observed>) {
    let (chain, receiver) = mpsc::channel(16);
    let threads = Threads::default();
    let started = start(parts, receiver, CancellationToken::new(), &threads).expect("detection");
    for event in events {
        chain.send(event).await.expect("detection");
    }
    // It ends after the last of them.
    drop((chain, started));
    let joined = tokio::task::spawn_blocking(move || threads.join());
    timeout(DEADLINE, joined).await.expect("in time").expect("no panic");
}
