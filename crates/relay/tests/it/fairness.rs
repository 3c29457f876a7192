//! One client's work never delays another's: many labels, short-lived watches, commands while the node is unavailable.

use std::time::{Duration, Instant};

use sdk_relay_client::Client;
use testkit::{Bitcoind, InputKind, Options, Payee, RelayOptions, RelayProcess, eventually, http_get};
use tokio::time::timeout;

use crate::stage::{Stage, silent};
use crate::support::DEADLINE;
use crate::support::recorder::{Recorder, watch_of};

/// Outputs of the largest standard transaction: 99 kvB.
const OUTPUTS: usize = 2_290;
/// Dust limit of a P2TR output.
const DUST: u64 = 330;
/// Longer than a payment takes on a busy machine, and much shorter than a scan of that transaction for twenty watches
/// of a hundred labels.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_labels_of_one_client_delay_no_payment_of_another() {
    let mut stage = Stage::new().await;
    let labels: Vec<u32> = (1..=100).collect();
    let (greedy, honest) = (Payee::new(&labels), Payee::new(&[]));
    let (attacker, mut received) = Client::builder(&stage.relay.ws_url())
        .reconnect(false)
        .connect()
        .await
        .unwrap();
    for _ in 0..20 {
        attacker.watch(watch_of(&greedy)).await.unwrap();
    }
    // Drain the events, so that the relay does not close the connection.
    let reading = tokio::spawn(async move { while received.recv().await.is_some() {} });
    let mut recorder = Recorder::open(&stage.relay, &["notifications"], None).await;
    recorder.watch(&honest).await;

    let last = greedy.labelled_address(100);
    let large = stage
        .payer
        .pay(&[InputKind::P2wpkh], &vec![silent(last, DUST); OUTPUTS]);
    let small = stage
        .payer
        .pay(&[InputKind::P2wpkh], &[silent(honest.address(), 10_000)]);
    stage.node.send_raw(&large).await;
    stage.node.send_raw(&small).await;
    let sent = Instant::now();
    recorder.until_paid(&small.compute_txid().to_string(), 0, None).await;
    assert!(sent.elapsed() < SOON, "received after {:?}", sent.elapsed());

    // The same in a block: clients without a payment in it receive it immediately.
    let block = stage.node.mine(1).await[0].to_string();
    let mined = Instant::now();
    recorder
        .until_paid(&small.compute_txid().to_string(), 0, Some(&block))
        .await;
    assert!(mined.elapsed() < SOON, "received after {:?}", mined.elapsed());
    drop(attacker);
    timeout(DEADLINE, reading)
        .await
        .expect("the end of the connection")
        .unwrap();
}

#[tokio::test]
async fn ended_watches_leave_no_work_behind() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[]);
    for _ in 0..15 {
        let tx = stage
            .payer
            .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 10_000)]);
        stage.node.send_raw(&tx).await;
    }
    let last = stage
        .payer
        .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 10_000)]);
    stage.node.send_raw(&last).await;
    for _ in 0..5 {
        let (client, events) = Client::builder(&stage.relay.ws_url())
            .reconnect(false)
            .connect()
            .await
            .unwrap();
        for _ in 0..40 {
            client.watch(watch_of(&Payee::new(&[1, 2, 3]))).await.unwrap();
        }
        drop((client, events));
    }
    let mut recorder = Recorder::open(&stage.relay, &[], None).await;
    recorder.watch(&payee).await;
    recorder.until_paid(&last.compute_txid().to_string(), 0, None).await;
    eventually(DEADLINE, "one watch that is left", async || {
        let metrics = http_get(&format!("{}/metrics", stage.relay.http_url())).await.json();
        (metrics["relay_metrics"]["watches"] == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_command_delays_nothing_while_the_node_is_unreachable() {
    // Of its own: it is killed.
    let mut node = Bitcoind::start(Options {
        wallet: true,
        ..Options::default()
    })
    .await;
    node.mine(1).await;
    let dir = tempfile::tempdir().unwrap();
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .node(&node)
        .data_dir(dir.path())
        .set("BITCOIN_CORE__WALLET", "takings");
    RelayProcess::start(options.clone()).await.terminate().await;
    node.kill();
    // Detection waits for the scripts of the wallet before it processes the chain.
    let relay = RelayProcess::start_listening(options).await;

    let (client, _events) = Client::builder(&relay.ws_url())
        .reconnect(false)
        .connect()
        .await
        .unwrap();
    let watching = timeout(DEADLINE, client.watch(watch_of(&Payee::new(&[])))).await;
    watching.expect("an answer").expect("a watch");
    timeout(DEADLINE, client.ping()).await.expect("a pong").unwrap();
    for _ in 0..20 {
        let (client, _events) = Client::builder(&relay.ws_url())
            .reconnect(false)
            .connect()
            .await
            .unwrap();
        timeout(DEADLINE, client.watch(watch_of(&Payee::new(&[]))))
            .await
            .expect("an answer")
            .unwrap();
    }
    eventually(DEADLINE, "one connection that is left", async || {
        let metrics = http_get(&format!("{}/metrics", relay.http_url())).await.json();
        (metrics["system_metrics"]["active_connections"] == 1).then_some(())
    })
    .await;
}
