//! Template of the next block.

use std::collections::HashSet;

use bitcoin::{Amount, Transaction, Txid};

use super::{Coin, Ledger};

/// Weight for transactions: the consensus limit less header and coinbase (as `-blockreservedweight`).
const MAX_WEIGHT: u64 = 4_000_000 - 8_000;
/// Signature operations for transactions: the consensus limit less the coinbase's (as Bitcoin Core's miner).
const MAX_SIGOPS: usize = 80_000 - 400;

/// The transactions of the next block.
#[derive(Debug, Default)]
pub(crate) struct Template {
    /// Parents before children.
    pub(crate) txs: Vec<Transaction>,
    /// Their spent coins, in the order of their inputs.
    pub(crate) spent: Vec<Coin>,
    pub(crate) fees: Amount,
}

impl Ledger {
    /// Fills a block in the order of arrival. Transactions that do not fit stay, with their descendants.
    pub(crate) fn template(&self) -> Template {
        let mut template = Template::default();
        let mut waiting: HashSet<Txid> = HashSet::new();
        let (mut weight, mut sigops) = (0, 0);
        for (txid, entry) in self.mempool.in_order() {
            let parents = entry.tx.input.iter().map(|input| input.previous_output);
            let heavier = weight + entry.tx.weight().to_wu();
            let fits = heavier <= MAX_WEIGHT && sigops + entry.sigops <= MAX_SIGOPS;
            if !fits || parents.clone().any(|outpoint| waiting.contains(&outpoint.txid)) {
                waiting.insert(*txid);
                continue;
            }
            weight = heavier;
            sigops += entry.sigops;
            template.fees += entry.fee;
            template
                .spent
                .extend(parents.filter_map(|outpoint| self.coin(&outpoint)));
            template.txs.push(entry.tx.clone());
        }
        template
    }
}
