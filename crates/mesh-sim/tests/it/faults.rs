//! Faults: loss, partitions, restarts, failures, changed intervals; with more than a hundred relays.

use std::time::Duration;

use sdk_relay_mesh::Config;
use sdk_relay_mesh_sim::{Shape, Simulation};

const RELAYS: usize = 120;

fn settled(seed: u64) -> Simulation {
    let mut simulation = Simulation::new(RELAYS, Shape::Tree, Config::default(), seed);
    assert!(simulation.until(15, Simulation::agree_on_health).is_some());
    simulation.rounds(2);
    simulation
}

fn recovers(mut simulation: Simulation) {
    let rounds = simulation.until(15, Simulation::agree_on_health);
    assert!(rounds.is_some());
    simulation.count_false_positives();
    let most = Config::default().interval * 3;
    assert!(
        simulation.longest_false_positive <= most,
        "{:?}",
        simulation.longest_false_positive
    );
}

#[test]
fn a_failure_is_detected_by_all_in_time() {
    for silent in [false, true] {
        let mut simulation = settled(1);
        simulation.kill(RELAYS / 2, silent);
        let known = simulation.until(13, |simulation| simulation.all_see_critical(RELAYS / 2));
        assert!(known.is_some(), "silent: {silent}");
    }
}

#[test]
fn messages_are_lost() {
    let mut simulation = settled(2);
    simulation.network.loss = 0.3;
    simulation.reset_false_positives();
    simulation.rounds(40);
    simulation.count_false_positives();
    assert!(
        simulation.longest_false_positive <= Config::default().interval * 3,
        "{:?}",
        simulation.longest_false_positive
    );
    simulation.heal();
    recovers(simulation);
}

#[test]
fn relays_know_each_other_despite_loss() {
    let mut simulation = Simulation::new(RELAYS, Shape::Ring, Config::default(), 3);
    simulation.network.loss = 0.3;
    assert!(
        simulation
            .until(15, |simulation| simulation.relays.iter().all(|r| r
                .mesh
                .relays(simulation.now)
                .len()
                == RELAYS))
            .is_some()
    );
}

#[test]
fn a_partition_of_ten_minutes_heals() {
    let mut simulation = settled(4);
    simulation.network.cut = RELAYS / 2;
    simulation.rounds(20);
    assert!(
        simulation.relays.iter().any(|relay| relay.mesh.counters().accused > 0),
        "the partition was detected"
    );
    simulation.heal();
    recovers(simulation);
}

#[test]
fn a_fifth_is_restarted() {
    let mut simulation = settled(5);
    for n in (0..RELAYS).step_by(5) {
        simulation.restart(n, if n % 2 == 0 { 60 } else { -60 });
    }
    simulation.reset_false_positives();
    recovers(simulation);
}

#[test]
fn a_fifth_fails_at_once() {
    let mut simulation = settled(6);
    for n in (0..RELAYS).step_by(5) {
        simulation.kill(n, n % 2 == 0);
    }
    assert!(simulation.until(15, Simulation::agree_on_health).is_some());
}

#[test]
fn the_interval_changes_live() {
    let mut simulation = settled(7);
    simulation.set_interval(Duration::from_secs(5));
    simulation.rounds(20);
    simulation.set_interval(Duration::from_secs(120));
    simulation.reset_false_positives();
    simulation.rounds(20);
    simulation.count_false_positives();
    assert_eq!(simulation.false_positives, 0);
    assert!(simulation.agree_on_health());
}
