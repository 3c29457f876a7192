//! A BlindBit Oracle as the source of the index's tweaks (`blindbit.url`).
//!
//! Guarantees: nothing gets into the index on the Oracle's word alone that could be told from our own block. Blocks, transactions, outputs and
//! eligibility are the node's and ours; what an Oracle says is held against them ([`plausible`]). Whatever it does, the index grows: a block
//! that it does not have, or says something wrong of, is computed here. Detection never asks it.

mod http;
mod plausible;
mod state;

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_bip352::Fast;
use sdk_relay_chain::{BlockRef, BlockWithPrevouts};
use sdk_relay_store::index::IndexedBlock;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use self::http::{Http, NoAnswer, Said};
pub use self::http::{Version, WrongUrl, check_url};
use self::plausible::{Implausible, Plausible};
pub use self::state::{OracleCounters, OracleState};
use crate::config::Network;
use crate::index::{Pool, indexed};

/// Waits between questions about a block that the Oracle has not: at the tip it hears of a block when we do, and takes a moment for it.
const NOT_YET: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(600),
    Duration::from_millis(800),
];
/// How long an Oracle that lacks a block is asked but once about that one and those above: it is behind, and waiting for each would slow us.
const BEHIND_FOR: Duration = Duration::from_secs(30);
/// Between two looks whether a quiet Oracle is still there.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// First and longest wait between two tries to find one that is away.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// How long one that has said something wrong is not asked.
const DISTRUST_FOR: Duration = Duration::from_secs(600);

/// The Oracle of the configuration.
#[derive(Debug)]
pub struct Oracle {
    http: Http,
    network: Network,
    state: watch::Sender<OracleState>,
    /// The lowest block that it lacked, and until when that is taken for granted.
    behind: std::sync::Mutex<Option<(u32, Instant)>>,
    counters: OracleCounters,
}

impl Oracle {
    /// The Oracle at this address. Nothing is asked before [`Oracle::keep_looking`] runs.
    pub fn new(url: &str, network: Network) -> Result<Self, WrongUrl> {
        Ok(Self {
            http: Http::new(url)?,
            network,
            state: watch::Sender::new(OracleState::Asking),
            behind: std::sync::Mutex::new(None),
            counters: OracleCounters::default(),
        })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.http.url()
    }

    /// How it is.
    pub fn state(&self) -> OracleState {
        self.state.borrow().clone()
    }

    /// What is counted.
    pub fn counters(&self) -> &OracleCounters {
        &self.counters
    }

    /// Finds the Oracle, looks after it, and finds it again when it was away. Never ends.
    pub async fn keep_looking(self: Arc<Self>) {
        let mut seen = self.state.subscribe();
        let mut retry = FIRST_RETRY;
        loop {
            let state = seen.borrow_and_update().clone();
            match state {
                OracleState::Asking | OracleState::Disconnected(_) => match self.find().await {
                    Ok(version) => {
                        retry = FIRST_RETRY;
                        self.tell(OracleState::Connected(version));
                    }
                    Err(why) => {
                        self.tell(OracleState::Disconnected(why));
                        sleep(retry).await;
                        retry = (retry * 2).min(LONGEST_RETRY);
                    }
                },
                OracleState::Connected(_) => {
                    // Whoever asks for a block notices first; this is for a time without blocks.
                    if tokio::time::timeout(LOOK_EVERY, seen.changed()).await.is_err()
                        && let Err(error) = self.ask(self.http.info()).await
                    {
                        self.tell(OracleState::Disconnected(error.to_string()));
                    }
                }
                OracleState::Implausible(_) => {
                    sleep(DISTRUST_FOR).await;
                    self.tell(OracleState::Asking);
                }
            }
        }
    }

    /// The block as the index keeps it, with the Oracle's tweaks where they are plausible, and with our own where not. `None` when a thread
    /// of the pool failed.
    pub async fn index(&self, at: BlockRef, block: BlockWithPrevouts, pool: &Pool) -> Option<IndexedBlock> {
        let block = Arc::new(block);
        if let Some(version) = self.version().await {
            let ours = Arc::clone(&block);
            let eligible = pool.run(move || plausible::any_eligible(&ours)).await?;
            if eligible && let Some(indexed) = self.with_tweaks(version, at, &block, pool).await? {
                self.counters.blocks.inc();
                return Some(indexed);
            }
            if !eligible {
                // There is nothing to be told of it.
                return pool.run(move || own(at, &block)).await;
            }
        }
        self.counters.own_blocks.inc();
        pool.run(move || own(at, &block)).await
    }

    /// What it speaks; `None` while it is away or not to be trusted.
    async fn version(&self) -> Option<Version> {
        let mut state = self.state.subscribe();
        // The first look ends: each of its questions has a deadline.
        let known = state.wait_for(|s| *s != OracleState::Asking).await.ok()?;
        match *known {
            OracleState::Connected(version) => Some(version),
            _ => None,
        }
    }

