//! Splits the tweaks of a large block into several messages, and joins them.
//!
//! Clients close the connection when a message exceeds their limit. Common libraries for Python and Go default to 1
//! MiB.

use crate::{TweakOutput, TweakTx, Tweaks};

/// Largest message of the relay, over a WebSocket or as a server-sent event, in bytes: half the limit of the
/// strictest common library.
pub const LARGEST_MESSAGE: usize = 512 << 10;

/// Maximum size of a `tweaks` message without its list of transactions, in bytes: names, one hash, and numbers of at
/// most 20 digits.
const ENVELOPE: usize = 1024;

impl Tweaks {
    /// Splits the block into messages of at most [`LARGEST_MESSAGE`] bytes. A block that fits into one is unchanged.
    pub fn into_parts(self) -> Vec<Self> {
        self.split(LARGEST_MESSAGE - ENVELOPE)
    }

    /// Splits the block into parts whose lists of transactions have at most `most` bytes. Each part has at least one
    /// output.
    fn split(self, most: usize) -> Vec<Self> {
        let mut lists = vec![Vec::new()];
        let mut left = most;
        for mut tx in self.transactions {
            loop {
                let first = tx.outputs.first().map_or(0, output_bytes);
                if frame_bytes(&tx) + first > left && lists.last().is_some_and(|list| !list.is_empty()) {
                    lists.push(Vec::new());
                    left = most;
                }
                left = left.saturating_sub(frame_bytes(&tx));
                let fitting = tx.outputs.iter().scan(left, |left, output| {
                    *left = left.checked_sub(output_bytes(output))?;
                    Some(())
                });
                let rest = tx.outputs.split_off(fitting.count().max(1).min(tx.outputs.len()));
                left = left.saturating_sub(tx.outputs.iter().map(output_bytes).sum());
                let next = (!rest.is_empty()).then(|| TweakTx {
                    txid: tx.txid.clone(),
                    tweak: tx.tweak.clone(),
                    outputs: rest,
                    continues: tx.continues,
                });
                tx.continues = next.is_some();
                if let Some(list) = lists.last_mut() {
                    list.push(tx);
                }
                match next {
                    Some(next) => tx = next,
                    None => break,
                }
            }
        }
        let parts = u32::try_from(lists.len()).unwrap_or(u32::MAX);
        let part = |(part, transactions)| Self {
            block_height: self.block_height,
            block_hash: self.block_hash.clone(),
            transactions,
            part,
            parts,
            historical: self.historical,
        };
        (1..).zip(lists).map(part).collect()
    }

    /// Appends the transactions of the next part.
    pub fn append(&mut self, next: Self) {
        let mut transactions = next.transactions.into_iter();
        if let Some(last) = self.transactions.last_mut().filter(|tx| tx.continues) {
            match transactions.next() {
                Some(rest) if rest.txid == last.txid => {
                    last.outputs.extend(rest.outputs);
                    last.continues = rest.continues;
                }
                other => self.transactions.extend(other),
            }
        }
        self.transactions.extend(transactions);
    }
}

/// Size of a transaction without its outputs, including the comma after it, in bytes.
fn frame_bytes(tx: &TweakTx) -> usize {
    const NAMES: &str = r#"{"txid":"","tweak":"","outputs":[],"continues":true},"#;
    NAMES.len() + tx.txid.len() + tx.tweak.len()
}

/// Size of an output, including the comma after it, in bytes.
fn output_bytes(output: &TweakOutput) -> usize {
    const NAMES: &str = r#"{"vout":,"public_key":"","amount_sats":},"#;
    NAMES.len() + digits(output.vout.into()) + output.public_key.len() + digits(output.amount_sats)
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests;
