//! The development chain beside a real node: the node accepts its blocks and payments, refuses what it refuses, and
//! answers in the same shapes. Each test has a node of its own, which receives the chain from the first block on.

use std::collections::BTreeSet;

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey, rand};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{
    Address, Amount, BlockHash, CompressedPublicKey, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut,
    Txid, Witness, ecdsa, transaction,
};
use sdk_relay_chain::{BroadcastError, ChainSource};
use sdk_relay_devchain::DevChain;
use serde_json::{Value, json};
use testkit::{Bitcoind, Options, Payee, RpcError};

/// Gives the node every block above `from`, as a miner would.
async fn submit(node: &Bitcoind, chain: &DevChain, from: u32) {
    let tip = chain.tip().await.unwrap();
    for height in from + 1..=tip.height {
        let hash = chain.hash_at(height).await.unwrap().unwrap();
        let block = chain.block(hash).await.unwrap().block;
        let verdict = node.rpc().call("submitblock", json!([serialize_hex(&block)])).await;
        // "inconclusive" is a valid block of a branch that is not the best yet.
        let verdict = verdict.unwrap();
        assert!(
            verdict.is_null() || verdict == "inconclusive",
            "block {height}: {verdict}"
        );
    }
    assert_eq!(node.tip().await, tip.hash);
}

#[tokio::test]
async fn a_node_accepts_every_block_and_every_payment() {
    let dir = tempfile::tempdir().unwrap();
    let chain = DevChain::open(dir.path()).unwrap();
    let node = Bitcoind::start(Options::default()).await;
    submit(&node, &chain, 0).await;

    let payee = Payee::new(&[1]);
    let plain = payee.address().to_string();
    let labelled = payee.labelled_address(1).to_string();
    let key = Key::new();
    // Each coin can pay most of these alone; the large ones take several, of several kinds; the last spend change that
    // is not confirmed yet.
    let amounts = [
        1_000,
        50_000_000,
        12_000_000_000,
        4_999_990_000,
        30_000_000_000,
        546,
        1,
        2,
    ];
    for (round, sats) in amounts.into_iter().enumerate() {
        let sats = if sats < 546 { 20_000_000 } else { sats };
        for address in [&plain, &labelled, &key.address()] {
            let txid = chain.pay(address, Amount::from_sat(sats)).unwrap();
            let known = chain.transactions(&[txid], Vec::new()).await.unwrap().remove(0);
            assert_eq!(node.accepts(&known.tx).await, Ok(()), "round {round}, {address}");
            node.send_raw(&known.tx).await;
            if sats > 10_000_000_000 {
                break;
            }
        }
        if round % 2 == 0 {
            let from = chain.tip().await.unwrap().height;
            chain.mine(7).unwrap();
            submit(&node, &chain, from).await;
            assert_eq!(node.mempool().await, []);
        }
    }

    let before = chain.tip().await.unwrap();
    chain.reorg(10).unwrap();
    submit(&node, &chain, before.height - 10).await;
    let back: BTreeSet<Txid> = chain.mempool().await.unwrap().txids.into_iter().collect();
    assert!(!back.is_empty());
    assert_eq!(node.mempool().await.into_iter().collect::<BTreeSet<_>>(), back);
    chain.mine(1).unwrap();
    submit(&node, &chain, before.height + 1).await;
    assert_eq!(node.mempool().await, []);
}

#[tokio::test]
async fn blocks_stay_acceptable_when_there_is_no_subsidy_left() {
    let dir = tempfile::tempdir().unwrap();
    let chain = DevChain::open(dir.path()).unwrap();
    let node = Bitcoind::start(Options::default()).await;
    // Past 33 halvings, where there is nothing left to pay out.
    for _ in 0..5 {
        chain.mine(1000).unwrap();
    }
    submit(&node, &chain, 0).await;
    let stats = node.rpc().call("gettxoutsetinfo", json!(["none"])).await.unwrap();
    assert_eq!(stats["height"], 5119);
}

