//! A BlindBit Oracle as a second opinion on the index's tweaks (`blindbit.url`).
//!
//! Guarantees: nothing gets into the index on the Oracle's word. Blocks are the node's and tweaks are computed here;
//! what an Oracle says is held against them ([`plausible`]). Whatever it does, the index grows: a block that it does
//! not have, or is wrong of, costs nothing but that comparison. Detection never asks it.

mod behind;
mod http;
mod plausible;
mod state;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sdk_relay_bip352::Scanner;
use sdk_relay_chain::{BlockRef, BlockWithPrevouts};
use sdk_relay_config::{Network, WrongUrl};
use sdk_relay_store::index::IndexedBlock;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::behind::Behind;
pub use self::http::Version;
use self::http::{Http, NoAnswer, Said};
use self::plausible::Wrong;
pub use self::state::{OracleCounters, OracleState};
use crate::pool::Pool;
use crate::tweaks::indexed;

/// Waits between questions about a block that the Oracle has not: at the tip it hears of a block when we do, and takes
/// a moment for it.
const NOT_YET: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(600),
    Duration::from_millis(800),
];
/// Between two looks whether a quiet Oracle is still there, and as far as we are.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two looks whether one that lacks a block has it now.
const LOOK_FOR_LACKED_EVERY: Duration = Duration::from_secs(5);
/// First and longest wait between two tries to find one that is away.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// Blocks in a row of which it must be wrong before it is left alone: one odd transaction, on which Oracles differ from
/// BIP352 (an annex of over 33 bytes beside the NUMS point, inputs of witness version 2 and above), costs no more than
/// its block.
const ALL_WRONG: u32 = 8;
/// How long one that is wrong of every block is not asked, and the longest pause that one may ask for.
const LEFT_ALONE_FOR: Duration = Duration::from_secs(600);
/// Between two warnings that it is wrong of a block: `/metrics` counts them all.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The Oracle of the configuration.
#[derive(Debug)]
pub struct Oracle {
    http: Http,
    network: Network,
    state: watch::Sender<OracleState>,
    behind: Mutex<Behind>,
    /// A block has been missed, the first since all was there.
    lacking: Notify,
    /// Blocks in a row of which it was wrong.
    wrong: AtomicU32,
    warned: Mutex<Option<Instant>>,
    /// Until when it asked to be left alone.
    pause: Mutex<Option<Instant>>,
    counters: OracleCounters,
}

impl Oracle {
    /// The Oracle at this address. Nothing is asked before [`Oracle::keep_looking`] runs.
    pub fn new(url: &str, network: Network) -> Result<Self, WrongUrl> {
        Ok(Self {
            http: Http::new(url)?,
            network,
            state: watch::Sender::new(OracleState::Asking),
            behind: Mutex::default(),
            lacking: Notify::new(),
            wrong: AtomicU32::new(0),
            warned: Mutex::default(),
            pause: Mutex::default(),
            counters: OracleCounters::default(),
        })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.http.url()
    }

