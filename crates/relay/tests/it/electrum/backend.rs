//! The Electrum server behind the relay: what it is asked, and what it is never asked.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::{InputKind, Options, Payee};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::electrum::wallet::{Wallet, script_hash, status};
use crate::stage::{Stage, silent, unowned_script};

/// A server that answers each request with its parameters, and keeps it; after a subscription it reports a change.
async fn server() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let requests = Arc::<Mutex<Vec<Value>>>::default();
    let kept = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let request: Value = serde_json::from_str(&line).unwrap();
                    let mut answer = json!({"id": request["id"], "result": request["params"]}).to_string();
                    if request["method"] == "blockchain.scripthash.subscribe" {
                        let params = [&request["params"][0], &json!("changed")];
                        let change = json!({"method": "blockchain.scripthash.subscribe", "params": params});
                        answer += &format!("\n{change}");
                    }
                    kept.lock().unwrap().push(request);
                    if writer.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (address, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_answers_for_other_scripts_and_never_sees_a_silent_payment() {
    let (address, requests) = server().await;
    let with_backend =
        |options: testkit::RelayOptions| options.electrum().set("ELECTRUM__BACKEND", format!("tcp://{address}"));
    let mut stage = Stage::with(Options::default(), with_backend).await;
    let payee = Payee::new(&[]);
    let mut wallet = Wallet::connect(stage.relay.electrum()).await;
    wallet.subscribe(&payee, json!(stage.node.height().await)).await;
    wallet.history().await;
    let tx = stage
        .payer
        .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    stage.node.send_raw(&tx).await;
    let txid = wallet.paid().await.txid;

    let (own, other) = (script_hash(&tx.output[0].script_pubkey), script_hash(&unowned_script()));
    let methods = [
        "subscribe",
        "get_history",
        "get_mempool",
        "get_balance",
        "listunspent",
        "unsubscribe",
    ];
    for method in methods {
        let method = format!("blockchain.scripthash.{method}");
        wallet.ask(&method, json!([own])).await;
        assert_eq!(wallet.ask(&method, json!([other])).await, json!([other]));
    }
    assert_eq!(
        wallet.ask("blockchain.scripthash.subscribe", json!([own])).await,
        status(&[(&txid, 0)])
    );
    wallet.ask("blockchain.scripthash.subscribe", json!([other])).await;
    wallet.status(&other, &json!("changed")).await;
    wallet.ask("blockchain.transaction.get", json!([txid])).await;
    let unknown = "01".repeat(32);
    let answer = wallet.ask("blockchain.transaction.get", json!([unknown])).await;
    assert_eq!(answer, json!([unknown, false]));

    let seen = requests.lock().unwrap().clone();
    let text = json!(seen).to_string();
    assert!(
        !text.contains(&own) && !text.contains(&txid) && !text.contains(&payee.scan_hex()),
        "{text}"
    );
    let mut asked: Vec<_> = seen.iter().map(|request| request["method"].as_str().unwrap()).collect();
    asked.sort_unstable();
    asked.dedup();
    let mut expected: Vec<_> = methods
        .iter()
        .map(|method| format!("blockchain.scripthash.{method}"))
        .collect();
    expected.extend(["blockchain.transaction.get".to_owned(), "server.version".to_owned()]);
    expected.sort_unstable();
    assert_eq!(asked, expected);
}