#[tokio::test]
async fn answers_have_the_shapes_and_values_of_a_node() {
    let dir = tempfile::tempdir().unwrap();
    let chain = DevChain::open(dir.path()).unwrap();
    chain
        .pay(&Payee::new(&[]).address().to_string(), Amount::from_sat(100_000))
        .unwrap();
    chain.mine(2).unwrap();
    let node = Bitcoind::start(Options::default()).await;
    submit(&node, &chain, 0).await;

    for height in [0, 1, 120, 121] {
        let hash = chain.hash_at(height).await.unwrap().unwrap();
        let theirs = node.rpc().call("getblock", json!([hash, 1])).await.unwrap();
        assert_part_of(&chain.block_info(hash).await.unwrap(), &theirs);
        let missing = ["hash", "previousblockhash", "nextblockhash", "mediantime", "tx"];
        let ours = chain.block_info(hash).await.unwrap();
        assert!(
            missing
                .iter()
                .all(|field| theirs.get(field).is_some() == ours.get(field).is_some())
        );
    }

    let txid = chain
        .pay(&Payee::new(&[]).address().to_string(), Amount::from_sat(100_000))
        .unwrap();
    let tx = chain.transactions(&[txid], Vec::new()).await.unwrap().remove(0).tx;
    node.send_raw(&tx).await;
    let ours = chain.info().await.unwrap();
    let theirs = node.rpc().call("getblockchaininfo", json!([])).await.unwrap();
    assert_part_of(
        &without(ours.blockchain.clone(), &["size_on_disk", "warnings"]),
        &theirs,
    );
    let file = std::fs::metadata(dir.path().join("devchain.dat")).unwrap();
    assert_eq!(ours.blockchain["size_on_disk"], file.len());
    let theirs = node.rpc().call("getmempoolinfo", json!([])).await.unwrap();
    assert_part_of(
        &without(ours.mempool.clone(), &["usage", "maxmempool", "unbroadcastcount"]),
        &theirs,
    );
    assert!(ours.mempool["usage"].as_u64().unwrap() > 0);
    let theirs = node.rpc().call("getnetworkinfo", json!([])).await.unwrap();
    assert_part_of(
        &without(ours.network, &["networkactive", "networks", "warnings"]),
        &theirs,
    );
}

/// Everything that we answer, the node answers alike.
fn assert_part_of(ours: &Value, theirs: &Value) {
    for (field, value) in ours.as_object().unwrap() {
        // 1 and 1.0 are the same number.
        let same = value == &theirs[field] || value.is_number() && value.as_f64() == theirs[field].as_f64();
        // Bitcoin Core before 28 has no `target`.
        let newer = field == "target" && theirs.get(field).is_none();
        assert!(same || newer, "{field}: {value}, the node has {}", theirs[field]);
    }
}

fn without(mut reply: Value, fields: &[&str]) -> Value {
    for field in fields {
        assert!(reply.as_object_mut().unwrap().remove(*field).is_some());
    }
    reply
}

#[tokio::test]
async fn refuses_what_a_node_refuses_with_the_same_messages() {
    let dir = tempfile::tempdir().unwrap();
    let chain = DevChain::open(dir.path()).unwrap();
    let key = Key::new();
    let coin = |txid: Txid| OutPoint { txid, vout: 0 };
    let txids: Vec<_> = (0..4).map(|_| chain.pay(&key.address(), COIN).unwrap()).collect();
    chain.mine(1).unwrap();
    let node = Bitcoind::start(Options::default()).await;
    submit(&node, &chain, 0).await;

    let good = key.spend(&[coin(txids[0])], Amount::from_sat(10_000), |_| {});
    let other = coin(txids[1]);
    let cases: Vec<(&str, Transaction)> = vec![
        (
            "missing",
            key.spend(&[OutPoint::new(Txid::all_zeros(), 7)], COIN / 2, |_| {}),
        ),
        ("already confirmed", chain_tx(&chain, 120, 1).await),
        ("no outputs", key.spend(&[other], COIN / 2, |tx| tx.output.clear())),
        ("same input twice", key.spend(&[other, other], COIN / 2, |_| {})),
        (
            "creates money",
            key.spend(&[other], COIN / 2, |tx| tx.output[0].value = COIN * 2),
        ),
        (
            "too much money",
            key.spend(&[other], COIN / 2, |tx| {
                tx.output[0].value = Amount::from_sat(u64::MAX / 2);
            }),
        ),
        (
            "sum too large",
            key.spend(&[other], COIN / 2, |tx| {
                tx.output[0].value = Amount::MAX_MONEY;
                tx.output.push(tx.output[0].clone());
            }),
        ),
        (
            "dust",
            key.spend(&[other], COIN / 2, |tx| tx.output[0].value = Amount::from_sat(293)),
        ),
        (
            "version",
            key.spend(&[other], COIN / 2, |tx| tx.version = transaction::Version(4)),
        ),
        ("low fee", key.spend(&[other], Amount::from_sat(10), |_| {})),
        (
            "lock time",
            key.spend(&[other], COIN / 2, |tx| {
                tx.lock_time = LockTime::from_consensus(121);
            }),
        ),
        (
            "lock time in seconds",
            key.spend(&[other], COIN / 2, |tx| {
                tx.lock_time = LockTime::from_consensus(4_000_000_000);
            }),
        ),
        (
            "relative lock",
            key.spend(&[other], COIN / 2, |tx| {
                tx.input[0].sequence = Sequence::from_height(2);
            }),
        ),
        (
            "relative lock in seconds",
            key.spend(&[other], COIN / 2, |tx| {
                tx.input[0].sequence = Sequence::from_512_second_intervals(9);
            }),
        ),
        ("wrong signature", {
            let mut tx = key.spend(&[other], COIN / 2, |_| {});
            tx.output[0].value += Amount::from_sat(1);
            tx
        }),
        ("immature coinbase", {
            let coinbase = chain_tx(&chain, 100, 0).await.compute_txid();
            key.spend(&[coin(coinbase)], COIN / 2, |_| {})
        }),
    ];
    for (name, tx) in cases {
        let theirs = refusal(&node, &tx).await.expect_err(name);
        let ours = match chain.broadcast(&tx).await {
            Err(BroadcastError::Rejected(reason)) => reason,
            other => panic!("{name}: {other:?}, the node says {theirs}"),
        };
        // The reason why a script fails differs between them after the first word. Knots distinguishes kinds of dust,
        // and newer nodes call the script's flags otherwise.
        let first = |reason: &str| reason.split([',', '(']).map(str::trim_end).next().unwrap().to_owned();
        let theirs = first(&theirs)
            .replace("dust-nonanchor", "dust")
            .replace("mempool-script-verify", "mandatory-script-verify");
        assert_eq!(first(&ours), theirs, "{name}");
    }

    // What is acceptable on the edge, and what it may be replaced by.
    let locked = key.spend(&[other], COIN / 2, |tx| {
        tx.lock_time = LockTime::from_consensus(120);
        tx.input[0].sequence = Sequence::from_height(1);
    });
    for tx in [&good, &locked] {
        assert_eq!(node.accepts(tx).await, Ok(()));
        assert_eq!(chain.broadcast(tx).await.unwrap(), node.send_raw(tx).await);
        // A second time is no error.
        assert_eq!(chain.broadcast(tx).await.unwrap(), node.send_raw(tx).await);
    }
    for (fee, accepted) in [(10_000, false), (10_109, false), (10_110, true)] {
        // A P2WPKH input and output are 110 virtual bytes.
        let tx = key.spend(&[coin(txids[0])], Amount::from_sat(fee), |tx| {
            tx.version = transaction::Version::ONE;
        });
        let (theirs, ours) = (refusal(&node, &tx).await, chain.broadcast(&tx).await);
        assert_eq!(theirs.is_ok(), accepted, "{fee}: {theirs:?}");
        assert_eq!(ours.is_ok(), accepted, "{fee}: {ours:?}");
        if let (Err(theirs), Err(ours)) = (theirs, ours) {
            assert!(
                theirs.contains(&ours.to_string()),
                "{fee}: {ours}, the node says {theirs}"
            );
        }
    }
}

