//! Looks up what spends the outputs that a history has found.
//!
//! The index has the block of each spend, and the transaction if that is eligible (BIP352). Any other transaction is
//! read from its block on the node: payments of a wallet are rarely spent without a taproot output, which the change of
//! a silent-payment wallet is.

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::{BlockHash, OutPoint, Txid};
use sdk_relay_chain::{BlockRef, ChainSource, joined};
use sdk_relay_index::Index;
use sdk_relay_platform::blocking;
use sdk_relay_store::index::{IndexError, Spender};

use super::history_scan::ChainSpend;

/// The spends of outputs, as of this tip of the index.
pub(super) struct LookedUp {
    pub(super) tip: BlockRef,
    pub(super) spends: HashMap<OutPoint, ChainSpend>,
}

/// What spends these outputs, each given by the height of its block and its outpoint. `None` if a reorganisation has
/// changed the index meanwhile.
pub(super) async fn spenders(
    index: &Index,
    chain: Option<&dyn ChainSource>,
    outputs: Vec<(u32, OutPoint)>,
) -> Result<Option<LookedUp>, IndexError> {
    let store = Arc::clone(&index.store);
    let look_up = move || {
        let Some(tip) = store.tip()? else {
            return Ok::<_, IndexError>(None);
        };
        let spenders = store.spenders(&outputs)?;
        // It can have grown, but the spends up to this tip are of its chain.
        let is_same = store.hash_at(tip.height)? == Some(tip.hash);
        Ok(is_same.then_some((tip, outputs, spenders)))
    };
    let Some(looked_up) = joined(blocking::spawn(look_up).await).transpose()?.flatten() else {
        return Ok(None);
    };
    let (tip, outputs, spenders) = looked_up;
    let tip = BlockRef {
        height: tip.height,
        hash: tip.hash,
    };
    let found = outputs.into_iter().zip(spenders);
    let found = found.filter_map(|((_, outpoint), spender)| Some((outpoint, spender?)));
    let found: Vec<(OutPoint, Spender)> = found.filter(|(_, spender)| spender.height <= tip.height).collect();
    let mut named = HashMap::new();
    if let Some(chain) = chain {
        let mut unknown: HashMap<BlockHash, Vec<OutPoint>> = HashMap::new();
        for (outpoint, spender) in found.iter().filter(|(_, spender)| spender.txid.is_none()) {
            unknown.entry(spender.hash).or_default().push(*outpoint);
        }
        for (hash, outputs) in unknown {
            named.extend(read_inputs(chain, hash, &outputs).await);
        }
    }
    let spend = |(outpoint, spender): (OutPoint, Spender)| {
        let by = spender.txid.map(|txid| (txid, None));
        let spend = ChainSpend {
            at: BlockRef {
                height: spender.height,
                hash: spender.hash,
            },
            time: spender.time,
            by: by.or_else(|| named.get(&outpoint).copied()),
        };
        (outpoint, spend)
    };
    let spends = found.into_iter().map(spend).collect();
    Ok(Some(LookedUp { tip, spends }))
}

/// The inputs of a block on the node that spend these outputs. Empty if the node does not have it: a history does not
/// wait for the node.
async fn read_inputs(
    chain: &dyn ChainSource,
    hash: BlockHash,
    outputs: &[OutPoint],
) -> HashMap<OutPoint, (Txid, Option<u32>)> {
    let block = match chain.block(hash).await {
        Ok(block) => block,
        Err(error) => {
            tracing::debug!(%error, "cannot read the block of a spend; reporting its height only");
            return HashMap::new();
        }
    };
    let mut inputs = HashMap::new();
    for tx in &block.block.txdata {
        for (vin, input) in (0..).zip(&tx.input) {
            if outputs.contains(&input.previous_output) {
                inputs.insert(input.previous_output, (tx.compute_txid(), Some(vin)));
            }
        }
    }
    inputs
}
