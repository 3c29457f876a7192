//! Spends of payments, as an app receives them: of a watch and of the relay's own wallet, in the mempool and in blocks,
//! replaced, reorganised, in the history of a watch, and the depths of `confirm_at`.

use bitcoin::key::TweakedPublicKey;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Transaction, TxOut};
use sdk_relay_bip352::OutputTweak;
use sdk_relay_client::{Client, ClientEvent, Event, Events, PaymentSpent, Resume, Topic, Watch};
use testkit::{InputKind, Options, Payee, Recipient};
use tokio::time::timeout;

use crate::events::EventSource;
use crate::history::order::index_is_current;
use crate::stage::{MARKER, Stage, silent, unowned_script, watching};
use crate::support::DEADLINE;
use crate::support::recorder::{Recorder, watch_of};
use crate::support::step::{Step, steps};

const SATS: u64 = 100_000;
const LABEL: u32 = 5;

/// Of a payment, and of what spends it: their txids.
fn id(tx: &Transaction) -> String {
    tx.compute_txid().to_string()
}

fn output(tx: &Transaction) -> (String, u32) {
    (id(tx), 0)
}

/// What an app receives of a watch, and nothing else.
struct App {
    client: Client,
    events: Events,
}

impl App {
    async fn connect(stage: &Stage) -> App {
        let builder = Client::builder(&stage.relay.ws_url()).topics([Topic::Notifications]);
        let (client, events) = builder.reconnect(false).connect().await.unwrap();
        App { client, events }
    }

    async fn watch(&self, watch: Watch) -> String {
        self.client.watch(watch).await.unwrap().watch_id
    }

