//! The ledger with its file and receivers: a change is written, then applied, then announced.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::secp256k1::rand::RngCore as _;
use bitcoin::{BlockHash, Network, Transaction, Txid, constants};
use sdk_relay_platform::{clock, random};

use super::MAX_REORG;
use super::block::{Ingredients, Parent};
use super::error::{DevChainError, ReorgError, WriteError};
use super::file::{Place, Record, RecordFile};
use super::ledger::{Accepted, Inconsistent, Ledger, Template};
use super::record::{self, StoredBlock};
use super::signals::Signals;
use super::wallet::Wallet;
use sdk_relay_chain::{BlockRef, Signal, SourceError};

#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) file: RecordFile,
    pub(super) wallet: Wallet,
    pub(super) signals: Signals,
}

impl State {
    /// Loads the file, or creates it with a new wallet.
    pub(super) fn open(path: PathBuf) -> Result<Self, DevChainError> {
        let mut file = RecordFile::open(path)?;
        let mut buffer = Vec::new();
        let wallet = match file.next(&mut buffer)? {
            Some(record) => {
                let secret = (record.kind == record::WALLET).then_some(record.payload);
                let secret = secret.and_then(|payload| payload.try_into().ok());
                let wallet = secret.and_then(Wallet::new);
                wallet.ok_or_else(|| file.damaged(0, "the first record is not a wallet"))?
            }
            None => new_wallet(&mut file)?,
        };
        let mut ledger = Ledger::new();
        loop {
            let begin = file.size();
            let Some(record) = file.next(&mut buffer)? else {
                break;
            };
            replay(&mut ledger, &file, &record).map_err(|reason| file.damaged(begin, reason))?;
        }
        Ok(Self {
            ledger,
            file,
            wallet,
            signals: Signals::default(),
        })
    }

    /// Mines one block with the mempool.
    pub(super) fn mine(&mut self) -> Result<BlockHash, WriteError> {
        let Template { txs, spent, fees } = self.ledger.template();
        let mut parent = Parent::at(&self.ledger, self.ledger.tip());
        let block = parent.mine(Ingredients {
            txs,
            fees,
            ..self.ingredients(&parent)
        });
        let hash = block.block_hash();
        self.commit(&[], vec![StoredBlock { block, spent }])?;
        Ok(hash)
    }

    /// See [`super::DevChain::reorg`].
    pub(super) fn reorg(&mut self, depth: u32) -> Result<Vec<BlockHash>, ReorgError> {
        let tip = self.ledger.tip();
        let most = MAX_REORG.min(tip.height);
        let height = tip.height.checked_sub(depth);
        let fork = height.and_then(|height| {
            Some(BlockRef {
                height,
                hash: self.ledger.hash_at(height)?,
            })
        });
        let Some(fork) = fork.filter(|_| (1..=most).contains(&depth)) else {
            return Err(ReorgError::Depth { requested: depth, most });
        };
        let old = stale(&self.ledger, &self.file, fork.hash).map_err(|reason| ReorgError::Read {
            path: self.file.path().to_owned(),
            reason,
        })?;
        let mut parent = Parent::at(&self.ledger, fork);
        let new: Vec<_> = (0..=depth)
            .map(|_| StoredBlock {
                block: parent.mine(self.ingredients(&parent)),
                spent: Vec::new(),
            })
            .collect();
        let hashes = new.iter().map(|stored| stored.block.block_hash()).collect();
        self.commit(&old, new)?;
        Ok(hashes)
    }

    /// Puts an accepted transaction into the mempool.
    pub(super) fn enter(&mut self, accepted: Accepted) -> Result<Txid, WriteError> {
        let txid = accepted.txid;
        self.file.append(record::TRANSACTION, &serialize(&accepted.tx))?;
        let signals = self.ledger.enter(accepted);
        self.signals.send(&signals);
        Ok(txid)
    }

    /// A block with its spent coins.
    pub(super) fn stored(&self, hash: BlockHash) -> Result<StoredBlock, SourceError> {
        let entry = self.ledger.entry(&hash).ok_or(SourceError::NoSuchBlock(hash))?;
        read(&self.file, entry.place).map_err(|reason| SourceError::Malformed {
            what: format!("block {hash} in {}", self.file.path().display()),
            reason,
        })
    }

