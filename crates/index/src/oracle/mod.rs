//! Compares the tweaks of the index with those of a BlindBit Oracle (`blindbit.url`).
//!
//! Guarantees: no data of the Oracle enters the index. Blocks come from the node, and tweaks are computed here; the
//! answer of the Oracle is only compared with them ([`plausible`]). No behaviour of the Oracle stops the build: a block
//! that it lacks, or has wrong, costs only that comparison. Detection never uses it.

mod behind;
mod grpc;
mod http;
mod interface;
mod plausible;
mod request;
mod state;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sdk_relay_bip352::Scanner;
use sdk_relay_chain::{BlockRef, BlockWithPrevouts};
use sdk_relay_config::{Network, WrongUrl};
use sdk_relay_platform::net::Proxy;
use sdk_relay_store::index::IndexedBlock;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::behind::Behind;
use self::interface::Interface;
use self::plausible::Wrong;
pub use self::request::Version;
use self::request::{NoAnswer, OracleBlock};
pub use self::state::{OracleCounters, OracleState};
use crate::pool::Pool;
use crate::tweaks::indexed;

/// Delays between retries for a block that the Oracle lacks: at the tip it learns of a block at the same time as the
/// relay, and needs time to process it.
const RETRY_DELAYS: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(600),
    Duration::from_millis(800),
];
/// Interval of checks that an idle Oracle is still available, and up to date.
const POLL_INTERVAL: Duration = Duration::from_secs(30);
/// Interval of checks whether an Oracle that lacked a block has it now.
const LACKED_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// First and longest retry interval of an unavailable Oracle.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// Consecutive blocks with wrong tweaks before the Oracle is suspended: a single unusual transaction, for which Oracles
/// differ from BIP352 (an annex of over 33 bytes beside the NUMS point, inputs of witness version 2 and above), affects
/// only its block.
const MAX_WRONG: u32 = 8;
/// How long a suspended Oracle receives no requests, and the longest `Retry-After` that is respected.
const SUSPENDED_FOR: Duration = Duration::from_secs(600);
/// Shortest interval between warnings about wrong blocks; `/metrics` counts all of them.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The Oracle of the configuration.
#[derive(Debug)]
pub struct Oracle {
    interface: Interface,
    network: Network,
    state: watch::Sender<OracleState>,
    behind: Mutex<Behind>,
    /// Notified when the Oracle lacks a block for the first time since it was complete.
    lacking: Notify,
    /// Consecutive blocks with wrong tweaks.
    wrong: AtomicU32,
    warned: Mutex<Option<Instant>>,
    /// End of the pause of `Retry-After`.
    pause: Mutex<Option<Instant>>,
    counters: OracleCounters,
}