/// `sendrawtransaction`, at any fee.
async fn refusal(node: &Bitcoind, tx: &Transaction) -> Result<Value, String> {
    let sent = node.rpc().call("sendrawtransaction", json!([serialize_hex(tx), 0]));
    sent.await.map_err(|error| match error {
        RpcError::Node { message, .. } => message,
        error => panic!("{error}"),
    })
}

const COIN: Amount = Amount::from_sat(1_000_000);

async fn chain_tx(chain: &DevChain, height: u32, index: usize) -> Transaction {
    let hash: BlockHash = chain.hash_at(height).await.unwrap().unwrap();
    chain.block(hash).await.unwrap().block.txdata.swap_remove(index)
}

/// A P2WPKH key of the test's own.
struct Key(SecretKey);

impl Key {
    fn new() -> Self {
        Self(SecretKey::new(&mut rand::thread_rng()))
    }

    fn public(&self) -> CompressedPublicKey {
        CompressedPublicKey(self.0.public_key(&Secp256k1::new()))
    }

    fn address(&self) -> String {
        Address::p2wpkh(&self.public(), Network::Regtest).to_string()
    }

    /// Spends coins of [`COIN`] each to the key again, with `change` made before it is signed.
    fn spend(&self, coins: &[OutPoint], fee: Amount, change: impl FnOnce(&mut Transaction)) -> Transaction {
        let script = ScriptBuf::new_p2wpkh(&self.public().wpubkey_hash());
        let mut tx = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: coins
                .iter()
                .map(|coin| TxIn {
                    previous_output: *coin,
                    sequence: Sequence::ENABLE_LOCKTIME_NO_RBF,
                    ..TxIn::default()
                })
                .collect(),
            output: vec![TxOut {
                value: COIN * coins.len() as u64 - fee,
                script_pubkey: script.clone(),
            }],
        };
        change(&mut tx);
        let witnesses: Vec<_> = (0..coins.len())
            .map(|index| {
                let hash = SighashCache::new(&tx).p2wpkh_signature_hash(index, &script, COIN, EcdsaSighashType::All);
                let message = Message::from_digest(hash.unwrap().to_byte_array());
                let signature = ecdsa::Signature {
                    signature: Secp256k1::new().sign_ecdsa(&message, &self.0),
                    sighash_type: EcdsaSighashType::All,
                };
                Witness::p2wpkh(&signature, &self.public().0)
            })
            .collect();
        for (input, witness) in tx.input.iter_mut().zip(witnesses) {
            input.witness = witness;
        }
        tx
    }
}
