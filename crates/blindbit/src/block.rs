//! The requested block, and its data in the index.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use hyper::StatusCode;
use sdk_relay_config::Network;
use sdk_relay_http_common::query::digits;
use sdk_relay_index::{Index, IndexState};
use sdk_relay_platform::blocking;
use sdk_relay_protocol::blindbit::{BlindbitInfo, BlockIdentifier};
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{IndexError, IndexTip, IndexedBlock, IndexedTx};
use serde::Deserialize;

use crate::answer::{Freshness, Refusal};
use crate::state::Handles;

/// Blocks on top of a block from which it counts as deeply confirmed: the maturity of a coinbase (consensus).
const DEEPLY_CONFIRMED: u32 = 100;

/// The height in the path.
pub(crate) struct Height(pub(crate) u32);

impl<S: Send + Sync> FromRequestParts<S> for Height {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let refused = || Refusal::new(StatusCode::BAD_REQUEST, "could not parse block height");
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_| refused())?;
        digits(&text).map(Self).ok_or_else(refused)
    }
}

/// `dustLimit` of the query, in satoshis; 0 if absent.
pub(crate) struct DustLimit(u64);

#[derive(Deserialize)]
struct DustQuery {
    #[serde(rename = "dustLimit")]
    dust_limit: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for DustLimit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let refused = || Refusal::new(StatusCode::BAD_REQUEST, "Invalid dustLimit parameter");
        let query = Query::<DustQuery>::from_request_parts(parts, state).await;
        let Query(DustQuery { dust_limit }) = query.map_err(|_| refused())?;
        let limit = dust_limit.map_or(Some(0), |text| digits(&text));
        limit.map(Self).ok_or_else(refused)
    }
}

/// A block of the index.
pub(crate) struct Found {
    pub(crate) block: IndexedBlock,
    store: Arc<TweakIndex>,
    /// The newest block.
    tip: IndexTip,
}

/// Reads the block at a height, with its spent outputs or without.
pub(crate) type ReadBlock = fn(&TweakIndex, u32) -> Result<Option<IndexedBlock>, IndexError>;

impl Found {
    /// `None` outside the index.
    pub(crate) fn at(store: &Arc<TweakIndex>, height: u32, block: ReadBlock) -> Result<Option<Self>, IndexError> {
        let (Some(tip), Some(block)) = (store.tip()?, block(store, height)?) else {
            return Ok(None);
        };
        let store = Arc::clone(store);
        Ok(Some(Self { block, store, tip }))
    }

    /// The `BlockIdentifier` of version 2.
    pub(crate) fn identifier(&self) -> BlockIdentifier {
        BlockIdentifier {
            block_hash: self.block.hash.to_string(),
            block_height: self.block.height,
        }
    }

    /// How long an answer about only this block is valid.
    pub(crate) fn freshness(&self) -> Freshness {
        freshness(self.block.height, self.tip)
    }

    /// For each output of the block's eligible transactions, in order, whether it is spent.
    pub(crate) fn spent(&self) -> Result<Vec<bool>, IndexError> {
        self.store.are_spent(&self.block)
    }

    /// Tweaks of the transactions that have a taproot output worth the limit.
    pub(crate) fn tweaks(&self, DustLimit(limit): &DustLimit) -> Vec<String> {
        self.worth(*limit).map(|tx| hex(&tx.tweak)).collect()
    }

    /// Tweaks of the transactions that have an unspent taproot output worth the limit.
    pub(crate) fn tweaks_cut_through(&self, DustLimit(limit): &DustLimit) -> Result<Vec<String>, IndexError> {
        let left = self.unspent_worth(*limit)?;
        Ok(left.into_iter().map(|tx| hex(&tx.tweak)).collect())
    }

    /// The transactions that have a taproot output worth the limit.
    pub(crate) fn worth(&self, limit: u64) -> impl Iterator<Item = &IndexedTx> {
        let is_worth = move |tx: &&IndexedTx| tx.places.iter().any(|place| place.amount.to_sat() >= limit);
        self.block.transactions.iter().filter(is_worth)
    }

    /// The transactions that have an unspent taproot output worth the limit.
    pub(crate) fn unspent_worth(&self, limit: u64) -> Result<Vec<&IndexedTx>, IndexError> {
        let mut spent = self.spent()?.into_iter();
        let is_left = |tx: &&IndexedTx| {
            // Every output consumes its entry of the list, whatever the first of them gives.
            let outputs = tx.places.iter().zip(spent.by_ref().take(tx.places.len()));
            let left = outputs.filter(|(place, spent)| !spent && place.amount.to_sat() >= limit);
            left.count() > 0
        };
        Ok(self.block.transactions.iter().filter(is_left).collect())
    }
}

