//! One hostile relay in ten: the honest ones know each other, and consider each other healthy.
//!
//! `MESH_SEED` is the first seed, `MESH_SEEDS` their number (`scripts/soak mesh`). A run is reproducible by its seed.

use sdk_relay_mesh::Config;
use sdk_relay_mesh_sim::Hostility::{self, Accuses, Invents, Lies, Mute, Squats};
use sdk_relay_mesh_sim::{Shape, Simulation};
use sdk_relay_protocol::http::RelayHealth;

const RELAYS: usize = 60;

/// Rounds within which all honest relays know each other and consider each other healthy.
const ROUNDS: u32 = 15;

/// Further rounds in which none becomes critical.
const AFTER: u32 = 3;

const TWO_INVENT: [Hostility; 6] = [Invents, Invents, Squats, Accuses, Mute, Lies];
const TWO_LIE: [Hostility; 6] = [Invents, Squats, Accuses, Mute, Lies, Lies];

/// The runs in CI. Seed 10 failed while a failed dial counted against a key that had got the name meanwhile, seed 20
/// while near inventions were dialled before honest relays that were accused.
const RUNS: [(u64, [Hostility; 6]); 3] = [(10, TWO_INVENT), (20, TWO_INVENT), (12, TWO_LIE)];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

fn honest_relays_converge(hostile: [Hostility; 6], seed: u64) {
    let mut simulation = Simulation::new(RELAYS, Shape::Tree, Config::default(), seed);
    // They come last, so that no honest relay is configured with a hostile one only.
    for (n, hostility) in (RELAYS - hostile.len()..RELAYS).zip(hostile) {
        simulation.make_hostile(n, hostility);
    }
    let rounds = simulation.until(ROUNDS, Simulation::honest_see_each_other_healthy);
    eprintln!("{hostile:?}, seed {seed}: {rounds:?} rounds");
    let not_healthy = |health| health != RelayHealth::Healthy;
    assert!(
        rounds.is_some(),
        "{hostile:?}, seed {seed}: after {ROUNDS} rounds {:?}",
        simulation.misclassified_by_honest(not_healthy)
    );
    for round in 1..=AFTER {
        simulation.rounds(1);
        let misclassified = simulation.misclassified_by_honest(|health| health == RelayHealth::Critical);
        assert_eq!(misclassified, None, "{hostile:?}, seed {seed}, {round} rounds later");
    }
}

#[test]
fn with_one_hostile_relay_in_ten_honest_relays_converge() {
    let runs = match number("MESH_SEED") {
        Some(first) => (first..first + number("MESH_SEEDS").unwrap_or(1))
            .flat_map(|seed| [(seed, TWO_INVENT), (seed, TWO_LIE)])
            .collect(),
        None => RUNS.to_vec(),
    };
    for (seed, hostile) in runs {
        honest_relays_converge(hostile, seed);
    }
}
