//! What the mesh promises: the cost of joining and of rest, the time that a death takes, and agreement after every fault, whatever the seed.

use sdk_relay_mesh::Config;
use sdk_relay_mesh_sim::{Shape, Simulation};

/// `scripts/soak` has more: MESH_SEEDS from MESH_SEED on.
fn seeds() -> impl Iterator<Item = u64> {
    let number = |variable, default| std::env::var(variable).map_or(default, |text| text.parse().unwrap());
    (number("MESH_SEED", 11)..).take(number("MESH_SEEDS", 2) as usize)
}

/// Rounds in which all are to agree.
const ROUNDS: u32 = 15;

/// All know all, in time and at a bounded price.
fn joined(relays: usize, seed: u64) -> Simulation {
    let mut simulation = Simulation::new(relays, Shape::Tree, Config::default(), seed);
    let rounds = simulation.until(ROUNDS, Simulation::agree_on_health);
    assert!(
        rounds.is_some(),
        "{relays} relays, seed {seed}: not after {ROUNDS} rounds"
    );
    simulation
}

/// The most that one has sent, in full lists.
fn most_in_lists(simulation: &Simulation) -> f64 {
    simulation.most_sent() as f64 / simulation.full_list() as f64
}

/// What a relay sends in a round of rest.
fn at_rest(simulation: &mut Simulation) -> f64 {
    simulation.rounds(6);
    simulation.count_anew();
    simulation.rounds(8);
    simulation.mean_sent() / 8.0
}

fn a_death_is_known_in_time(simulation: &mut Simulation, dying: usize, silent: bool) {
    simulation.kill(dying, silent);
    let known = simulation.until(3 + 10, |simulation| simulation.know_dead(dying));
    assert!(known.is_some(), "silent: {silent}");
}

/// After a fault all agree again, and nobody has taken a living relay for dead for longer than three intervals.
fn recovers(mut simulation: Simulation, what: &str) {
    let rounds = simulation.until(ROUNDS, Simulation::agree_on_health);
    assert!(rounds.is_some(), "{what}: not after {ROUNDS} rounds");
    simulation.count_false_deaths();
    let most = Config::default().interval * 3;
    assert!(
        simulation.longest_false <= most,
        "{what}: {:?}",
        simulation.longest_false
    );
}

fn messages_are_lost(mut simulation: Simulation, rounds: u32, what: &str) {
    simulation.network.loss = 0.3;
    simulation.count_false_deaths_anew();
    simulation.rounds(rounds);
    simulation.count_false_deaths();
    let most = Config::default().interval * 3;
    assert!(
        simulation.longest_false <= most,
        "{what}: {:?} under loss",
        simulation.longest_false
    );
    simulation.heal();
    recovers(simulation, what);
}

/// Ten minutes.
fn half_is_cut_off(mut simulation: Simulation, what: &str) {
    simulation.network.cut = simulation.relays.len() / 2;
    simulation.rounds(20);
    simulation.heal();
    recovers(simulation, what);
}

/// With clocks that are a minute off.
fn a_fifth_is_restarted(mut simulation: Simulation, seed: u64, what: &str) {
    for n in (0..simulation.relays.len()).filter(|n| (*n as u64 * 7 + seed).is_multiple_of(5)) {
        simulation.restart(n, if n % 2 == 0 { 60 } else { -60 });
    }
    simulation.count_false_deaths_anew();
    recovers(simulation, what);
}

#[test]
fn a_thousand_join_rest_lose_one_and_restart_a_fifth() {
    let mut simulation = joined(1000, 1);
    let most = most_in_lists(&simulation);
    assert!(most <= 4.0, "the one that sends most: {most:.2} lists");
    let thousand = at_rest(&mut simulation);
    let ten = at_rest(&mut joined(10, 1));
    let factor = thousand.max(ten) / thousand.min(ten);
    assert!(factor <= 2.0, "at rest {ten:.0} B of 10, {thousand:.0} B of 1000");
    a_death_is_known_in_time(&mut simulation, 500, true);
    a_fifth_is_restarted(simulation, 4, "1000 relays");
}

#[test]
fn many_lose_messages() {
    messages_are_lost(joined(400, 2), 10, "400 relays");
}

#[test]
fn many_are_cut_in_two() {
    half_is_cut_off(joined(400, 3), "400 relays");
}

#[test]
fn joining_and_rest_whatever_the_seed() {
    for seed in seeds() {
        let mut simulation = joined(300, seed);
        let most = most_in_lists(&simulation);
        assert!(most <= 4.0, "seed {seed}: {most:.2} lists");
        let (many, few) = (at_rest(&mut simulation), at_rest(&mut joined(10, seed)));
        assert!(
            many.max(few) / many.min(few) <= 2.0,
            "seed {seed}: {few:.0} B, {many:.0} B"
        );
    }
}

#[test]
fn deaths_whatever_the_seed() {
    for seed in seeds() {
        let mut simulation = joined(100, seed);
        a_death_is_known_in_time(&mut simulation, seed as usize % 16 * 6, true);
        a_death_is_known_in_time(&mut simulation, seed as usize % 16 * 5 + 1, false);
    }
}

#[test]
fn losses_whatever_the_seed() {
    for seed in seeds() {
        messages_are_lost(joined(100, seed), 20, &format!("seed {seed}"));
    }
}

#[test]
fn cuts_whatever_the_seed() {
    for seed in seeds() {
        half_is_cut_off(joined(100, seed), &format!("seed {seed}"));
    }
}

#[test]
fn restarts_whatever_the_seed() {
    for seed in seeds() {
        a_fifth_is_restarted(joined(100, seed), seed, &format!("seed {seed}"));
    }
}
