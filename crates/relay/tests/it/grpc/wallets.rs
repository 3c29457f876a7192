//! A wallet finds exactly its own payments over gRPC, and sees them spent.

use std::collections::BTreeMap;

use testkit::Payee;

use crate::blindbit::scene::Scene;
use crate::blindbit::wallet::Wallet;
use crate::blindbit::wallets::{Paid, pay, spend};
use crate::grpc::client::client;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_finds_every_payment_of_a_chain_and_sees_them_spent() {
    let mut scene = Scene::with_grpc().await;
    let payee = Payee::new(&[1, 7]);
    let Paid {
        txs,
        outputs,
        expected,
        height: paid_in,
    } = pay(&mut scene, &payee).await;
    let mut client = client(&scene.relay);
    let mut wallet = Wallet::new(&payee);
    wallet.read_grpc(&mut client, 0, paid_in).await;
    assert_eq!(wallet.coins, expected);
    assert!(wallet.looked_into.iter().all(|height| *height == paid_in));

    let spent: Vec<_> = expected.keys().copied().take(3).collect();
    spend(&scene, &payee, &txs, &outputs, &spent).await;
    let spent_in = scene.mine().await;
    let left: BTreeMap<_, _> = expected.into_iter().filter(|(o, _)| !spent.contains(o)).collect();
    wallet.read_grpc(&mut client, paid_in + 1, spent_in).await;
    assert_eq!(wallet.coins, left, "a wallet that goes on");
    let mut late = Wallet::new(&payee);
    late.read_grpc(&mut client, 0, spent_in).await;
    assert_eq!(late.coins, left, "a wallet that starts later");
}
