//! The node's own wallet.

use crate::node::source;
use bitcoin::Amount;
use sdk_relay_chain::node::{NodeWallet, WalletError};
use serde_json::json;
use testkit::{Bitcoind, Options, PooledNode};

fn with_wallet() -> Options {
    Options {
        wallet: true,
        ..Options::default()
    }
}

#[tokio::test]
async fn a_wallet_is_created_found_loaded_and_pays() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(with_wallet()).await;
    let source = source(&node);
    let name = "relay's wallet/1";
    let wallet = NodeWallet::open(source.rpc(), name).await.unwrap();
    let address = wallet.new_address().await.unwrap();

    // Its receive scripts are known in advance; change scripts are not among them.
    let scripts = wallet.scripts().await.unwrap();
    assert!(scripts.contains(&address.script_pubkey()));
    for kind in ["legacy", "p2sh-segwit", "bech32", "bech32m"] {
        let rpc = source.rpc().wallet(name);
        let address: String = rpc.call("getnewaddress", json!(["", kind])).await.unwrap();
        assert!(scripts.contains(&script(&address)), "{kind}");
        let change: String = rpc.call("getrawchangeaddress", json!([kind])).await.unwrap();
        assert!(!scripts.contains(&script(&change)), "{kind}");
    }

    let refused = wallet
        .send(&address.to_string(), Amount::from_sat(10_000))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, WalletError::Refused(error) if error.message.contains("nsufficient")),
        "{refused}"
    );
    node.mine_to(1, &format!("addr({address})")).await;
    node.mine(100).await;
    let txid = wallet
        .send(&address.to_string(), Amount::from_sat(12_345))
        .await
        .unwrap();
    assert_eq!(node.mempool().await, [txid]);
    let refused = wallet
        .send("not an address", Amount::from_sat(10_000))
        .await
        .unwrap_err();
    assert!(matches!(refused, WalletError::Refused(_)), "{refused}");

    // Opened twice, and after the node's restart: the same wallet.
    NodeWallet::open(source.rpc(), name).await.unwrap();
    node.stop().await;
    node.start_again().await;
    // The earlier handle loads it by itself.
    assert!(wallet.scripts().await.unwrap().is_superset(&scripts));
    let wallet = NodeWallet::open(source.rpc(), name).await.unwrap();
    assert!(wallet.scripts().await.unwrap().is_superset(&scripts));
}

#[tokio::test]
async fn a_node_without_wallets_is_reported() {
    let node = PooledNode::take(Options::default()).await;
    let error = NodeWallet::open(source(&node).rpc(), "relay").await.unwrap_err();
    assert!(
        matches!(&error, WalletError::Unavailable { at } if node.rpc_url().ends_with(at)),
        "{error:?}"
    );
}

fn script(address: &str) -> bitcoin::ScriptBuf {
    let address: bitcoin::Address<bitcoin::address::NetworkUnchecked> = address.parse().unwrap();
    address.assume_checked().script_pubkey()
}
