//! A node that refuses the relay, is unreachable, or is replaced by another.

use crate::node::{DEADLINE, source, source_with};
use bitcoin::hashes::Hash as _;
use sdk_relay_chain::{
    ChainSource as _, SourceError,
    node::ZmqAddress,
    node::{NodeConfig, NodeSource},
    rpc::{Auth, MAX_IN_FLIGHT, RpcClient, RpcError, code},
};
use serde_json::{Value, json};
use testkit::{Bitcoind, Options, PooledNode, eventually};

#[tokio::test]
async fn a_wrong_password_is_unauthorized_and_never_shown() {
    let user = Some(("relay".to_owned(), "right-password".to_owned()));
    // Of its own: no other test has this password.
    let node = Bitcoind::start(Options {
        user,
        ..Options::default()
    })
    .await;
    let with = |password: &str| Auth::UserPassword {
        user: "relay".to_owned(),
        password: password.to_owned().into(),
    };
    let error = source_with(&node, with("wrong-password")).tip().await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(matches!(error, SourceError::Unauthorized { .. }), "{shown}");
    assert!(shown.contains("relay") && !shown.contains("wrong-password"), "{shown}");
    assert!(source_with(&node, with("right-password")).tip().await.is_ok());
    let error = source_with(&node, Auth::None).tip().await.unwrap_err();
    assert!(matches!(error, SourceError::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn a_cookie_that_changes_is_read_again() {
    let node = PooledNode::take(Options::default()).await;
    let right = std::fs::read_to_string(node.cookie_file()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cookie");
    let source = source_with(&node, Auth::CookieFile(path.clone()));

    let absent = source.tip().await.unwrap_err();
    assert!(
        matches!(&absent, SourceError::NoCookie { reason, .. } if reason.contains("cannot read the cookie file")),
        "{absent}"
    );
    std::fs::write(&path, "__cookie__:0000").unwrap();
    let wrong = source.tip().await.unwrap_err();
    assert!(matches!(wrong, SourceError::Unauthorized { .. }), "{wrong}");
    assert!(!wrong.to_string().contains("0000"), "{wrong}");
    std::fs::write(&path, &right).unwrap();
    assert_eq!(source.tip().await.unwrap().hash, node.tip().await);
}

#[tokio::test]
async fn a_node_that_stops_and_starts_again() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(Options::default()).await;
    let source = source(&node);
    let tip = source.tip().await.unwrap();
    let cookie = std::fs::read_to_string(node.cookie_file()).unwrap();
    node.stop().await;
    // The cookie is deleted as well by now; "the node is down" is the better error.
    for _ in 0..2 {
        let error = source.tip().await.unwrap_err();
        assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
        assert!(matches!(
            source.block(tip.hash).await,
            Err(SourceError::Unreachable { .. })
        ));
    }
    node.start_again().await;
    assert_ne!(std::fs::read_to_string(node.cookie_file()).unwrap(), cookie);
    assert_eq!(source.tip().await.unwrap(), tip);
    assert!(source.block(tip.hash).await.is_ok());
}

#[tokio::test]
async fn an_unnoticed_restart_of_the_node() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(Options::default()).await;
    let source = source(&node);
    let tip = source.tip().await.unwrap();
    node.kill();
    node.start_again().await;
    // The pooled connection is closed and the cookie is old: at most one failure, which is temporary.
    let second = eventually(DEADLINE, "an answer", async || match source.tip().await {
        Ok(tip) => Some(tip),
        Err(error) => {
            assert!(
                matches!(error, SourceError::Unreachable { .. } | SourceError::Warming { .. }),
                "{error}"
            );
            None
        }
    });
    assert_eq!(second.await, tip);
}

#[tokio::test]
async fn calls_batches_and_rest_of_the_client() {
    // Of its own: the results depend on its height.
    let node = Bitcoind::start(Options::default()).await;
    node.mine(450).await;
    let rpc = RpcClient::new(&node.rpc_url(), Auth::CookieFile(node.cookie_file())).unwrap();
    assert_eq!(rpc.call::<u32>("getblockcount", json!([])).await.unwrap(), 450);
    let error = rpc.call::<Value>("nosuchmethod", json!([])).await.unwrap_err();
    assert_eq!(error.server().unwrap().code, code::METHOD_NOT_FOUND);
    assert!(matches!(
        rpc.call::<u32>("getbestblockhash", json!([])).await,
        Err(RpcError::Malformed { .. })
    ));

    // Three requests' worth, with failures in between; the order holds.
    let calls: Vec<_> = (0..500).map(|height| ("getblockhash", json!([height]))).collect();
    let outcomes = rpc.batch(calls).await.unwrap();
    assert_eq!(outcomes.len(), 500);
    assert_eq!(outcomes[450].as_ref().unwrap(), &json!(node.tip().await));
    assert_eq!(outcomes[333].as_ref().unwrap(), &json!(node.hash_at(333).await));
    assert!(
        outcomes[451..]
            .iter()
            .all(|o| o.as_ref().unwrap_err().code == code::INVALID_PARAMETER)
    );
    assert!(rpc.batch(vec![]).await.unwrap().is_empty());

    let hash = node.tip().await;
    let raw = rpc.rest_get(&format!("/rest/block/{hash}.bin")).await.unwrap().unwrap();
    assert_eq!(
        bitcoin::consensus::deserialize::<bitcoin::Block>(&raw)
            .unwrap()
            .block_hash(),
        hash
    );
    let unknown = bitcoin::BlockHash::from_byte_array([1; 32]);
    assert_eq!(rpc.rest_get(&format!("/rest/block/{unknown}.bin")).await.unwrap(), None);
    assert!(matches!(
        rpc.rest_get("/rest/block/x.bin").await,
        Err(RpcError::Rest { status: 400, .. })
    ));

    // More callers than permits: all are served.
    let callers: Vec<_> = (0..MAX_IN_FLIGHT * 8)
        .map(|_| {
            let rpc = rpc.clone();
            tokio::spawn(async move { rpc.call::<u32>("getblockcount", json!([])).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), 450);
    }
}

#[tokio::test]
async fn a_full_work_queue_is_distinguished_from_a_node_that_is_down() {
    let args = ["-rpcthreads=1", "-rpcworkqueue=1"].map(str::to_owned).to_vec();
    // Of its own: no other test has these options.
    let node = Bitcoind::start(Options {
        args,
        ..Options::default()
    })
    .await;
    let rpc = RpcClient::new(&node.rpc_url(), Auth::CookieFile(node.cookie_file())).unwrap();
    let waits: Vec<_> = (0..4)
        .map(|_| {
            let rpc = rpc.clone();
            tokio::spawn(async move { rpc.call::<Value>("waitfornewblock", json!([500])).await })
        })
        .collect();
    let mut busy = 0;
    for wait in waits {
        match wait.await.unwrap() {
            Ok(_) => {}
            Err(RpcError::Busy { reason, .. }) => {
                assert!(reason.contains("queue"), "{reason}");
                busy += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(busy > 0, "the node took all of it");
    assert!(rpc.call::<u32>("getblockcount", json!([])).await.is_ok());
}

#[test]
fn a_source_is_created_without_a_node_or_a_runtime() {
    let config = |rpc_url: &str| NodeConfig {
        rpc_url: rpc_url.to_owned(),
        auth: Auth::None,
        zmq: ZmqAddress::Off,
        proxy: None,
    };
    let source = NodeSource::new(config("http://127.0.0.1:1")).unwrap();
    assert!(source.signals().is_none(), "a source without ZMQ is polled");
    assert!(matches!(
        NodeSource::new(config("tcp://127.0.0.1:1")),
        Err(RpcError::Address { .. })
    ));
}
