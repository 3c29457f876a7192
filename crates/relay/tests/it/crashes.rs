//! The relay is killed repeatedly at random moments: a client that resumes receives every event exactly once, and its
//! final state matches the node.
//!
//! Actions and the moments of kills are derived from a seed. A failure prints it; `RELAY_TEST_SEED=N` repeats the run,
//! as far as timing allows.

pub(crate) mod embedded;
mod node;

use std::time::Duration;

use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng, SeedableRng, random};
use testkit::RelayProcess;

/// Number of kills.
const KILLS: usize = 20;

/// Delay of the kill in microseconds after the actions start: from the first instruction of a commit to several
/// payments later.
pub(crate) const KILL_AFTER: std::ops::RangeInclusive<f64> = 10.0..=50_000.0;

/// Delay in microseconds of a kill during the start: within it, the debug build opens its store, catches up and scans
/// the mempool.
const CUT_START_AFTER: std::ops::RangeInclusive<f64> = 2_000.0..=300_000.0;

/// Random numbers from a seed that a failing test prints.
pub(crate) struct Chance {
    rng: StdRng,
    seed: u64,
}

impl Chance {
    pub(crate) fn new() -> Chance {
        let seed = match std::env::var("RELAY_TEST_SEED") {
            Ok(text) => text.parse().expect("RELAY_TEST_SEED is a number"),
            Err(_) => random(),
        };
        let rng = StdRng::seed_from_u64(seed);
        Chance { rng, seed }
    }

    /// A uniform random number of `range`.
    pub(crate) fn of<T, R>(&mut self, range: R) -> T
    where
        T: bitcoin::secp256k1::rand::distributions::uniform::SampleUniform,
        R: bitcoin::secp256k1::rand::distributions::uniform::SampleRange<T>,
    {
        self.rng.gen_range(range)
    }

    /// True `percent` times in a hundred.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.rng.gen_ratio(percent, 100)
    }

    /// A random delay, uniform in its order of magnitude: most of the work happens in the shortest ones.
    pub(crate) fn delay(&mut self, micros: std::ops::RangeInclusive<f64>) -> Duration {
        let exponent = self.rng.gen_range(micros.start().ln()..=micros.end().ln());
        Duration::from_secs_f64(exponent.exp() / 1e6)
    }
}

impl Drop for Chance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("RELAY_TEST_SEED={} does the same again", self.seed);
        }
    }
}

/// Kills the relay after `delay`, on a separate thread: the clock of tokio has a resolution of one millisecond.
pub(crate) async fn kill_after(delay: Duration, mut relay: RelayProcess) -> RelayProcess {
    let killing = tokio::task::spawn_blocking(move || {
        std::thread::sleep(delay);
        relay.kill9();
        relay
    });
    killing.await.expect("a killed relay")
}

/// Starts the killed relay again, sometimes after a start that is interrupted by another kill.
pub(crate) async fn start_again(relay: &mut RelayProcess, chance: &mut Chance) {
    if chance.percent(40) {
        let delay = chance.delay(CUT_START_AFTER);
        // The timeout leaves the process running.
        drop(tokio::time::timeout(delay, relay.start_again()).await);
        relay.kill9();
    }
    relay.start_again().await;
}