impl Oracle {
    /// The Oracle at this address, reached through the proxy if there is one. No request is sent before [`Oracle::run`]
    /// is called.
    pub fn new(url: &str, proxy: Option<Proxy>, network: Network) -> Result<Self, WrongUrl> {
        Ok(Self {
            interface: Interface::new(url, proxy)?,
            network,
            state: watch::Sender::new(OracleState::Pending),
            behind: Mutex::default(),
            lacking: Notify::new(),
            wrong: AtomicU32::new(0),
            warned: Mutex::default(),
            pause: Mutex::default(),
            counters: OracleCounters::default(),
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.interface.url()
    }

    /// Its state.
    pub fn state(&self) -> OracleState {
        let state = self.state.borrow().clone();
        match state {
            OracleState::Connected(_) => held(&self.behind).lacks().map_or(state, OracleState::Behind),
            state => state,
        }
    }

    /// Its counters.
    pub fn counters(&self) -> &OracleCounters {
        &self.counters
    }

    /// Detects the Oracle, checks it regularly, and reconnects after an outage. Never returns.
    pub async fn run(self: Arc<Self>) {
        let mut seen = self.state.subscribe();
        let mut retry = FIRST_RETRY;
        loop {
            let state = seen.borrow_and_update().clone();
            match state {
                OracleState::Pending | OracleState::Disconnected(_) => {
                    let pause = held(&self.pause).take();
                    if let Some(until) = pause {
                        sleep_until(until).await;
                    }
                    match self.find().await {
                        Ok(version) => {
                            retry = FIRST_RETRY;
                            self.set_state(OracleState::Connected(version));
                        }
                        Err(why) => {
                            self.set_state(OracleState::Disconnected(why));
                            // A requested pause is added.
                            sleep(retry).await;
                            retry = (retry * 2).min(LONGEST_RETRY);
                        }
                    }
                }
                OracleState::Connected(version) => {
                    let lacked = held(&self.behind).newest_lacked();
                    let every = lacked.map_or(POLL_INTERVAL, |_| LACKED_POLL_INTERVAL);
                    let news = async {
                        tokio::select! {
                            _ = seen.changed() => {}
                            () = self.lacking.notified() => {}
                        }
                    };
                    // A failure is normally noticed by a request for a block; this check covers times without blocks.
                    if timeout(every, news).await.is_err()
                        && let Err(error) = self.probe(version, lacked).await
                    {
                        self.is_away(&error);
                    }
                }
                // `Behind` is never stored: `state` derives it from `Connected`.
                OracleState::Implausible(_) | OracleState::Behind(_) => {
                    sleep(SUSPENDED_FOR).await;
                    self.set_state(OracleState::Pending);
                }
            }
        }
    }

    /// Checks that it is available and up to date, or whether it now has the block that it lacked.
    async fn probe(&self, version: Version, lacked: Option<BlockRef>) -> Result<(), NoAnswer> {
        match lacked {
            Some(at) => {
                if self.ask(self.interface.has_block(version, at)).await? {
                    held(&self.behind).has(at.height);
                }
            }
            None => {
                let info = self.ask(self.interface.info()).await?;
                held(&self.behind).is_at(info.height);
            }
        }
        Ok(())
    }

    /// Computes the index entry of the block, and compares it with the answer of the Oracle. `None` if a thread of the
    /// pool failed.
    pub async fn index(
        &self,
        at: BlockRef,
        block: BlockWithPrevouts,
        pool: &Pool,
        scanner: Scanner,
    ) -> Option<IndexedBlock> {
        let own = pool.run(move || indexed(at, &block, &scanner)).await?;
        held(&self.behind).we_have(at);
        // A block without eligible transactions has nothing to compare.
        if !own.transactions.is_empty() {
            if self.agrees(&own, at).await {
                self.counters.blocks.inc();
            } else {
                self.counters.own_blocks.inc();
            }
        }
        Some(own)
    }

    /// Its API version; `None` while it is unavailable or suspended.
    async fn version(&self) -> Option<Version> {
        let mut state = self.state.subscribe();
        // Terminates: each request of the first check has a deadline.
        let known = state.wait_for(|s| *s != OracleState::Pending).await.ok()?;
        match *known {
            OracleState::Connected(version) => Some(version),
            _ => None,
        }
    }

    /// Whether its tweaks match the computed ones.
    async fn agrees(&self, own: &IndexedBlock, at: BlockRef) -> bool {
        let Some(version) = self.version().await else {
            return false;
        };
        let mut wrong = None;
        // With version 1, block hash and tweaks are two requests, and a reorganisation may happen between them: only a
        // second mismatch counts.
        for _ in 0..2 {
            let theirs = match self.fetch_block(version, at).await {
                Ok(Some(theirs)) => theirs,
                Ok(None) => return false,
                Err(error) => {
                    self.is_away(&error);
                    return false;
                }
            };
            match plausible::check(own, &theirs) {
                Ok(beside) => {
                    self.wrong.store(0, Ordering::Relaxed);
                    self.counters.recomputed.inc_by(own.transactions.len() as u64);
                    self.counters.beside.inc_by(beside);
                    return true;
                }
                Err(why) => wrong = Some(why),
            }
        }
        if let Some(Wrong(why)) = wrong {
            self.is_wrong(format!("block {} ({}): {why}", at.height, at.hash));
        }
        false
    }

    /// Records a wrong block; suspends the Oracle after several in a row.
    fn is_wrong(&self, why: String) {
        self.counters.implausible.inc();
        if self.wrong.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_WRONG {
            self.wrong.store(0, Ordering::Relaxed);
            return self.set_state(OracleState::Implausible(why));
        }
        let mut warned = held(&self.warned);
        if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            *warned = Some(Instant::now());
            tracing::warn!(
                url = self.url(),
                why,
                "the BlindBit Oracle is wrong about a block; it is not used for this block"
            );
        }
    }

    /// Records that it does not answer, or requested a pause.
    fn is_away(&self, error: &NoAnswer) {
        let why = self.why(error);
        self.set_state(OracleState::Disconnected(why));
    }

    /// The reason as text; records a requested pause.
    fn why(&self, error: &NoAnswer) -> String {
        if let NoAnswer::Busy { pause, .. } = error {
            *held(&self.pause) = Some(Instant::now() + (*pause).min(SUSPENDED_FOR));
        }
        error.to_string()
    }

    /// Its answer for a block; `None` if it does not have the block.
    async fn fetch_block(&self, version: Version, at: BlockRef) -> Result<Option<OracleBlock>, NoAnswer> {
        let mut waits = RETRY_DELAYS.iter();
        loop {
            if let Some(theirs) = self.ask(self.interface.block(version, at)).await? {
                held(&self.behind).has(at.height);
                return Ok(Some(theirs));
            }
            let behind = held(&self.behind).is_behind(at.height);
            match waits.next().filter(|_| !behind) {
                Some(wait) => sleep(*wait).await,
                None => {
                    if held(&self.behind).lacks_block(at) {
                        self.lacking.notify_one();
                    }
                    tracing::debug!(height = at.height, "the BlindBit Oracle does not have this block");
                    return Ok(None);
                }
            }
        }
    }

    /// Detects the API version, and checks that the Oracle is of our network.
    async fn find(&self) -> Result<Version, String> {
        let info = self.ask(self.interface.info()).await.map_err(|e| self.why(&e))?;
        if !is_of(self.network, &info.network) {
            let (found, ours) = (info.network, self.network.name());
            return Err(format!(
                "it is an Oracle for {found:?}, and the relay is configured for {ours}"
            ));
        }
        let version = self
            .ask(self.interface.version(&info))
            .await
            .map_err(|e| self.why(&e))?;
        if version == Version::V1 && !(info.tweaks_full_basic || info.tweaks_full_with_dust_filter) {
            return Err(
                "it does not have the tweaks of all transactions (tweaks_full_basic, tweaks_full_with_dust_filter)"
                    .to_owned(),
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

    fn set_state(&self, state: OracleState) {
        self.state.send_if_modified(|now| {
            if *now == state {
                return false;
            }
            match &state {
                OracleState::Pending | OracleState::Behind(_) => {}
                OracleState::Connected(version) => {
                    tracing::info!(
                        url = self.url(),
                        version = version.number(),
                        "comparing the tweak index with the BlindBit Oracle"
                    );
                }
                OracleState::Disconnected(why) if !matches!(now, OracleState::Disconnected(_)) => {
                    tracing::warn!(
                        url = self.url(),
                        why,
                        "the BlindBit Oracle does not answer; tweaks are not compared until it does"
                    );
                }
                OracleState::Disconnected(_) => {}
                OracleState::Implausible(why) => {
                    tracing::error!(
                        url = self.url(),
                        why,
                        "the BlindBit Oracle was wrong about eight blocks in a row; sending it no requests for 10 minutes"
                    );
                }
            }
            *now = state;
            true
        });
    }
}

/// Whether this network name of an Oracle denotes our network.
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

fn held<T>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