    /// `Some(None)`: not with the Oracle's help.
    async fn with_tweaks(
        &self,
        version: Version,
        at: BlockRef,
        block: &Arc<BlockWithPrevouts>,
        pool: &Pool,
    ) -> Option<Option<IndexedBlock>> {
        let mut wrong = None;
        // Of version 1 the block and its tweaks come in two answers, and a reorganisation may lie between them: a lie is told twice.
        for _ in 0..2 {
            let said = match self.said(version, at).await {
                Ok(Some(said)) => said,
                Ok(None) => return Some(None),
                Err(error) => {
                    self.tell(OracleState::Disconnected(error.to_string()));
                    return Some(None);
                }
            };
            let block = Arc::clone(block);
            match pool.run(move || plausible::index(at, &block, &said)).await? {
                Ok(Plausible { block, computed }) => {
                    self.counters.recomputed.inc_by(computed);
                    return Some(Some(block));
                }
                Err(why) => wrong = Some(why),
            }
        }
        if let Some(Implausible(why)) = wrong {
            self.counters.implausible.inc();
            let why = format!("of block {} ({}): {why}", at.height, at.hash);
            self.tell(OracleState::Implausible(why));
        }
        Some(None)
    }

    /// What it says of a block; `None` when it has not this block.
    async fn said(&self, version: Version, at: BlockRef) -> Result<Option<Said>, NoAnswer> {
        let mut waits = NOT_YET.iter();
        loop {
            if let Some(said) = self.ask(self.http.block(version, at)).await? {
                return Ok(Some(said));
            }
            let behind = self.is_behind(at.height);
            match waits.next().filter(|_| !behind) {
                Some(wait) => sleep(*wait).await,
                None => {
                    self.set_behind(at.height);
                    tracing::debug!(height = at.height, "the BlindBit Oracle has not this block");
                    return Ok(None);
                }
            }
        }
    }

    /// Which version answers there, if it is an Oracle of our network.
    async fn find(&self) -> Result<Version, String> {
        let info = self.ask(self.http.info()).await.map_err(|e| e.to_string())?;
        if !is_of(self.network, &info.network) {
            let (found, ours) = (info.network, self.network.name());
            return Err(format!(
                "it is an Oracle of {found:?}, and the relay is configured for {ours}"
            ));
        }
        let version = self.ask(self.http.version(&info)).await.map_err(|e| e.to_string())?;
        if version == Version::V1 && !(info.tweaks_full_basic || info.tweaks_full_with_dust_filter) {
            return Err(
                "it keeps no tweaks of all transactions (tweaks_full_basic, tweaks_full_with_dust_filter)".to_owned(),
            );
        }
        Ok(version)
    }

    async fn ask<T>(&self, question: impl Future<Output = Result<T, NoAnswer>>) -> Result<T, NoAnswer> {
        self.counters.requests.inc();
        let answer = question.await;
        if answer.is_err() {
            self.counters.failures.inc();
        }
        answer
    }

    fn tell(&self, state: OracleState) {
        self.state.send_if_modified(|now| {
            if *now == state {
                return false;
            }
            match &state {
                OracleState::Asking => {}
                OracleState::Connected(version) => {
                    tracing::info!(
                        url = self.url(),
                        version = version.number(),
                        "the BlindBit Oracle answers"
                    );
                }
                OracleState::Disconnected(why) if !matches!(now, OracleState::Disconnected(_)) => {
                    tracing::warn!(
                        url = self.url(),
                        why,
                        "the BlindBit Oracle does not answer: the relay computes tweaks itself until it does"
                    );
                }
                OracleState::Disconnected(_) => {}
                OracleState::Implausible(why) => {
                    tracing::error!(
                        url = self.url(),
                        why,
                        "the BlindBit Oracle said something wrong: the relay computes tweaks itself for a while"
                    );
                }
            }
            *now = state;
            true
        });
    }

    fn is_behind(&self, height: u32) -> bool {
        let behind = self.behind.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        behind.is_some_and(|(lacked, until)| height >= lacked && Instant::now() < until)
    }

    fn set_behind(&self, height: u32) {
        let mut behind = self.behind.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let still = behind.filter(|(_, until)| Instant::now() < *until);
        let lowest = still.map_or(height, |(lacked, _)| lacked.min(height));
        *behind = Some((lowest, Instant::now() + BEHIND_FOR));
    }
}

/// Whether an Oracle that calls its network so is one of ours.
fn is_of(network: Network, name: &str) -> bool {
    match network {
        Network::Mainnet => matches!(name, "main" | "mainnet"),
        Network::Testnet => matches!(name, "testnet" | "test" | "testnet3"),
        // BlindBit has no name of its own for it.
        Network::Testnet4 => matches!(name, "testnet4" | "testnet"),
        Network::Signet => name == "signet",
        Network::Regtest => name == "regtest",
    }
}

fn own(at: BlockRef, block: &BlockWithPrevouts) -> IndexedBlock {
    indexed(at, block, &Fast::new())
}
