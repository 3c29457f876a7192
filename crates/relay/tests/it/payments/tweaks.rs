//! The topic `tweaks`, for apps that scan for themselves; and again for clients that connect later.

use bitcoin::hex::{DisplayHex, FromHex};
use bitcoin::{Block, Transaction};
use sdk_relay_bip352::{EligibleTx, Match, TaprootOutput, scan};
use sdk_relay_client::protocol::TweakTx;
use sdk_relay_client::{Event, Resume};
use testkit::InputKind::{P2pkh, P2shP2wpkh, P2tr, P2wpkh};
use testkit::{InputKind, Payee, Recipient};

use crate::stage::{MARKER, Stage, silent, unowned_script};
use crate::support::recorder::{Recorder, detected};

const INPUTS: [&[InputKind]; 5] = [&[P2wpkh], &[P2pkh], &[P2shP2wpkh], &[P2tr], &[P2tr, P2pkh, P2wpkh]];

#[tokio::test]
async fn every_block_event_has_the_tweaks_of_its_payments() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[2]);
    let mut owner = Recorder::open(&stage.relay, &[], None).await;
    owner.watch(&payee).await;
    let mut scanner = Recorder::open(&stage.relay, &["tweaks"], None).await;

    let mut txs: Vec<_> = INPUTS.iter().map(|kinds| pay(&mut stage, &payee, kinds)).collect();
    // Not eligible: without a taproot output.
    let amount = bitcoin::Amount::from_sat(10_000);
    txs.push(
        stage
            .payer
            .pay(&[P2wpkh], &[Recipient::Script(unowned_script(), amount)]),
    );
    // Eligible, without a payment: a taproot output that is not a silent payment.
    let key = Payee::new(&[]).spend_public_key().x_only_public_key().0;
    let taproot = bitcoin::ScriptBuf::new_p2tr(&bitcoin::secp256k1::Secp256k1::new(), key, None);
    txs.push(stage.payer.pay(&[P2tr], &[Recipient::Script(taproot, amount)]));
    let full = stage.node.mine_with(&txs).await;
    let empty = stage.node.mine_with(&[]).await;

    for hash in [full, empty] {
        let Event::Tweaks(received) = scanner.next().await.event else {
            panic!("tweaks of {hash}");
        };
        let block = stage.node.block(hash).await;
        assert_eq!(
            (received.block_hash.clone(), received.block_height),
            (hash.to_string(), height(&block))
        );
        let outputs: Vec<_> = received
            .transactions
            .iter()
            .map(|tx| (tx.txid.clone(), outputs(tx)))
            .collect();
        assert_eq!(outputs, eligible(&block));
        let found: Vec<_> = received.transactions.iter().flat_map(|tx| found(&payee, tx)).collect();
        if hash == empty {
            assert_eq!(received.transactions, []);
            continue;
        }
        // The sender derived the outputs from its private keys; the tweak finds them, so it is correct. The relay finds
        // the same for a watch.
        assert_eq!(found.len(), INPUTS.len() * 3);
        let last = txs[INPUTS.len() - 1].compute_txid().to_string();
        owner.until_paid(&last, 2, Some(&hash.to_string())).await;
        let watched: Vec<_> = detected(&owner.notifications)
            .into_iter()
            .map(|p| {
                (
                    p.txid,
                    p.vout,
                    p.label,
                    p.amount_sats,
                    p.tweak.unwrap().expose().to_owned(),
                )
            })
            .collect();
        assert_eq!(found, watched);
    }
    assert!(scanner.notifications.iter().all(|n| n.event_id.is_some()));
}

