//! Small meshes; each message is decoded from its bytes.

use std::time::Duration;

use sdk_relay_mesh::{Config, DialId, LinkId, Output};
use sdk_relay_mesh_sim::{Shape, Simulation, lone, name};
use sdk_relay_protocol::http::RelayHealth;
use sdk_relay_protocol::mesh::RelayStatus;

use crate::peers::peer;

fn mesh(count: usize, shape: Shape, seed: u64) -> Simulation {
    let mut simulation = Simulation::new(count, shape, Config::default(), seed);
    simulation.decode_messages = true;
    assert!(simulation.until(15, Simulation::agree_on_health).is_some());
    simulation
}

#[test]
fn relays_know_each_other_in_any_shape() {
    for (shape, seed) in [(Shape::Ring, 1), (Shape::Tree, 2), (Shape::Star, 3)] {
        let simulation = mesh(40, shape, seed);
        for relay in &simulation.relays {
            assert_eq!(relay.mesh.relays(simulation.now).len(), 40);
            assert!(relay.mesh.links() <= 8, "{shape:?}");
        }
    }
}

#[test]
fn a_mesh_of_two_and_of_one() {
    assert_eq!(mesh(2, Shape::Ring, 1).relays[0].mesh.links(), 1);
    assert_eq!(mesh(1, Shape::Ring, 1).relays[0].mesh.links(), 0);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let simulation = mesh(20, Shape::Ring, 7);
        simulation.relays.iter().map(|relay| relay.sent).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_degraded_status_spreads_as_a_warning() {
    let mut simulation = mesh(20, Shape::Tree, 1);
    simulation.set_status(3, RelayStatus::Degraded);
    assert!(simulation.until(10, Simulation::agree).is_some());
    let health = simulation.relays[17]
        .mesh
        .relay(simulation.now, &name(3))
        .unwrap()
        .health;
    assert_eq!(health, RelayHealth::Warning);
}

#[test]
fn leave_is_announced_on_every_link_whichever_end_dialled() {
    let mut mesh = lone(Config::default());
    for (link, dial) in [(1, None), (2, Some(DialId(7)))] {
        mesh.link_up(Duration::ZERO, LinkId(link), peer(link, dial));
    }
    while mesh.poll().is_some() {}
    mesh.leave(Duration::from_secs(1));
    let leaving = std::iter::from_fn(|| mesh.poll()).filter_map(|output| match output {
        Output::Request { link, gossip, .. } => Some((link.0, gossip.entries.first()?.status)),
        _ => None,
    });
    let leaving: Vec<_> = leaving.collect();
    assert_eq!(leaving, [(1, RelayStatus::Left), (2, RelayStatus::Left)]);
}

#[test]
fn a_relay_that_leaves_is_not_accused() {
    let mut simulation = mesh(20, Shape::Ring, 1);
    simulation.leave(5);
    assert!(
        simulation
            .until(10, |simulation| simulation.all_see_critical(5))
            .is_some()
    );
    let accused: u64 = simulation
        .relays
        .iter()
        .map(|relay| relay.mesh.counters().accused)
        .sum();
    assert_eq!(accused, 0);
    assert!(simulation.relays[0].mesh.relay(simulation.now, &name(5)).is_none());
}

#[test]
fn stopped_relays_are_removed_and_can_rejoin() {
    let config = Config {
        forget_after: Duration::from_secs(600),
        ..Config::default()
    };
    let mut simulation = Simulation::new(12, Shape::Ring, config, 1);
    assert!(simulation.until(15, Simulation::agree_on_health).is_some());
    simulation.kill(4, false);
    let gone = |simulation: &Simulation| {
        let living = simulation.relays.iter().filter(|relay| relay.alive);
        living
            .into_iter()
            .all(|relay| relay.mesh.relay(simulation.now, &name(4)).is_none())
    };
    assert!(simulation.until(60, gone).is_some());
    simulation.rounds(10);
    assert!(gone(&simulation), "no relay reintroduces it");
    simulation.restart(4, 0);
    assert!(simulation.until(15, Simulation::agree_on_health).is_some());
}

#[test]
fn a_relay_whose_clock_was_set_back_exceeds_its_earlier_incarnation() {
    let mut simulation = mesh(12, Shape::Ring, 1);
    simulation.restart(4, -100_000);
    assert!(simulation.until(15, Simulation::agree_on_health).is_some());
}

#[test]
fn slow_links_cause_no_false_positives() {
    let mut simulation = Simulation::new(10, Shape::Ring, Config::default(), 1);
    simulation.network.delay = (Duration::from_secs(1), Duration::from_secs(4));
    assert!(simulation.until(15, Simulation::agree).is_some());
    simulation.rounds(20);
    simulation.reset_sent();
    simulation.reset_false_positives();
    simulation.rounds(40);
    simulation.count_false_positives();
    assert_eq!(simulation.false_positives, 0);
}
