//! Requests to the node for Electrum clients: each has a deadline and a turn, and what all clients ask is asked once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bitcoin::block::Header;
use bitcoin::consensus::encode::{serialize, serialize_hex};
use bitcoin::hex::DisplayHex;
use bitcoin::{BlockHash, Transaction, Txid};
use sdk_relay_chain::{BroadcastError, ChainSource, SourceError};
use sdk_relay_echo::reason;
use sdk_relay_protocol::http::Fees;
use sdk_relay_service::FeeSource;
use sdk_relay_transport::AddressPermits;
use serde_json::json;
use tokio::sync::{OnceCell, watch};
use tokio::time::timeout;

use crate::error::RpcError;
use crate::limits::{MAX_HEADERS, NODE_REQUESTS, NODE_REQUESTS_PER_ADDRESS};
use crate::merkle::branch;
use crate::outputs::Place;
use crate::reply::{Text, btc, text};
use crate::tip::Tip;
use crate::version::{PROTOCOL_MAX, PROTOCOL_MIN, server_name};

/// Headers that are kept, 80 bytes each: those of the payments of a wallet, and of the newest blocks.
const HEADERS_KEPT: usize = 10_000;

/// The node, as Electrum clients see it.
pub(crate) struct Node {
    chain: Arc<dyn ChainSource>,
    fees: Arc<FeeSource>,
    tip: watch::Receiver<Option<Tip>>,
    permits: AddressPermits,
    within: Duration,
    genesis: OnceCell<BlockHash>,
    headers: Mutex<HashMap<BlockHash, Header>>,
}

impl Node {
    pub(crate) fn new(
        chain: Arc<dyn ChainSource>,
        fees: Arc<FeeSource>,
        tip: watch::Receiver<Option<Tip>>,
        within: Duration,
    ) -> Self {
        Self {
            chain,
            fees,
            tip,
            permits: AddressPermits::new(NODE_REQUESTS, NODE_REQUESTS_PER_ADDRESS),
            within,
            genesis: OnceCell::new(),
            headers: Mutex::default(),
        }
    }

    /// Requests to the node for a client of this address: in its turn, and in time.
    pub(crate) async fn within<T>(
        &self,
        address: IpAddr,
        request: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, RpcError> {
        let asked = async {
            let _turn = self.permits.acquire(address, 1).await;
            request.await
        };
        match timeout(self.within, asked).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(self.late()),
        }
    }

    fn late(&self) -> RpcError {
        RpcError::unavailable(format!(
            "the node of this relay has not answered within {} s: try again later",
            self.within.as_secs()
        ))
    }

    /// `server.features`.
    pub(crate) async fn features(&self, address: IpAddr, silent: bool) -> Result<Text, RpcError> {
        let genesis = self.genesis.get_or_try_init(|| async {
            let hash = self.within(address, self.chain.hash_at(0)).await?;
            hash.ok_or_else(|| RpcError::unavailable("the node of this relay has no blocks yet: try again later"))
        });
        let mut features = json!({
            "hosts": {},
            "genesis_hash": genesis.await?.to_string(),
            "hash_function": "sha256",
            "server_version": server_name(),
            "protocol_max": PROTOCOL_MAX,
            "protocol_min": PROTOCOL_MIN,
            "pruning": null,
        });
        if silent {
            features["silent_payments"] = json!([0]);
        }
        Ok(features.to_string())
    }

    /// `blockchain.headers.subscribe`: waits for the first tip.
    pub(crate) async fn tip(&self) -> Result<Text, RpcError> {
        let mut tip = self.tip.clone();
        let known = timeout(self.within, tip.wait_for(Option::is_some)).await;
        let header = match &known {
            Ok(Ok(tip)) => tip.as_ref().map(|tip| tip.header.to_string()),
            _ => None,
        };
        header.ok_or_else(|| RpcError::unavailable("the relay does not know a block yet: try again later"))
    }

    /// `blockchain.block.header`.
    pub(crate) async fn header(&self, address: IpAddr, height: u32) -> Result<Text, RpcError> {
        let header = self.within(address, async {
            let Some(hash) = self.chain.hash_at(height).await? else {
                return Ok(None);
            };
            if let Some(header) = self.kept(&hash) {
                return Ok(Some(header));
            }
            let header = self.chain.header(hash).await?;
            self.keep(hash, header);
            Ok(Some(header))
        });
        let header = header.await?.ok_or_else(|| no_block(height))?;
        Ok(text(&serialize_hex(&header)))
    }

    fn kept(&self, hash: &BlockHash) -> Option<Header> {
        let headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        headers.get(hash).copied()
    }

    fn keep(&self, hash: BlockHash, header: Header) {
        let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        if headers.len() >= HEADERS_KEPT {
            headers.clear();
        }
        headers.insert(hash, header);
    }

