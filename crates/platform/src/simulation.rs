//! A simulation of the platform, for one thread.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bitcoin::secp256k1::rand::SeedableRng as _;
use bitcoin::secp256k1::rand::rngs::StdRng;
use tokio::time::Instant;

use crate::net::memory;
pub use crate::net::memory::{Reachability, reset_connections, set_name, set_reachability};

thread_local! {
    static ACTIVE: RefCell<Option<Simulation>> = const { RefCell::new(None) };
}

struct Simulation {
    rng: StdRng,
    /// The time of day at `began`.
    start: SystemTime,
    began: Instant,
}

/// Ends the simulation of its thread when it is dropped.
#[derive(Debug)]
#[must_use = "the simulation ends with it"]
pub struct Guard(std::marker::PhantomData<*const ()>);

/// Simulates the platform on this thread until the guard is dropped: randomness from `seed`, and a time of day that
/// begins at `unix_seconds` and moves with tokio's clock. For a current-thread runtime whose clock is paused: tasks on
/// other threads are not part of it.
///
/// Panics where this thread simulates already.
pub fn enter(seed: u64, unix_seconds: u64) -> Guard {
    let simulation = Simulation {
        rng: StdRng::seed_from_u64(seed),
        start: UNIX_EPOCH + Duration::from_secs(unix_seconds),
        began: Instant::now(),
    };
    let before = ACTIVE.replace(Some(simulation));
    assert!(before.is_none(), "this thread runs a simulation already");
    memory::begin();
    Guard(std::marker::PhantomData)
}

impl Drop for Guard {
    fn drop(&mut self) {
        ACTIVE.take();
        memory::end();
    }
}

/// Whether this thread runs a simulation.
pub fn is_active() -> bool {
    ACTIVE.with_borrow(Option::is_some)
}

pub(crate) fn time_of_day() -> Option<SystemTime> {
    ACTIVE.with_borrow(|active| {
        active
            .as_ref()
            .map(|simulation| simulation.start + simulation.began.elapsed())
    })
}

pub(crate) fn with_rng<T>(draw: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
    ACTIVE.with_borrow_mut(|active| active.as_mut().map(|simulation| draw(&mut simulation.rng)))
}