fn freshness(height: u32, tip: IndexTip) -> Freshness {
    if tip.height.saturating_sub(height) >= DEEPLY_CONFIRMED {
        Freshness::Forever
    } else {
        Freshness::UntilNextBlock
    }
}

/// Applies `read` to the transactions of the block at this height, on a blocking thread.
pub(crate) async fn at<T: Send + 'static>(
    handles: &Handles,
    height: u32,
    read: impl FnOnce(&Found) -> Result<(Freshness, T), IndexError> + Send + 'static,
) -> Result<(Freshness, T), Refusal> {
    look_at(handles, height, TweakIndex::transactions, read).await
}

/// The same for the block with its spent outputs.
pub(crate) async fn with_spent<T: Send + 'static>(
    handles: &Handles,
    height: u32,
    read: impl FnOnce(&Found) -> Result<(Freshness, T), IndexError> + Send + 'static,
) -> Result<(Freshness, T), Refusal> {
    look_at(handles, height, TweakIndex::block, read).await
}

async fn look_at<T: Send + 'static>(
    handles: &Handles,
    height: u32,
    block: ReadBlock,
    read: impl FnOnce(&Found) -> Result<(Freshness, T), IndexError> + Send + 'static,
) -> Result<(Freshness, T), Refusal> {
    let index = index(handles)?.clone();
    let look = {
        let store = Arc::clone(&index.store);
        move || {
            let found = Found::at(&store, height, block)?;
            found.map(|found| read(&found)).transpose()
        }
    };
    looked(look).await?.ok_or_else(|| missing(&index, height))
}

/// The hash of the block at this height.
pub(crate) async fn hash_at(handles: &Handles, height: u32) -> Result<(Freshness, bitcoin::BlockHash), Refusal> {
    let index = index(handles)?.clone();
    let store = Arc::clone(&index.store);
    let found = looked(move || Ok(store.tip()?.zip(store.hash_at(height)?))).await?;
    let (tip, hash) = found.ok_or_else(|| missing(&index, height))?;
    Ok((freshness(height, tip), hash))
}

/// The newest block of the index.
pub(crate) async fn tip(handles: &Handles) -> Result<IndexTip, Refusal> {
    let index = index(handles)?.clone();
    let store = Arc::clone(&index.store);
    let tip = looked(move || store.tip()).await?;
    tip.ok_or_else(|| unfinished(&index))
}

/// `info`, the same in both versions.
pub(crate) async fn info(handles: &Handles) -> Result<BlindbitInfo, Refusal> {
    let height = tip(handles).await?.height;
    let network = handles.settings.started_with().network;
    Ok(BlindbitInfo {
        network: match network {
            Network::Testnet => "testnet".to_owned(),
            other => other.chain().to_owned(),
        },
        height,
        tweaks_only: false,
        tweaks_full_basic: true,
        tweaks_full_with_dust_filter: true,
        tweaks_cut_through_with_dust_filter: true,
    })
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use bitcoin::hex::DisplayHex;
    bytes.to_lower_hex_string()
}

/// The index, if there is one.
pub(crate) fn index(handles: &Handles) -> Result<&Index, Refusal> {
    let why = "this relay has no tweak index (index.enabled = false)";
    let none = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why);
    handles.index.as_ref().ok_or_else(none)
}

/// Reads the index on a blocking thread.
pub(crate) async fn looked<T: Send + 'static>(
    look: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
) -> Result<T, Refusal> {
    match blocking::spawn(look).await {
        Ok(Ok(found)) => Ok(found),
        // Already logged.
        Ok(Err(IndexError::Corrupt { height, .. })) => Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "block {height} of the tweak index is damaged; the relay fetches it again from the node: try again later"
            ),
        )),
        Ok(Err(error)) => {
            tracing::error!(%error, "cannot read the tweak index");
            Err(Refusal::internal())
        }
        Err(_) => Err(Refusal::internal()),
    }
}

/// Why the index has no block at this height.
pub(crate) fn missing(index: &Index, height: u32) -> Refusal {
    let status = index.status.borrow().clone();
    let not_found = |detail| Refusal::new(StatusCode::NOT_FOUND, detail);
    if height < status.first {
        return not_found(format!("the index begins at block {}", status.first));
    }
    let current = status.state == IndexState::Current;
    match status.target {
        Some(target) if height > target => not_found(format!("block {height} does not exist: the newest is {target}")),
        _ if current => not_found(format!("block {height} does not exist")),
        _ => unfinished(index),
    }
}

fn unfinished(index: &Index) -> Refusal {
    let status = index.status.borrow();
    let have = match status.tip {
        Some(tip) => format!("it has blocks {} to {}", status.first, tip.height),
        None => "it has no block yet".to_owned(),
    };
    let of = status.target.map(|t| format!(", of {t}")).unwrap_or_default();
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("the tweak index is being built: {have}{of}; try again later"),
    )
}
