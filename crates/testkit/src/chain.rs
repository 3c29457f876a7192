//! Operations on the chain and the mempool of the node. Each function panics if the node refuses.

use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::rand;
use bitcoin::{Amount, Block, BlockHash, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use serde_json::{Value, json};

use crate::node::Bitcoind;

impl Bitcoind {
    /// Mines `n` blocks with the mempool (`generatetodescriptor`). Their coinbases are unspendable.
    pub async fn mine(&self, n: u32) -> Vec<BlockHash> {
        self.mine_to(n, &unspendable_descriptor()).await
    }

    /// Mines `n` blocks whose coinbases pay to `descriptor`.
    pub async fn mine_to(&self, n: u32, descriptor: &str) -> Vec<BlockHash> {
        let hashes = self.must("generatetodescriptor", json!([n, descriptor])).await;
        read(hashes)
    }

    /// Mines one block with just these transactions, in this order; they need not be in the mempool (`generateblock`).
    pub async fn mine_with(&self, txs: &[Transaction]) -> BlockHash {
        let txs: Vec<_> = txs.iter().map(serialize_hex).collect();
        let mut reply = self.must("generateblock", json!([unspendable_descriptor(), txs])).await;
        read(reply["hash"].take())
    }

    /// Removes a block, and its descendants, from the best chain (`invalidateblock`). Their transactions return to the
    /// mempool.
    pub async fn invalidate(&self, hash: BlockHash) {
        self.must("invalidateblock", json!([hash])).await;
    }

    /// Undoes [`Bitcoind::invalidate`] (`reconsiderblock`).
    pub async fn reconsider(&self, hash: BlockHash) {
        self.must("reconsiderblock", json!([hash])).await;
    }

    /// Height of the best block.
    pub async fn height(&self) -> u32 {
        read(self.must("getblockcount", json!([])).await)
    }

    /// Hash of the best block.
    pub async fn tip(&self) -> BlockHash {
        read(self.must("getbestblockhash", json!([])).await)
    }

    /// Hash of the block at `height` in the best chain.
    pub async fn hash_at(&self, height: u32) -> BlockHash {
        read(self.must("getblockhash", json!([height])).await)
    }

    /// A block (`getblock` with verbosity 0).
    pub async fn block(&self, hash: BlockHash) -> Block {
        let hex: String = read(self.must("getblock", json!([hash, 0])).await);
        deserialize_hex(&hex).unwrap_or_else(|e| panic!("block {hash} cannot be read: {e}"))
    }

    /// A confirmed output, spent in the mempool or not (`gettxout`). `None` once a block has spent it.
    pub async fn txout(&self, outpoint: OutPoint) -> Option<TxOut> {
        let reply = self
            .must("gettxout", json!([outpoint.txid, outpoint.vout, false]))
            .await;
        let value = Amount::from_btc(reply.get("value")?.as_f64()?).expect("an amount");
        let script_pubkey = ScriptBuf::from_hex(reply["scriptPubKey"]["hex"].as_str()?).expect("a script");
        Some(TxOut { value, script_pubkey })
    }

    /// Broadcasts a transaction through the node (`sendrawtransaction`).
    pub async fn send_raw(&self, tx: &Transaction) -> Txid {
        read(self.must("sendrawtransaction", json!([serialize_hex(tx)])).await)
    }

    /// Whether the node would accept a transaction into its mempool; the reason if not (`testmempoolaccept`).
    pub async fn accepts(&self, tx: &Transaction) -> Result<(), String> {
        let mut reply = self.must("testmempoolaccept", json!([[serialize_hex(tx)]])).await;
        match reply[0]["allowed"].as_bool() {
            Some(true) => Ok(()),
            _ => Err(reply[0]["reject-reason"].take().to_string()),
        }
    }

    /// The transactions in the mempool, in no order.
    pub async fn mempool(&self) -> Vec<Txid> {
        read(self.must("getrawmempool", json!([])).await)
    }

    async fn must(&self, method: &str, params: Value) -> Value {
        self.rpc().call(method, params).await.unwrap_or_else(|e| panic!("{e}"))
    }
}

/// An unspendable script, unique each time: two blocks at the same height in the same second would otherwise be
/// identical, and the node would not mine an invalidated block again.
fn unspendable_descriptor() -> String {
    let program: [u8; 20] = rand::random();
    format!(
        "raw({})",
        ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_byte_array(program)).to_hex_string()
    )
}

fn read<T: serde::de::DeserializeOwned>(reply: Value) -> T {
    serde_json::from_value(reply).unwrap_or_else(|e| panic!("the node's reply cannot be read: {e}"))
}
