//! Clients that ask and never read.

use serde_json::json;
use testkit::{RelayProcess, eventually, http_get};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::electrum::wallet::Wallet;
use crate::impatient;
use crate::support::DEADLINE;
use crate::wire::mine_history;

/// Their answers, 13 MB, fit into the memory for the unread answers of one address.
const CLIENTS: usize = 10;
/// Receive buffer of a client; by default it would grow to megabytes.
const RECEIVED: u32 = 16 << 10;

/// Asks for more than the buffers of both ends hold.
async fn unread(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVED).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let mut requests = String::new();
    for id in 0..4 {
        let request = json!({"id": id, "method": "blockchain.block.headers", "params": [0, 2016]});
        requests += &format!("{request}\n");
        requests += &format!(
            "{}\n",
            json!({"id": id, "method": "blockchain.estimatefee", "params": [2]})
        );
    }
    stream.write_all(requests.as_bytes()).await.unwrap();
    stream
}

/// Their requests have permits of the node, and locks of what is asked once for all: none is kept while they wait.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_delay_no_others_and_are_disconnected() {
    let relay = RelayProcess::start(impatient::with_electrum()).await;
    mine_history(&relay, 2).await;
    let mut honest = Wallet::connect(relay.electrum()).await;
    let mut clients = Vec::new();
    let cut = async || {
        let metrics = http_get(&format!("{}/metrics", relay.http_url())).await.json();
        usize::try_from(metrics["relay_metrics"]["slow_clients_cut"].as_u64().unwrap()).unwrap()
    };
    for n in 0..CLIENTS {
        clients.push(unread(relay.electrum()).await);
        honest.ask("server.features", json!([])).await;
        honest.ask("blockchain.estimatefee", json!([n % 50 + 1])).await;
        honest.ask("blockchain.block.header", json!([n])).await;
    }
    eventually(DEADLINE, "the clients that do not read are disconnected", async || {
        honest.ask("blockchain.block.header", json!([1])).await;
        (cut().await >= CLIENTS).then_some(())
    })
    .await;
    drop(clients);
}
