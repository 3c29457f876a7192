//! Invalid input of every kind, about 10,000 pieces: each causes an error, a close code or the end of its connection.
//! The relay keeps running, and an uninvolved client misses no event.
//!
//! Random input is seeded: a failing run prints its seed, and `RELAY_TEST_SEED` repeats it.

mod bystander;
mod messages;
mod mutation;
mod sockets;
mod unfinished;

use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{self, Rng, SeedableRng};
use testkit::RelayProcess;

use crate::hostile::bystander::Bystander;
use crate::wire::{get, start};

/// Environment variable with the seed of an earlier run.
const SEED: &str = "RELAY_TEST_SEED";
/// More than a relay with a few hundred connections needs, and far less than one megabyte for each bad message.
const MEMORY: u64 = 200_000_000;

/// A relay under attack, and an uninvolved client.
struct Stage {
    relay: RelayProcess,
    bystander: Bystander,
    rng: StdRng,
}

impl Stage {
    async fn set() -> Stage {
        Stage::with(start().await).await
    }

    /// With a relay that waits for no client as long as a real one.
    async fn impatient() -> Stage {
        Stage::with(RelayProcess::start(crate::impatient::standalone()).await).await
    }

    async fn with(relay: RelayProcess) -> Stage {
        let seed = match std::env::var(SEED) {
            Ok(seed) => seed.parse().unwrap_or_else(|e| panic!("{SEED}={seed}: {e}")),
            Err(_) => rand::thread_rng().r#gen(),
        };
        println!("the seed is {seed}: {SEED}={seed} repeats this run");
        Stage {
            bystander: Bystander::connect(&relay).await,
            relay,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    fn url(&self) -> String {
        self.relay.ws_url()
    }

    /// Asserts that the relay runs, serves requests and is healthy, and that the uninvolved client has received every
    /// block.
    async fn end(self) {
        println!("{} blocks meanwhile", self.bystander.blocks());
        self.bystander.end(&self.relay).await;
        assert_eq!(get(&self.relay, "/health").await["status"], "healthy");
        let log = self.relay.stderr();
        for word in ["panicked", "ERROR"] {
            assert!(!log.contains(word), "{word}:\n{log}");
        }
        let memory = self.relay.resident_bytes();
        assert!(memory < MEMORY, "{memory} bytes of memory");
    }
}
