//! The platform with and without a simulation.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure in here is a failed test")]

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use bitcoin::secp256k1::SecretKey;
use bitcoin::secp256k1::rand::RngCore as _;
use sdk_relay_platform::{blocking, clock, random, simulation};
use tokio::time::sleep;

const START: u64 = 1_700_000_000;

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    number: u64,
    bytes: [u8; 40],
    key: SecretKey,
    times: [u64; 2],
    order: Vec<&'static str>,
}

/// Runs this in a simulation that begins at [`START`].
fn simulate<T>(seed: u64, work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let _simulation = simulation::enter(seed, START);
        work.await
    })
}

/// Draws, waits an hour, and runs blocking work, in a simulation with this seed.
fn simulated(seed: u64) -> Seen {
    simulate(seed, async {
        let mut bytes = [0; 40];
        random::rng().fill_bytes(&mut bytes);
        let number = random::rng().next_u64();
        let key = SecretKey::new(&mut random::rng());
        let before = clock::unix_now();
        let monotonic = clock::monotonic();
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock::monotonic() - monotonic, Duration::from_secs(3600));
        let this = thread::current().id();
        let first = blocking::spawn(move || (thread::current().id() == this).then_some("first"));
        let second = blocking::spawn(move || (thread::current().id() == this).then_some("second"));
        let order = [first.await.unwrap(), second.await.unwrap()];
        Seen {
            number,
            bytes,
            key,
            times: [before, clock::unix_now()],
            order: order.into_iter().flatten().collect(),
        }
    })
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let seen = simulated(7);
    assert_eq!(seen.times, [START, START + 3600]);
    assert_eq!(
        seen.order,
        ["first", "second"],
        "on the thread of the simulation, in order"
    );
    assert_eq!(seen, simulated(7));
    let other = simulated(8);
    assert!(seen.number != other.number && seen.bytes != other.bytes && seen.key != other.key);
}

#[test]
fn a_panic_of_blocking_work_is_reported_to_who_waits_for_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for simulated in [false, true] {
        let joined = runtime.block_on(async {
            let _simulation = simulated.then(|| simulation::enter(1, START));
            blocking::spawn(|| panic!("a fault of the test")).await
        });
        assert!(joined.unwrap_err().is_panic());
    }
}

#[tokio::test]
async fn without_a_simulation_it_is_the_system() {
    drop(simulation::enter(1, START));
    let numbers: BTreeSet<u64> = (0..100).map(|_| random::rng().next_u64()).collect();
    assert_eq!(numbers.len(), 100);
    assert!(clock::unix_now() > START);
    let other = blocking::spawn(|| thread::current().id()).await.unwrap();
    assert_ne!(other, thread::current().id());
}

/// A simulation belongs to its thread: other threads keep the system's clock.
#[test]
fn other_threads_are_not_simulated() {
    let _simulation = simulation::enter(1, 1_000);
    assert_eq!(clock::unix_now(), 1_000);
    let other = thread::Builder::new().spawn(clock::unix_now).unwrap();
    assert!(other.join().unwrap() > START);
}

mod net;