    /// How it is.
    pub fn state(&self) -> OracleState {
        let state = self.state.borrow().clone();
        match state {
            OracleState::Connected(_) => held(&self.behind).lacks().map_or(state, OracleState::Behind),
            state => state,
        }
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
                OracleState::Asking | OracleState::Disconnected(_) => {
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
                            // A pause that it asked for comes on top.
                            sleep(retry).await;
                            retry = (retry * 2).min(LONGEST_RETRY);
                        }
                    }
                }
                OracleState::Connected(version) => {
                    let lacked = held(&self.behind).newest_lacked();
                    let every = lacked.map_or(LOOK_EVERY, |_| LOOK_FOR_LACKED_EVERY);
                    let news = async {
                        tokio::select! {
                            _ = seen.changed() => {}
                            () = self.lacking.notified() => {}
                        }
                    };
                    // Whoever asks for a block notices first; this is for a time without blocks.
                    if timeout(every, news).await.is_err()
                        && let Err(error) = self.look(version, lacked).await
                    {
                        self.is_away(&error);
                    }
                }
                // `Behind` is never kept: it is what `state` makes of `Connected`.
                OracleState::Implausible(_) | OracleState::Behind(_) => {
                    sleep(LEFT_ALONE_FOR).await;
                    self.set_state(OracleState::Asking);
                }
            }
        }
    }

    /// Looks whether it is still there and as far as we are, or whether it has the block now that it lacked.
    async fn look(&self, version: Version, lacked: Option<BlockRef>) -> Result<(), NoAnswer> {
        match lacked {
            Some(at) => {
                if self.ask(self.http.has_block(version, at)).await? {
                    held(&self.behind).has(at.height);
                }
            }
            None => {
                let info = self.ask(self.http.info()).await?;
                held(&self.behind).is_at(info.height);
            }
        }
        Ok(())
    }

    /// The block as the index keeps it, compared with what the Oracle says of it. `None` when a thread of the pool
    /// failed.
    pub async fn index(
        &self,
        at: BlockRef,
        block: BlockWithPrevouts,
        pool: &Pool,
        scanner: Scanner,
    ) -> Option<IndexedBlock> {
        let own = pool.run(move || indexed(at, &block, &scanner)).await?;
        held(&self.behind).we_have(at);
        // Of a block without an eligible transaction there is nothing to be said.
        if !own.transactions.is_empty() {
            if self.agrees(&own, at).await {
                self.counters.blocks.inc();
            } else {
                self.counters.own_blocks.inc();
            }
        }
        Some(own)
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

    /// Whether it says of the block what we have computed.
    async fn agrees(&self, own: &IndexedBlock, at: BlockRef) -> bool {
        let Some(version) = self.version().await else {
            return false;
        };
        let mut wrong = None;
        // Of version 1 the block and its tweaks come in two answers, and a reorganisation may lie between them: it must
        // be wrong twice.
        for _ in 0..2 {
            let said = match self.said(version, at).await {
                Ok(Some(said)) => said,
                Ok(None) => return false,
                Err(error) => {
                    self.is_away(&error);
                    return false;
                }
            };
            match plausible::check(own, &said) {
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

    /// It is wrong of a block: that costs the block. Of one after the other: it is left alone for a while.
    fn is_wrong(&self, why: String) {
        self.counters.implausible.inc();
        if self.wrong.fetch_add(1, Ordering::Relaxed) + 1 >= ALL_WRONG {
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

    /// It does not answer, or asks to be left alone for a while.
    fn is_away(&self, error: &NoAnswer) {
        let why = self.why(error);
        self.set_state(OracleState::Disconnected(why));
    }

    /// Why there is no answer, in words; a pause that was asked for is noted.
    fn why(&self, error: &NoAnswer) -> String {
        if let NoAnswer::Busy { pause, .. } = error {
            *held(&self.pause) = Some(Instant::now() + (*pause).min(LEFT_ALONE_FOR));
        }
        error.to_string()
    }

    /// What it says of a block; `None` when it has not this block.
    async fn said(&self, version: Version, at: BlockRef) -> Result<Option<Said>, NoAnswer> {
        let mut waits = NOT_YET.iter();
        loop {
            if let Some(said) = self.ask(self.http.block(version, at)).await? {
                held(&self.behind).has(at.height);
                return Ok(Some(said));
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

    /// Which version answers there, if it is an Oracle of our network.
    async fn find(&self) -> Result<Version, String> {
        let info = self.ask(self.http.info()).await.map_err(|e| self.why(&e))?;
        if !is_of(self.network, &info.network) {
            let (found, ours) = (info.network, self.network.name());
            return Err(format!(
                "it is an Oracle for {found:?}, and the relay is configured for {ours}"
            ));
        }
        let version = self.ask(self.http.version(&info)).await.map_err(|e| self.why(&e))?;
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
                OracleState::Asking | OracleState::Behind(_) => {}
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

fn held<T>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
