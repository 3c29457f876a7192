//! The outputs that the watches of a connection have found, and what spends them: the answers of
//! `blockchain.scripthash.*`. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::hex::{DisplayHex, FromHex};
use bitcoin::{OutPoint, Txid};
use serde_json::json;

use crate::reply::{Text, text};

/// SHA-256 of a script, as Electrum shows it: in reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ScriptHash([u8; 32]);

/// What is known of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// A watch of this connection has found outputs of it.
    Found,
    /// Its watch has ended: what is known is not up to date.
    Ended,
    /// It is not an output that a watch has found.
    None,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the mempool.
    Mempool,
    /// In the block at this height.
    Block(u32),
}

/// A transaction that spends an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spend {
    /// `None` if only its block is known, because the node has pruned it.
    pub(crate) txid: Option<Txid>,
    pub(crate) place: Place,
    /// In satoshis; `None` if unknown.
    pub(crate) fee: Option<u64>,
}

/// An output that a watch has found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// X-only key of its script.
    pub(crate) key: [u8; 32],
    pub(crate) sats: u64,
    pub(crate) place: Place,
    /// Fee of its transaction in satoshis; `None` if unknown.
    pub(crate) fee: Option<u64>,
}

/// The outputs.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    by_outpoint: BTreeMap<OutPoint, Output>,
    /// Scripts of all outputs that were found on this connection, gone ones too, with the outputs of each.
    scripts: HashMap<ScriptHash, Script>,
    /// Transactions that spend outputs, with the number of these.
    spenders: BTreeMap<Txid, (Place, usize)>,
}

#[derive(Debug)]
struct Output {
    script: ScriptHash,
    found: Found,
    spend: Option<Spend>,
    /// The subscription, and the newest watch of it that has found the output.
    address: Arc<str>,
    watch: u64,
}

#[derive(Debug, Default)]
struct Script {
    outputs: BTreeSet<OutPoint>,
    has_ended: bool,
}

/// Memory of an output in all maps, of which the nodes may be half full.
pub(crate) const OUTPUT_BYTES: usize = 2 * (size_of::<(OutPoint, Output)>() + size_of::<OutPoint>())
    + 2 * size_of::<(ScriptHash, Script)>()
    + 2 * size_of::<(Txid, (Place, usize))>();

impl ScriptHash {
    /// Of the script of a taproot output with this key.
    pub(crate) fn of_key(key: &[u8; 32]) -> Self {
        let mut script = [0; 34];
        script[0] = 0x51;
        script[1] = 0x20;
        script[2..].copy_from_slice(key);
        let mut hash = sha256::Hash::hash(&script).to_byte_array();
        hash.reverse();
        Self(hash)
    }
}

impl fmt::Display for ScriptHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hex())
    }
}

impl FromStr for ScriptHash {
    type Err = bitcoin::hex::HexToArrayError;

    fn from_str(hex: &str) -> Result<Self, Self::Err> {
        FromHex::from_hex(hex).map(Self)
    }
}

impl Place {
    /// Of a transaction at this height; `None` in the mempool.
    pub(crate) fn of(height: Option<u32>) -> Self {
        height.map_or(Self::Mempool, Self::Block)
    }
}

impl Outputs {
    /// Number of outputs and of scripts of gone ones, for the memory.
    pub(crate) fn bytes(&self) -> usize {
        self.by_outpoint.len().max(self.scripts.len()) * OUTPUT_BYTES
    }

    /// Whether an output is known.
    pub(crate) fn contains(&self, outpoint: &OutPoint) -> bool {
        self.by_outpoint.contains_key(outpoint)
    }

    /// A watch has found an output, or found it in a block.
    pub(crate) fn found(&mut self, outpoint: OutPoint, found: Found, address: &Arc<str>, watch: u64) -> ScriptHash {
        let script = ScriptHash::of_key(&found.key);
        let of_script = self.scripts.entry(script).or_default();
        of_script.outputs.insert(outpoint);
        of_script.has_ended = false;
        let before = self.by_outpoint.remove(&outpoint);
        let by = before.as_ref().filter(|output| output.address == *address);
        let output = Output {
            script,
            found,
            // The watch before it may have a higher number: each finds a live output.
            watch: by.map_or(watch, |output| output.watch.max(watch)),
            spend: before.and_then(|output| output.spend),
            address: Arc::clone(address),
        };
        self.by_outpoint.insert(outpoint, output);
        script
    }

    /// The transaction of an output left its block, or the mempool.
    pub(crate) fn reverted(&mut self, outpoint: OutPoint) -> Option<ScriptHash> {
        self.remove(outpoint)
    }

