//! The node starts, mines, invalidates blocks, and restarts with its data.

use testkit::{Bitcoind, Options, RpcError, http_get};

#[tokio::test]
async fn mines_and_restarts_with_its_data() {
    let mut node = Bitcoind::start(Options::default()).await;
    let blocks = node.mine(3).await;
    assert_eq!(blocks.len(), 3);
    let (url, zmq) = (node.rpc_url(), node.zmq_url());

    node.stop().await;
    assert_eq!(node.pid(), None);
    node.start_again().await;
    assert_eq!((node.height().await, node.tip().await), (3, blocks[2]));

    node.kill();
    node.start_again().await;
    assert_eq!((node.rpc_url(), node.zmq_url()), (url, zmq));
    node.mine(1).await;
    assert_eq!(
        node.hash_at(0).await,
        bitcoin::constants::genesis_block(bitcoin::Network::Regtest).block_hash()
    );
}

#[tokio::test]
async fn invalidates_blocks_and_mines_replacements() {
    let node = Bitcoind::start(Options::default()).await;
    let old = node.mine(2).await;
    node.invalidate(old[0]).await;
    assert_eq!(node.height().await, 0);
    let new = [node.mine_with(&[]).await];
    assert_ne!(new[0], old[0]);
    node.reconsider(old[0]).await;
    assert_eq!(node.tip().await, old[1], "the longer branch wins again");
}

#[tokio::test]
async fn starts_with_its_options() {
    let user = Some(("alice".to_owned(), "secret".to_owned()));
    let options = Options {
        zmq: false,
        rest: false,
        wallet: true,
        prune: Some(1),
        user,
        args: vec![],
    };
    let mut node = Bitcoind::start(options).await;
    assert!(!node.cookie_file().exists());
    let call = async |node: &Bitcoind, method| node.rpc().call(method, serde_json::json!([])).await;
    assert_eq!(call(&node, "getzmqnotifications").await, Ok(serde_json::json!([])));
    assert_eq!(call(&node, "listwallets").await, Ok(serde_json::json!([])));
    assert_eq!(call(&node, "getblockchaininfo").await.unwrap()["pruned"], true);
    let rest = format!("{}/rest/chaininfo.json", node.rpc_url());
    assert_eq!(http_get(&rest).await.status, 404);

    node.stop().await;
    node.start_again_with(Options {
        prune: Some(1),
        ..Options::default()
    })
    .await;
    assert!(node.cookie_file().exists());
    assert!(matches!(
        call(&node, "listwallets").await,
        Err(RpcError::Node { code: -32601, .. })
    ));
    let reply = http_get(&rest).await;
    assert_eq!(
        (reply.status.as_u16(), reply.json()["chain"].as_str()),
        (200, Some("regtest"))
    );
    assert_eq!(
        call(&node, "getzmqnotifications")
            .await
            .unwrap()
            .as_array()
            .map(Vec::len),
        Some(3)
    );
}

#[tokio::test]
#[should_panic(expected = "nonsense")]
async fn reports_why_it_does_not_start() {
    Bitcoind::start(Options {
        args: vec!["-nonsense".to_owned()],
        ..Options::default()
    })
    .await;
}