#[tokio::test]
async fn a_resumed_client_receives_the_same_bytes() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[2]);
    let topics = ["notifications", "tweaks"];
    let mut live = Recorder::open(&stage.relay, &topics, None).await;
    live.watch(&payee).await;
    let began = live.relay.last_event_id;
    // All kinds of events of the log: unconfirmed, replaced, confirmed, disconnected, confirmed in another block.
    let tx = pay(&mut stage, &payee, &[P2tr]);
    stage.node.send_raw(&tx).await;
    let replaced = stage.pay_relay(MARKER).await;
    live.until_paid(&replaced.compute_txid().to_string(), 0, None).await;
    let by = stage
        .payer
        .replace(&replaced, &[silent(stage.own, MARKER), silent(payee.address(), 10_000)]);
    stage.node.send_raw(&by).await;
    live.until_paid(&by.compute_txid().to_string(), 0, None).await;
    let block = stage.node.mine(2).await[0];
    live.until_tweaks(&stage.node.tip().await.to_string()).await;
    stage.node.invalidate(block).await;
    live.until_disconnected(&block.to_string()).await;
    let end = stage.node.mine(3).await[2].to_string();
    live.until_tweaks(&end).await;

    // Events of a watch are not logged: only the connected client receives them.
    let pairs = live.notifications.iter().zip(&live.texts);
    let story: Vec<_> = pairs
        .filter_map(|(n, text)| Some((n.event_id?, text.clone())))
        .collect();
    assert!(story.len() > 15 && live.notifications.len() > story.len());
    for from in [0, began, story[0].0, story[7].0, story[story.len() - 2].0] {
        let mut late = Recorder::open(&stage.relay, &topics, Some(from)).await;
        assert_eq!(late.relay.resume, Some(Resume::Complete));
        late.until_tweaks(&end).await;
        let expected: Vec<_> = story
            .iter()
            .filter(|(id, _)| *id > from)
            .map(|(_, text)| text.clone())
            .collect();
        assert_eq!(late.texts, expected, "after {from}");
    }
    let mut some = Recorder::open(&stage.relay, &["tweaks"], Some(0)).await;
    some.until_tweaks(&end).await;
    let tweaks = story
        .iter()
        .filter(|(_, text)| text.contains(r#""notification_type":"tweaks""#));
    assert_eq!(some.texts, tweaks.map(|(_, text)| text.clone()).collect::<Vec<_>>());
}

fn pay(stage: &mut Stage, payee: &Payee, kinds: &[InputKind]) -> Transaction {
    let to = [
        silent(payee.address(), 20_000),
        silent(payee.labelled_address(2), 30_000),
        silent(payee.address(), 40_000),
    ];
    stage.payer.pay(kinds, &to)
}

/// Payments that an app finds with only the message and its own keys.
pub(crate) fn found(payee: &Payee, received: &TweakTx) -> Vec<(String, u32, Option<u32>, u64, String)> {
    let output = |o: &sdk_relay_client::protocol::TweakOutput| TaprootOutput {
        vout: o.vout,
        key: <[u8; 32]>::from_hex(&o.public_key).expect("32 bytes in hex"),
        amount: bitcoin::Amount::from_sat(o.amount_sats),
    };
    let eligible = EligibleTx {
        txid: received.txid.parse().unwrap(),
        tweak: received.tweak.parse().unwrap(),
        outputs: received.outputs.iter().map(output).collect(),
    };
    let matches = scan(&payee.receiver(), &eligible);
    let one = |m: Match| {
        (
            received.txid.clone(),
            m.vout,
            m.label,
            m.amount.to_sat(),
            m.tweak.to_hex(),
        )
    };
    matches.into_iter().map(one).collect()
}

/// Index, x-only key and satoshis of each taproot output.
type Outputs = Vec<(u32, String, u64)>;

fn outputs(received: &TweakTx) -> Outputs {
    let outputs = received.outputs.iter();
    outputs.map(|o| (o.vout, o.public_key.clone(), o.amount_sats)).collect()
}

/// Every eligible transaction of the block, in order: here all inputs are eligible, so that the outputs decide.
fn eligible(block: &Block) -> Vec<(String, Outputs)> {
    let txs = block.txdata[1..].iter().map(|tx| {
        let taproot = (0..).zip(&tx.output).filter(|(_, o)| o.script_pubkey.is_p2tr());
        let outputs = taproot.map(|(vout, o)| {
            (
                vout,
                o.script_pubkey.as_bytes()[2..].to_lower_hex_string(),
                o.value.to_sat(),
            )
        });
        (tx.compute_txid().to_string(), outputs.collect::<Vec<_>>())
    });
    txs.filter(|(_, outputs)| !outputs.is_empty()).collect()
}

fn height(block: &Block) -> u32 {
    u32::try_from(block.bip34_block_height().unwrap()).unwrap()
}
