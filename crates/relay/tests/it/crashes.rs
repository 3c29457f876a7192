//! The relay is killed at random moments of its work, again and again: every event comes exactly once to a client that
//! resumes, and in the end the client believes what is true.
//!
//! What is done, and when the kill falls, follows from a seed. A failure prints it; `RELAY_TEST_SEED=N` runs the same
//! again, as far as the machine's own timing allows.

mod embedded;
mod node;

use std::time::Duration;

use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng, SeedableRng, random};
use testkit::RelayProcess;

/// Lives of the relay that end with a kill.
const KILLS: usize = 20;

/// The kill comes so many microseconds after the work has begun: from within the first instruction of a commit to
/// several payments later.
const KILL_AFTER: std::ops::RangeInclusive<f64> = 10.0..=50_000.0;

/// A start that is cut short gets so many: the debug build opens its store, catches up and looks through the mempool
/// within.
const CUT_START_AFTER: std::ops::RangeInclusive<f64> = 2_000.0..=300_000.0;

/// Random numbers from a seed that a failing test prints.
struct Chance {
    rng: StdRng,
    seed: u64,
}

impl Chance {
    fn new() -> Chance {
        let seed = match std::env::var("RELAY_TEST_SEED") {
            Ok(text) => text.parse().expect("RELAY_TEST_SEED is a number"),
            Err(_) => random(),
        };
        let rng = StdRng::seed_from_u64(seed);
        Chance { rng, seed }
    }

    /// One of `range`, each as likely.
    fn of<T, R>(&mut self, range: R) -> T
    where
        T: bitcoin::secp256k1::rand::distributions::uniform::SampleUniform,
        R: bitcoin::secp256k1::rand::distributions::uniform::SampleRange<T>,
    {
        self.rng.gen_range(range)
    }

    /// True `percent` times in a hundred.
    fn percent(&mut self, percent: u32) -> bool {
        self.rng.gen_ratio(percent, 100)
    }

    /// A delay of so many microseconds. Each order of magnitude is as likely: most of the work is done in the first of
    /// them.
    fn delay(&mut self, micros: std::ops::RangeInclusive<f64>) -> Duration {
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

/// Kills the relay after `delay`, on a thread of its own: tokio's clock knows no part of a millisecond.
async fn kill_after(delay: Duration, mut relay: RelayProcess) -> RelayProcess {
    let killing = tokio::task::spawn_blocking(move || {
        std::thread::sleep(delay);
        relay.kill9();
        relay
    });
    killing.await.expect("a killed relay")
}

/// Starts the killed relay again, now and then with a start that is cut short by another kill before it.
async fn start_again(relay: &mut RelayProcess, chance: &mut Chance) {
    if chance.percent(40) {
        let delay = chance.delay(CUT_START_AFTER);
        // Giving up the wait leaves the process running.
        drop(tokio::time::timeout(delay, relay.start_again()).await);
        relay.kill9();
    }
    relay.start_again().await;
}