    /// The next event of a watch.
    async fn next(&mut self) -> Event {
        loop {
            let event = timeout(DEADLINE, self.events.recv()).await.expect("an event in time");
            match event {
                Some(ClientEvent::Notification(notification)) if notification.event_id.is_none() => {
                    return notification.event;
                }
                Some(ClientEvent::Notification(_) | ClientEvent::WatchProgress(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next events of a watch, as steps.
    async fn steps(&mut self, count: usize) -> Vec<Step> {
        let mut received = Vec::new();
        for _ in 0..count {
            received.push(sdk_relay_client::Notification {
                event: self.next().await,
                timestamp: 0,
                event_id: None,
                watch_seq: None,
            });
        }
        steps(&received)
    }
}

/// A taproot script.
fn taproot(payee: &Payee) -> ScriptBuf {
    let (key, _) = payee.spend_public_key().x_only_public_key();
    ScriptBuf::new_p2tr_tweaked(TweakedPublicKey::dangerous_assume_tweaked(key))
}

/// A payment to the payee, not broadcast; what it pays, to be spent.
fn pay(stage: &mut Stage, payee: &Payee) -> (Transaction, Vec<(OutPoint, TxOut, OutputTweak)>) {
    let tx = stage.payer.pay(&[InputKind::P2wpkh], &[silent(payee.address(), SATS)]);
    let received = payee.received(&tx, &stage.payer.prevouts(&tx));
    assert_eq!(received.len(), 1);
    (tx, received)
}

fn spend(payee: &Payee, received: &[(OutPoint, TxOut, OutputTweak)], fee: u64) -> Transaction {
    payee.spend_with_fee(received, unowned_script(), Amount::from_sat(fee))
}

fn paid(tx: &Transaction, block: Option<BlockHash>) -> Step {
    Step::Paid(output(tx), block.map(|b| b.to_string()))
}

fn reverted(tx: &Transaction, block: BlockHash) -> Step {
    Step::Reverted(output(tx), Some(block.to_string()), None)
}

fn spent(tx: &Transaction, by: &Transaction, block: Option<BlockHash>) -> Step {
    Step::Spent(output(tx), id(by), block.map(|b| b.to_string()))
}

fn unspent(tx: &Transaction, by: &Transaction, block: Option<BlockHash>, replaced_by: Option<&Transaction>) -> Step {
    Step::Unspent(output(tx), id(by), block.map(|b| b.to_string()), replaced_by.map(id))
}

#[tokio::test]
async fn spends_are_reported_to_a_watch_from_the_mempool_and_blocks_and_taken_back() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[LABEL]);
    let mut app = App::connect(&stage).await;
    let watch_id = app.watch(watch_of(&payee)).await;
    let to = [silent(payee.labelled_address(LABEL), SATS)];
    let tx = stage.payer.pay(&[InputKind::P2tr], &to);
    let received = payee.received(&tx, &stage.payer.prevouts(&tx));
    stage.node.send_raw(&tx).await;
    assert_eq!(app.steps(1).await, [paid(&tx, None)]);
    let first_block = stage.node.mine(1).await[0];
    assert_eq!(app.steps(1).await, [paid(&tx, Some(first_block))]);

    // In the mempool, with every field.
    let first = spend(&payee, &received, 1_000);
    stage.node.send_raw(&first).await;
    let Event::PaymentSpent(reported) = app.next().await else {
        panic!("a spend")
    };
    let expected = PaymentSpent {
        txid: id(&tx),
        vout: 0,
        amount: "0.001".to_owned(),
        amount_sats: SATS,
        address: payee.labelled_address(LABEL).to_string(),
        label: Some(LABEL),
        spent_by: Some(id(&first)),
        vin: Some(0),
        block_height: None,
        block_hash: None,
        confirmations: 0,
        timestamp: reported.timestamp,
        fee_sats: Some(1_000),
        watch_id: Some(watch_id.clone()),
        replaced_by: None,
    };
    assert_eq!(*reported, expected);
    assert!(reported.timestamp >= stage.began);

    // Replaced, and confirmed.
    let second = spend(&payee, &received, 5_000);
    stage.node.send_raw(&second).await;
    assert_eq!(
        app.steps(2).await,
        [unspent(&tx, &first, None, Some(&second)), spent(&tx, &second, None)]
    );
    let second_block = stage.node.mine(1).await[0];
    let Event::PaymentSpent(confirmed) = app.next().await else {
        panic!("a spend")
    };
    let height = stage.node.height().await;
    let header = stage.node.block(second_block).await.header;
    let expected = PaymentSpent {
        spent_by: Some(id(&second)),
        block_height: Some(height),
        block_hash: Some(second_block.to_string()),
        confirmations: 1,
        timestamp: u64::from(header.time),
        fee_sats: Some(5_000),
        ..expected
    };
    assert_eq!(*confirmed, expected);

    // A reorganisation of its block: it returns to the mempool.
    stage.node.invalidate(second_block).await;
    assert_eq!(
        app.steps(2).await,
        [
            unspent(&tx, &second, Some(second_block), None),
            spent(&tx, &second, None)
        ]
    );
    // Another transaction is mined instead.
    let third_block = stage.node.mine_with(std::slice::from_ref(&first)).await;
    assert_eq!(
        app.steps(2).await,
        [
            unspent(&tx, &second, None, Some(&first)),
            spent(&tx, &first, Some(third_block))
        ]
    );
    // A reorganisation of both blocks: the spend is reverted before the payment, and both return.
    stage.node.invalidate(first_block).await;
    let mut received = vec![unspent(&tx, &first, Some(third_block), None)];
    assert_eq!(app.steps(1).await, received);
    let again = [paid(&tx, None), spent(&tx, &first, None)];
    while !received.ends_with(&again) {
        received.extend(app.steps(1).await);
    }
    // The node may have reported the mempool between the two blocks.
    let between = [spent(&tx, &first, None), unspent(&tx, &first, None, None)];
    let between = if received.len() > 4 { &between[..] } else { &[] };
    let all = [&received[..1], between, &[reverted(&tx, first_block)], &again].concat();
    assert_eq!(received, all);
    // Both in one block.
    let block = stage.node.mine(1).await[0];
    let both = app.steps(2).await;
    assert_eq!(both, [paid(&tx, Some(block)), spent(&tx, &first, Some(block))]);

    // A payment and its spend that were never in the mempool; and the next message shows that there is no other.
    let (tx, received) = pay(&mut stage, &payee);
    let by = spend(&payee, &received, 1_000);
    let block = stage.node.mine_with(&[tx.clone(), by.clone()]).await;
    assert_eq!(
        app.steps(2).await,
        [paid(&tx, Some(block)), spent(&tx, &by, Some(block))]
    );
    let (tx, received) = pay(&mut stage, &payee);
    let by = spend(&payee, &received, 1_000);
    stage.node.send_raw(&tx).await;
    stage.node.send_raw(&by).await;
    assert_eq!(app.steps(2).await, [paid(&tx, None), spent(&tx, &by, None)]);
    // A new watch gets both from the mempool.
    let mut late = App::connect(&stage).await;
    late.watch(watch_of(&payee)).await;
    assert_eq!(late.steps(2).await, [paid(&tx, None), spent(&tx, &by, None)]);
}

#[tokio::test]
async fn spends_of_the_own_wallet_are_logged_for_clients_that_come_back() {
    let wallet = Payee::new(&[]);
    let mut stage = Stage::with(Options::default(), |relay| watching(relay, &wallet)).await;
    assert_eq!(stage.own.to_string(), wallet.address().to_string());
    let mut recorder = Recorder::open(&stage.relay, &["notifications"], None).await;
    let last = recorder.relay.last_event_id;
    let (tx, received) = pay(&mut stage, &wallet);
    stage.node.send_raw(&tx).await;
    recorder.until_paid(&id(&tx), 0, None).await;
    let block = stage.node.mine(1).await[0];
    recorder.until_paid(&id(&tx), 0, Some(&block.to_string())).await;
    drop(recorder);

    // While no client is connected, and then while the relay is killed.
    let first = spend(&wallet, &received, 1_000);
    stage.node.send_raw(&first).await;
    let mut witness = Recorder::open(&stage.relay, &["notifications"], Some(last)).await;
    witness
        .until("the spend", |event| matches!(event, Event::PaymentSpent(_)))
        .await;
    drop(witness);
    stage.relay.kill9();
    let second = spend(&wallet, &received, 5_000);
    stage.node.send_raw(&second).await;
    let spending = stage.node.mine(1).await[0];
    stage.relay.start_again().await;

    let builder = Client::builder(&stage.relay.ws_url()).topics([Topic::Notifications]);
    let (client, mut events) = builder
        .resume_from(Some(last))
        .reconnect(false)
        .connect()
        .await
        .unwrap();
    assert_eq!(client.relay().resume, Some(Resume::Complete));
    let mut received = Vec::new();
    while !matches!(received.last(), Some(Step::Spent(_, _, Some(_)))) {
        match timeout(DEADLINE, events.recv()).await.expect("an event in time") {
            Some(ClientEvent::Notification(notification)) => {
                assert!(notification.event_id.is_some());
                received.extend(steps(&[*notification]));
            }
            other => panic!("{other:?}"),
        }
    }
    received.retain(|step| !matches!(step, Step::Mined(_)));
    assert_eq!(
        received,
        [
            paid(&tx, None),
            paid(&tx, Some(block)),
            spent(&tx, &first, None),
            unspent(&tx, &first, None, Some(&second)),
            spent(&tx, &second, Some(spending)),
        ]
    );

    // The same over HTTP.
    let mut stream = EventSource::open(&stage.relay, Some(&last.to_string())).await;
    let mut names = Vec::new();
    while names.len() < 3 {
        let event = stream.next().await;
        let name = event.data["notification_type"].as_str().expect("a name");
        if name.starts_with("payment_spent") {
            names.push(name.to_owned());
        }
    }
    assert_eq!(names, ["payment_spent", "payment_spent_reverted", "payment_spent"]);
}

/// What spends a payment of the history: an eligible transaction, which the index names, and another, which the node
/// has.
#[tokio::test]
async fn the_history_of_a_watch_says_what_spends_its_payments() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[]);
    let from = stage.node.height().await + 1;
    let mut payments = Vec::new();
    for _ in 0..4 {
        let (tx, received) = pay(&mut stage, &payee);
        stage.node.send_raw(&tx).await;
        payments.push((tx, received));
    }
    stage.node.mine(1).await;
    let start = stage.node.height().await;
    // Taproot outputs make a transaction eligible.
    let eligible = payee.spend(&payments[0].1, taproot(&payee));
    stage.node.send_raw(&eligible).await;
    stage.node.mine(1).await;
    let other = spend(&payee, &payments[1].1, 1_000);
    stage.node.send_raw(&other).await;
    let last_block = stage.node.mine(1).await[0];
    // In the mempool.
    let waiting = spend(&payee, &payments[2].1, 1_000);
    stage.node.send_raw(&waiting).await;
    index_is_current(&stage.relay, start + 2).await;

    let mut app = App::connect(&stage).await;
    let watch = Watch {
        from_height: Some(from),
        ..watch_of(&payee)
    };
    app.watch(watch).await;
    let mut found = Vec::new();
    let mut also = Vec::new();
    while found.len() < 4 || also.is_empty() {
        match app.next().await {
            Event::PaymentDetected(p) => {
                assert!(p.historical);
                found.push((p.txid, p.spent_by, p.spent_height));
            }
            Event::PaymentSpent(s) => also.push((s.txid, s.spent_by, s.confirmations)),
            other => panic!("{other:?}"),
        }
    }
    let mut expected = vec![
        (id(&payments[0].0), Some(id(&eligible)), Some(start + 1)),
        (id(&payments[1].0), Some(id(&other)), Some(start + 2)),
        (id(&payments[2].0), None, None),
        (id(&payments[3].0), None, None),
    ];
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(also, [(id(&payments[2].0), Some(id(&waiting)), 0)]);

    // A reorganisation of the last spend takes it back; and what spends the last payment is reported live.
    stage.node.invalidate(last_block).await;
    let tx = &payments[1].0;
    assert_eq!(
        app.steps(2).await,
        [unspent(tx, &other, Some(last_block), None), spent(tx, &other, None)]
    );
    let late = spend(&payee, &payments[3].1, 1_000);
    stage.node.send_raw(&late).await;
    assert_eq!(app.steps(1).await, [spent(&payments[3].0, &late, None)]);
}

#[tokio::test]
async fn payments_are_confirmed_at_the_depths_that_a_watch_and_the_configuration_name() {
    let wallet = Payee::new(&[]);
    let mut stage = Stage::with(Options::default(), |relay| {
        watching(relay, &wallet).set("WALLET__CONFIRM_AT", "3")
    })
    .await;
    let payee = Payee::new(&[]);
    let mut app = App::connect(&stage).await;
    let watch = Watch {
        confirm_at: Some(vec![1, 2, 4]),
        ..watch_of(&payee)
    };
    app.watch(watch).await;
    let mut recorder = Recorder::open(&stage.relay, &["notifications"], None).await;
    let to: [Recipient; 2] = [silent(payee.address(), SATS), silent(wallet.address(), MARKER)];
    let tx = stage.payer.pay(&[InputKind::P2tr], &to);
    let of_watch = |depth| Step::Confirmed((id(&tx), 0), depth);
    let block = stage.node.mine_with(std::slice::from_ref(&tx)).await;
    assert_eq!(app.steps(2).await, [paid(&tx, Some(block)), of_watch(1)]);
    let above = stage.node.mine(2).await;
    assert_eq!(app.steps(1).await, [of_watch(2)]);
    let is_confirmed = |event: &Event| matches!(event, Event::PaymentConfirmed(_));
    let own = recorder.until("the depth of the wallet", is_confirmed).await;
    let own = steps(&own);
    assert_eq!(own.last(), Some(&Step::Confirmed((id(&tx), 1), 3)));
    // A reorganisation above the payment repeats nothing.
    stage.node.invalidate(above[0]).await;
    stage.node.mine(3).await;
    assert_eq!(app.steps(1).await, [of_watch(4)]);
    // One of its block begins anew.
    stage.node.invalidate(block).await;
    assert_eq!(app.steps(2).await, [reverted(&tx, block), paid(&tx, None)]);
    let block = stage.node.mine(3).await[0];
    assert_eq!(app.steps(3).await, [paid(&tx, Some(block)), of_watch(1), of_watch(2)]);
    let own = steps(&recorder.until("the depth of the wallet again", is_confirmed).await);
    let confirmed = own.iter().filter(|step| matches!(step, Step::Confirmed(..)));
    assert_eq!(confirmed.collect::<Vec<_>>(), [&Step::Confirmed((id(&tx), 1), 3)]);
}