    fn commit(&mut self, old: &[StoredBlock], new: Vec<StoredBlock>) -> Result<(), WriteError> {
        let (payload, places) = record::encode_blocks(&new);
        let base = self.file.append(record::BLOCKS, &payload)?;
        let placed = new.into_iter().zip(places.into_iter().map(|place| within(base, place)));
        let mut signals = vec![Signal::Chain];
        match self.ledger.apply(old, &placed.collect::<Vec<_>>()) {
            Ok(changes) => signals.extend(changes),
            // The blocks were created from this ledger, under the same lock.
            Err(error) => {
                tracing::error!(%error, "a mined block does not connect to the chain: please report this bug");
            }
        }
        self.signals.send(&signals);
        Ok(())
    }

    fn ingredients(&self, parent: &Parent) -> Ingredients {
        let since_epoch = clock::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Ingredients {
            payout: self.wallet.payout(parent.next_height()),
            extra_nonce: random::rng().next_u64().to_le_bytes(),
            now: u32::try_from(since_epoch.as_secs()).unwrap_or(u32::MAX),
            fees: bitcoin::Amount::ZERO,
            txs: Vec::new(),
        }
    }
}

fn new_wallet(file: &mut RecordFile) -> Result<Wallet, DevChainError> {
    loop {
        let secret = Wallet::new_secret();
        if let Some(wallet) = Wallet::new(&secret) {
            file.append(record::WALLET, &secret)?;
            return Ok(wallet);
        }
    }
}

/// Applies a record. The error is the reason of a failure.
fn replay(ledger: &mut Ledger, file: &RecordFile, record: &Record<'_>) -> Result<(), String> {
    match record.kind {
        record::BLOCKS => {
            let blocks = record::decode_blocks(record.payload).map_err(|e| e.to_string())?;
            let blocks: Vec<_> = blocks
                .into_iter()
                .map(|(stored, place)| (stored, within(record.place, place)))
                .collect();
            let first = blocks.first().ok_or("a record without blocks")?;
            let old = stale(ledger, file, first.0.block.header.prev_blockhash)?;
            ledger.apply(&old, &blocks).map_err(|e: Inconsistent| e.to_string())?;
        }
        record::TRANSACTION => {
            let tx: Transaction = deserialize(record.payload).map_err(|e| e.to_string())?;
            match ledger.check_unsigned(&tx) {
                Ok(accepted) => {
                    ledger.enter(accepted);
                }
                // Another version had other rules. If a block contains the transaction, it is applied with the block.
                Err(reason) => {
                    tracing::warn!(txid = %tx.compute_txid(), %reason, "ignoring a stored transaction that is no longer valid");
                }
            }
        }
        kind => return Err(format!("a record of unknown kind {kind}")),
    }
    Ok(())
}

/// The blocks above `fork`, tip first.
fn stale(ledger: &Ledger, file: &RecordFile, fork: BlockHash) -> Result<Vec<StoredBlock>, String> {
    let at = ledger
        .entry(&fork)
        .filter(|entry| ledger.hash_at(entry.height) == Some(fork));
    let at = at.ok_or_else(|| format!("block {fork} is not in the chain"))?;
    let heights = (at.height + 1..=ledger.tip().height).rev();
    let entries = heights.filter_map(|height| ledger.entry(&ledger.hash_at(height)?));
    entries.map(|entry| read(file, entry.place)).collect()
}

fn read(file: &RecordFile, place: Option<Place>) -> Result<StoredBlock, String> {
    let Some(place) = place else {
        return Ok(StoredBlock {
            block: constants::genesis_block(Network::Regtest),
            spent: Vec::new(),
        });
    };
    let bytes = file.read(place).map_err(|e| e.to_string())?;
    let blocks = record::decode_blocks(&bytes).map_err(|e| e.to_string())?;
    let first = blocks.into_iter().next();
    first.map(|(stored, _)| stored).ok_or_else(|| "no block there".into())
}

/// The position of a part of a payload.
fn within(payload: Place, part: Place) -> Place {
    Place {
        offset: payload.offset + part.offset,
        length: part.length,
    }
}