    /// A transaction spends an output, or is found in another place. One that is reported by its height only is the one
    /// that was reported there before.
    pub(crate) fn spent(&mut self, outpoint: OutPoint, mut spend: Spend) -> Option<ScriptHash> {
        let known = self.by_outpoint.get(&outpoint).and_then(|output| output.spend);
        if spend.txid.is_none()
            && let Some(known) = known.filter(|known| known.place == spend.place)
        {
            spend = known;
        }
        let script = self.unspent(outpoint);
        let output = self.by_outpoint.get_mut(&outpoint)?;
        output.spend = Some(spend);
        if let Some(txid) = spend.txid {
            let spender = self.spenders.entry(txid).or_insert((spend.place, 0));
            *spender = (spend.place, spender.1 + 1);
        }
        script.or(Some(output.script))
    }

    /// The transaction that spent an output left its block, or the mempool.
    pub(crate) fn unspent(&mut self, outpoint: OutPoint) -> Option<ScriptHash> {
        let output = self.by_outpoint.get_mut(&outpoint)?;
        let spend = output.spend.take()?;
        let script = output.script;
        self.drop_spender(spend);
        Some(script)
    }

    /// A subscription has ended: what is known of its outputs is not kept up to date. Returns the scripts that no other
    /// subscription has.
    pub(crate) fn ended(&mut self, address: &str) -> Vec<ScriptHash> {
        let mut ended = Vec::new();
        for outpoint in self.outpoints_where(|output| &*output.address == address) {
            if let Some(script) = self.remove(outpoint)
                && let Some(of_script) = self.scripts.get_mut(&script)
            {
                of_script.has_ended = of_script.outputs.is_empty();
                ended.extend(of_script.has_ended.then_some(script));
            }
        }
        ended
    }

    /// A new watch of a subscription has scanned these places: outputs there that neither it nor a later one has found
    /// are gone. Returns their scripts.
    pub(crate) fn scanned(&mut self, address: &str, watch: u64, places: impl Fn(Place) -> bool) -> Vec<ScriptHash> {
        let is_gone =
            |output: &Output| &*output.address == address && output.watch < watch && places(output.found.place);
        let gone = self.outpoints_where(is_gone);
        gone.into_iter().filter_map(|outpoint| self.remove(outpoint)).collect()
    }

    pub(crate) fn knowledge(&self, script: ScriptHash) -> Knowledge {
        match self.scripts.get(&script) {
            None => Knowledge::None,
            Some(script) if script.has_ended => Knowledge::Ended,
            Some(_) => Knowledge::Found,
        }
    }

    /// Where a transaction is, if it is that of a found output, or spends one.
    pub(crate) fn transaction(&self, txid: Txid) -> Option<Place> {
        let outputs = OutPoint { txid, vout: 0 }..=OutPoint { txid, vout: u32::MAX };
        let of_output = self.by_outpoint.range(outputs).next();
        let place = of_output.map(|(_, output)| output.found.place);
        place.or_else(|| self.spenders.get(&txid).map(|(place, _)| *place))
    }

    /// The status of a script: `null` without transactions. A transaction of which only the block is known is not in
    /// the history; but the status differs from that of an unspent output, so that the client asks again.
    pub(crate) fn status(&self, script: ScriptHash) -> Option<String> {
        let history = self.transactions(script);
        if history.is_empty() {
            return None;
        }
        let known = history.iter().map(|tx| format!("{}:{}:", tx.txid, tx.height));
        let unknown = self
            .outputs(script)
            .filter_map(|(outpoint, output)| match output.spend {
                Some(Spend {
                    txid: None,
                    place: Place::Block(height),
                    ..
                }) => Some(format!("{outpoint} spent:{height}:")),
                _ => None,
            });
        let all: String = known.chain(unknown).collect();
        Some(sha256::Hash::hash(all.as_bytes()).to_string())
    }

    /// `get_history`: confirmed transactions in the order of the chain, then those of the mempool.
    pub(crate) fn history(&self, script: ScriptHash) -> Text {
        list(self.transactions(script).iter().map(Tx::json))
    }

    /// `get_mempool`.
    pub(crate) fn mempool(&self, script: ScriptHash) -> Text {
        list(
            self.transactions(script)
                .iter()
                .filter(|tx| tx.height <= 0)
                .map(Tx::json),
        )
    }

    /// `get_balance`, in satoshis.
    pub(crate) fn balance(&self, script: ScriptHash) -> Text {
        let (mut confirmed, mut unconfirmed) = (0_i64, 0_i64);
        for output in self.outputs(script).map(|(_, output)| output) {
            // 21 million coins have 51 bits.
            let sats = i64::try_from(output.found.sats).unwrap_or(i64::MAX);
            match output.found.place {
                Place::Block(_) => confirmed += sats,
                Place::Mempool => unconfirmed += sats,
            }
            match output.spend.map(|spend| spend.place) {
                Some(Place::Block(_)) => confirmed -= sats,
                Some(Place::Mempool) => unconfirmed -= sats,
                None => {}
            }
        }
        json!({"confirmed": confirmed, "unconfirmed": unconfirmed}).to_string()
    }

