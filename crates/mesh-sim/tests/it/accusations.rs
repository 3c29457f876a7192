//! Accusations that peers send.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh::{DialId, LinkId, Mesh, Output};
use sdk_relay_mesh_sim::SimulatedKeys;
use sdk_relay_protocol::http::RelayHealth;
use sdk_relay_protocol::mesh::{Accusation, Gossip, Have};

use crate::peers::{ROUND, accusation_by, dials, entry, id, link, mesh, peer, send};

fn accuse(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, accusation: Arc<Accusation>) {
    let gossip = Gossip {
        accusations: vec![accusation],
        ..Gossip::default()
    };
    mesh.request(now, LinkId(over), Box::new(gossip));
}

/// The dial of this relay that is due by `now`, while this link is alive.
fn dial_of(mesh: &mut Mesh<SimulatedKeys>, now: Duration, over: u64, n: u64) -> Option<DialId> {
    mesh.received(now, LinkId(over));
    mesh.tick(now);
    let dials = dials(mesh).into_iter().filter(|(_, relay)| *relay == id(n));
    dials.last().map(|(dial, _)| dial)
}

#[test]
fn an_accused_relay_is_critical_only_after_its_deadline_and_an_unanswered_dial() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    let accused = entry(2, 1, 1, 2);
    send(&mut mesh, ROUND, 1, vec![entry(1, 1, 1, 1), Arc::clone(&accused)]);
    accuse(&mut mesh, ROUND, 1, accusation_by(&accused, 1));
    let health = |mesh: &Mesh<_>, now| mesh.relay(now, "relay-2").unwrap().health;
    assert_eq!(health(&mesh, ROUND), RelayHealth::Warning);
    assert_eq!(
        dial_of(&mut mesh, ROUND * 2, 1, 2),
        None,
        "its time to refute is not over"
    );
    let dial = dial_of(&mut mesh, ROUND * 7 / 2, 1, 2).unwrap();
    assert_eq!(health(&mesh, ROUND * 4), RelayHealth::Warning);
    mesh.dial_failed(ROUND * 7 / 2, dial);
    assert_eq!(health(&mesh, ROUND * 7 / 2), RelayHealth::Warning);
    assert_eq!(health(&mesh, ROUND * 4), RelayHealth::Critical);
    send(&mut mesh, ROUND * 4, 1, vec![entry(2, 1, 2, 2)]);
    assert_eq!(health(&mesh, ROUND * 4), RelayHealth::Healthy);
}

#[test]
fn an_accused_relay_that_answers_is_not_critical_and_receives_the_accusation() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    let accused = entry(2, 1, 1, 2);
    send(&mut mesh, ROUND, 1, vec![entry(1, 1, 1, 1), Arc::clone(&accused)]);
    accuse(&mut mesh, ROUND, 1, accusation_by(&accused, 1));
    let now = ROUND * 7 / 2;
    let dial = dial_of(&mut mesh, now, 1, 2).unwrap();
    mesh.link_up(now, LinkId(2), peer(2, Some(dial)));
    let announced = std::iter::from_fn(|| mesh.poll()).find_map(|output| match output {
        Output::Request {
            link: LinkId(2),
            gossip,
            ..
        } => Some(gossip.have),
        _ => None,
    });
    assert!(announced.unwrap().contains(&Have(id(2), 1, 1, 1)));
    assert_ne!(mesh.relay(ROUND * 5, "relay-2").unwrap().health, RelayHealth::Critical);
}

#[test]
fn accusations_of_a_relay_with_too_many_strikes_are_refuted_only_if_another_forwards_them() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    link(&mut mesh, ROUND, 3, 3);
    send(&mut mesh, ROUND, 1, vec![entry(1, 1, 1, 1)]);
    for version in 1..=64 {
        let accused = entry(2, 1, version, 2);
        send(&mut mesh, ROUND, 1, vec![Arc::clone(&accused)]);
        accuse(&mut mesh, ROUND, 1, accusation_by(&accused, 1));
    }
    send(&mut mesh, ROUND, 1, vec![entry(2, 1, 65, 2)]);
    let of_itself = accusation_by(mesh.own(), 1);
    accuse(&mut mesh, ROUND, 1, Arc::clone(&of_itself));
    assert_eq!(mesh.counters().refuted, 0);
    accuse(&mut mesh, ROUND, 3, of_itself);
    assert_eq!(mesh.counters().refuted, 1);
}

#[test]
fn a_forged_accusation_is_ignored() {
    let mut mesh = mesh();
    link(&mut mesh, ROUND, 1, 1);
    let accused = entry(2, 1, 1, 2);
    send(
        &mut mesh,
        ROUND,
        1,
        vec![entry(1, 1, 1, 1), entry(3, 1, 1, 3), Arc::clone(&accused)],
    );
    let mut forged = Accusation::clone(&accusation_by(&accused, 1));
    forged.by = id(3);
    let gossip = Gossip {
        accusations: vec![Arc::new(forged)],
        ..Gossip::default()
    };
    mesh.request(ROUND, LinkId(1), Box::new(gossip));
    assert_eq!(mesh.relay(ROUND * 9, "relay-2").unwrap().health, RelayHealth::Healthy);
}

#[test]
fn a_deferred_or_forbidden_dial_accuses_nobody() {
    for forbidden in [false, true] {
        let mut mesh = mesh();
        link(&mut mesh, ROUND, 1, 1);
        send(&mut mesh, ROUND, 1, vec![entry(2, 1, 1, 2)]);
        let mut now = ROUND;
        let mut dials = 0;
        for _ in 0..40 {
            now += ROUND / 4;
            mesh.received(now, LinkId(1));
            mesh.tick(now);
            while let Some(output) = mesh.poll() {
                if let Output::Dial { dial, .. } = output {
                    dials += 1;
                    match forbidden {
                        true => mesh.dial_forbidden(now, dial),
                        false => mesh.dial_deferred(now, dial),
                    }
                }
            }
        }
        assert!(dials > 0);
        assert_eq!(mesh.counters().accused, 0);
        assert_eq!(mesh.relay(now, "relay-2").unwrap().health, RelayHealth::Healthy);
    }
}