    /// `blockchain.block.headers`.
    pub(crate) async fn headers(&self, address: IpAddr, start: u32, count: u32) -> Result<Text, RpcError> {
        let headers = self.within(address, self.chain.headers(start, count)).await?;
        let bytes: Vec<u8> = headers.iter().flat_map(serialize).collect();
        let (count, hex) = (headers.len(), bytes.as_hex());
        Ok(format!(r#"{{"count":{count},"hex":"{hex}","max":{MAX_HEADERS}}}"#))
    }

    /// The hex of a transaction that is there. `None` if the node does not find it.
    pub(crate) async fn transaction(
        &self,
        address: IpAddr,
        txid: Txid,
        place: Place,
    ) -> Result<Option<Text>, RpcError> {
        let tx = self.within(address, async {
            let block = match place {
                Place::Mempool => None,
                Place::Block(height) => match self.chain.hash_at(height).await? {
                    Some(hash) => Some(hash),
                    None => return Ok(None),
                },
            };
            self.chain.transaction(txid, block).await
        });
        Ok(tx.await?.map(|tx| text(&serialize_hex(&tx))))
    }

    /// `blockchain.transaction.broadcast`.
    pub(crate) async fn broadcast(&self, address: IpAddr, tx: &Transaction) -> Result<Text, RpcError> {
        let asked = async {
            let _turn = self.permits.acquire(address, 1).await;
            self.chain.broadcast(tx).await
        };
        match timeout(self.within, asked).await {
            Ok(Ok(txid)) => Ok(text(&txid.to_string())),
            Ok(Err(BroadcastError::Rejected(rejection))) => Err(RpcError::refused(format!(
                "the node rejects the transaction: {}",
                reason(&rejection)
            ))),
            Ok(Err(BroadcastError::Source(error))) => Err(error.into()),
            Err(_) => Err(self.late()),
        }
    }

    /// The ids of the transactions of a block.
    async fn txids(&self, address: IpAddr, height: u32) -> Result<Vec<Txid>, RpcError> {
        let info = self.within(address, async {
            match self.chain.hash_at(height).await? {
                Some(hash) => self.chain.block_info(hash).await.map(Some),
                None => Ok(None),
            }
        });
        let mut info = info.await?.ok_or_else(|| no_block(height))?;
        serde_json::from_value(info["tx"].take())
            .map_err(|_| RpcError::unavailable("the node of this relay has answered without transaction ids"))
    }

    /// `blockchain.transaction.get_merkle`.
    pub(crate) async fn merkle(&self, address: IpAddr, txid: Txid, height: u32) -> Result<Text, RpcError> {
        let txids = self.txids(address, height).await?;
        let position = txids.iter().position(|id| *id == txid);
        let proof = position.and_then(|position| Some((position, branch(&txids, position)?)));
        let (position, branch) =
            proof.ok_or_else(|| RpcError::refused(format!("block {height} does not have this transaction")))?;
        let merkle: Vec<_> = branch.iter().map(ToString::to_string).collect();
        Ok(json!({"merkle": merkle, "block_height": height, "pos": position}).to_string())
    }

    /// `blockchain.transaction.id_from_pos`.
    pub(crate) async fn at_position(
        &self,
        address: IpAddr,
        height: u32,
        position: u32,
        with_merkle: bool,
    ) -> Result<Text, RpcError> {
        let txids = self.txids(address, height).await?;
        let at = usize::try_from(position).unwrap_or(usize::MAX);
        let found = txids.get(at).zip(branch(&txids, at));
        let (txid, branch) =
            found.ok_or_else(|| RpcError::refused(format!("block {height} has {} transactions only", txids.len())))?;
        if !with_merkle {
            return Ok(text(&txid.to_string()));
        }
        let merkle: Vec<_> = branch.iter().map(ToString::to_string).collect();
        Ok(json!({"tx_hash": txid.to_string(), "merkle": merkle}).to_string())
    }

    async fn fees(&self) -> Result<Arc<Fees>, RpcError> {
        match timeout(self.within, self.fees.fees()).await {
            Ok(fees) => Ok(fees?),
            Err(_) => Err(self.late()),
        }
    }

    /// `blockchain.estimatefee`, in BTC per 1,000 virtual bytes: the estimate for the nearest lower number of blocks
    /// that the node is asked for; -1 without one.
    pub(crate) async fn estimate(&self, blocks: u32) -> Result<Text, RpcError> {
        let fees = self.fees().await?;
        let mut estimates = fees.estimates.iter();
        let nearest = estimates.rfind(|estimate| u32::from(estimate.blocks) <= blocks.max(1));
        let rate = nearest.and_then(|estimate| estimate.sat_per_vbyte);
        Ok(rate.map_or_else(|| "-1".to_owned(), per_kvb))
    }

    /// `blockchain.relayfee`.
    pub(crate) async fn relay_fee(&self) -> Result<Text, RpcError> {
        Ok(per_kvb(self.fees().await?.relay_minimum))
    }
}

/// Satoshis per virtual byte as BTC per 1,000 of them.
fn per_kvb(sat_per_vbyte: f64) -> Text {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was made from a whole number of satoshis per 1,000 virtual bytes"
    )]
    let sats = (sat_per_vbyte * 1000.0).round() as u64;
    btc(sats)
}

fn no_block(height: u32) -> RpcError {
    RpcError::refused(format!("height {height} is above the tip"))
}