    /// `listunspent`: those of the chain first.
    pub(crate) fn unspent_outputs(&self, script: ScriptHash) -> Text {
        let mut unspent: Vec<_> = self
            .outputs(script)
            .filter(|(_, output)| output.spend.is_none())
            .collect();
        unspent.sort_by_key(|(outpoint, output)| (order(output.found.place), **outpoint));
        list(unspent.into_iter().map(|(outpoint, output)| {
            let height = match output.found.place {
                Place::Block(height) => height,
                Place::Mempool => 0,
            };
            json!({"tx_hash": outpoint.txid, "tx_pos": outpoint.vout, "height": height, "value": output.found.sats})
                .to_string()
        }))
    }

    fn outputs(&self, script: ScriptHash) -> impl Iterator<Item = (&OutPoint, &Output)> {
        let outpoints = self.scripts.get(&script).into_iter().flat_map(|script| &script.outputs);
        outpoints.filter_map(|outpoint| Some((outpoint, self.by_outpoint.get(outpoint)?)))
    }

    /// The transactions of a script, each once, in Electrum's order. Of two in one block, that of the output comes
    /// before the one that spends it.
    fn transactions(&self, script: ScriptHash) -> Vec<Tx> {
        let mut all: BTreeMap<Txid, ((u32, u8), Tx)> = BTreeMap::new();
        for (outpoint, output) in self.outputs(script) {
            let found = Tx {
                txid: outpoint.txid,
                height: match output.found.place {
                    Place::Block(height) => i64::from(height),
                    Place::Mempool => 0,
                },
                fee: output.found.fee,
            };
            all.insert(outpoint.txid, ((order(output.found.place), 0), found));
            if let Some(spend) = output.spend
                && let Some(txid) = spend.txid
            {
                let height = match (spend.place, output.found.place) {
                    (Place::Block(height), _) => i64::from(height),
                    (Place::Mempool, Place::Block(_)) => 0,
                    // It spends an unconfirmed output.
                    (Place::Mempool, Place::Mempool) => -1,
                };
                let spending = Tx {
                    txid,
                    height,
                    fee: spend.fee,
                };
                let unconfirmed_parent = u8::from(height < 0);
                all.entry(txid)
                    .or_insert(((order(spend.place), 1 + unconfirmed_parent), spending));
            }
        }
        let mut sorted: Vec<_> = all.into_values().collect();
        sorted.sort_by_key(|(at, tx)| (*at, tx.txid));
        sorted.into_iter().map(|(_, tx)| tx).collect()
    }

    fn outpoints_where(&self, is: impl Fn(&Output) -> bool) -> Vec<OutPoint> {
        let found = self.by_outpoint.iter().filter(|(_, output)| is(output));
        found.map(|(outpoint, _)| *outpoint).collect()
    }

    fn remove(&mut self, outpoint: OutPoint) -> Option<ScriptHash> {
        let output = self.by_outpoint.remove(&outpoint)?;
        if let Some(of_script) = self.scripts.get_mut(&output.script) {
            of_script.outputs.remove(&outpoint);
        }
        if let Some(spend) = output.spend {
            self.drop_spender(spend);
        }
        Some(output.script)
    }

    fn drop_spender(&mut self, spend: Spend) {
        if let Some(txid) = spend.txid
            && let Some((_, outputs)) = self.spenders.get_mut(&txid)
        {
            *outputs -= 1;
            if *outputs == 0 {
                self.spenders.remove(&txid);
            }
        }
    }
}

/// A transaction in a history.
#[derive(Debug)]
struct Tx {
    txid: Txid,
    /// 0 in the mempool, -1 if it spends an unconfirmed output.
    height: i64,
    fee: Option<u64>,
}

impl Tx {
    fn json(&self) -> Text {
        let Self { txid, height, fee } = self;
        let hash = text(&txid.to_string());
        match fee.filter(|_| *height <= 0) {
            Some(fee) => format!(r#"{{"height":{height},"tx_hash":{hash},"fee":{fee}}}"#),
            None => format!(r#"{{"height":{height},"tx_hash":{hash}}}"#),
        }
    }
}

/// The mempool comes last.
fn order(place: Place) -> u32 {
    match place {
        Place::Block(height) => height,
        Place::Mempool => u32::MAX,
    }
}

fn list(items: impl Iterator<Item = Text>) -> Text {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests;
