use sdk_relay_protocol::{HandshakeStatus, Role};

use super::*;

fn own(name: &str, secret: &str) -> Own {
    Own {
        identity: Arc::new(Identity::open(None, tempfile::tempdir().unwrap().path()).unwrap()),
        relay_id: name.to_owned(),
        network: "regtest",
        secret: Secret::some(secret),
    }
}

fn dialler(own: &Own) -> Dialler {
    Dialler::new(own.clone(), "a.example:8090".to_owned(), Expected::default())
}

fn hello(dialler: &Dialler) -> Handshake {
    Handshake {
        role: Some(Role::Relay),
        relay_id: Some(dialler.own.relay_id.clone()),
        address: Some(dialler.address.clone()),
        identity: Some(dialler.identity()),
        ..Handshake::default()
    }
}

fn accepted(mac: Option<String>) -> HandshakeResponse {
    HandshakeResponse {
        status: HandshakeStatus::Accepted,
        relay_id: "b".to_owned(),
        version: "1.0.0".to_owned(),
        capabilities: Vec::new(),
        timestamp: 0,
        reason: None,
        connection_id: None,
        network: "regtest".to_owned(),
        last_event_id: 0,
        silent_payment_address: None,
        software_version: String::new(),
        resume: None,
        resumed_after: None,
        mac,
        relays: Vec::new(),
        unknown_capabilities: Vec::new(),
    }
}

#[test]
fn both_sides_authenticate() {
    for secret in ["", "a secret of the mesh"] {
        let (a, b) = (own("a", secret), own("b", secret));
        let mut dialler = dialler(&a);
        let (listener, challenge) = Listener::challenge(&b, &hello(&dialler)).unwrap();
        let proof = dialler.answer(&challenge).unwrap();
        let (peer, mac) = listener.verify(&proof).unwrap();
        assert_eq!(
            (peer.relay_id.as_str(), peer.public_key.as_str()),
            ("a", a.identity.public_key())
        );
        assert_eq!(mac.is_some(), !secret.is_empty());
        dialler.accept(&accepted(mac)).unwrap();
        let peer = dialler.proven().unwrap();
        assert_eq!(
            (peer.relay_id.as_str(), peer.public_key.as_str()),
            ("b", b.identity.public_key())
        );
    }
}

#[test]
fn a_replayed_handshake_is_rejected() {
    let (a, b) = (own("a", ""), own("b", ""));
    let mut first = dialler(&a);
    let greeting = hello(&first);
    let (listener, challenge) = Listener::challenge(&b, &greeting).unwrap();
    let proof = first.answer(&challenge).unwrap();
    listener.verify(&proof).unwrap();
    // The dialler's words again: the listener's nonce is another.
    let (listener, _) = Listener::challenge(&b, &greeting).unwrap();
    assert!(listener.verify(&proof).is_err());
    // The listener's words again: the dialler's nonce is another.
    assert!(dialler(&a).answer(&challenge).is_err());
}

#[test]
fn a_reflected_or_altered_handshake_is_rejected() {
    let (a, b, c) = (own("a", ""), own("b", ""), own("c", ""));
    // The listener's own signature sent back.
    let mut honest = dialler(&a);
    let (listener, challenge) = Listener::challenge(&b, &hello(&honest)).unwrap();
    let mut proof = honest.answer(&challenge).unwrap();
    proof.signature = challenge.signature;
    assert!(listener.verify(&proof).is_err());
    // To oneself, and under the other's name.
    assert!(Listener::challenge(&a, &hello(&dialler(&a))).is_err());
    assert!(Listener::challenge(&b, &hello(&dialler(&own("b", "")))).is_err());
    // Another's key in place of one's own: it can be shown, but not proven.
    let mut thief = dialler(&a);
    let mut greeting = hello(&thief);
    greeting.identity.as_mut().unwrap().public_key = c.identity.public_key().to_owned();
    let (listener, challenge) = Listener::challenge(&b, &greeting).unwrap();
    assert!(thief.answer(&challenge).is_err());
    let signature = a.identity.sign(&listener.transcript.of(DIALLER));
    assert!(listener.verify(&RelayProof { signature, mac: None }).is_err());
    // Another address than the one that is signed.
    let mut honest = dialler(&a);
    let mut greeting = hello(&honest);
    greeting.address = Some("evil.example:1".to_owned());
    let (_, challenge) = Listener::challenge(&b, &greeting).unwrap();
    assert!(honest.answer(&challenge).is_err());
    // Another network.
    let elsewhere = Own {
        network: "signet",
        ..b.clone()
    };
    let mut honest = dialler(&a);
    let (_, challenge) = Listener::challenge(&elsewhere, &hello(&honest)).unwrap();
    assert!(honest.answer(&challenge).is_err());
    for malformed in ["", "00", &"G".repeat(64), &"A".repeat(64)] {
        let mut greeting = hello(&dialler(&a));
        greeting.identity.as_mut().unwrap().nonce = malformed.to_owned();
        assert!(Listener::challenge(&b, &greeting).is_err());
    }
}

#[test]
fn both_sides_reject_a_peer_without_the_secret() {
    let (a, b) = (own("a", "the right secret"), own("b", "another secret!!"));
    let open = own("c", "");
    for from in [&a, &open] {
        let mut dialler = dialler(from);
        let (listener, challenge) = Listener::challenge(&b, &hello(&dialler)).unwrap();
        let proof = dialler.answer(&challenge).unwrap();
        let why = listener.verify(&proof).unwrap_err();
        assert!(why.contains("mesh.secret") && !why.contains("another secret"), "{why}");
    }
    // A listener without it lets the dialler in, which then leaves.
    for mac in [None, Some(String::new()), Some("00".repeat(32))] {
        let mut dialler = dialler(&a);
        let (_, challenge) = Listener::challenge(&open, &hello(&dialler)).unwrap();
        dialler.answer(&challenge).unwrap();
        assert!(dialler.accept(&accepted(mac)).is_err());
    }
    assert!(dialler(&open).accept(&accepted(None)).is_err(), "without a challenge");
}

#[test]
fn a_wrong_key_or_name_is_rejected() {
    let (a, b) = (own("a", ""), own("b", ""));
    let key = b.identity.public_key().to_owned();
    for (relay_id, public_key, right) in [
        (Some("b"), key.as_str(), true),
        (Some("c"), key.as_str(), false),
        (None, a.identity.public_key(), false),
    ] {
        let expect = Expected {
            relay_id: relay_id.map(str::to_owned),
            public_key: Some(public_key.to_owned()),
        };
        let mut dialler = Dialler::new(a.clone(), String::new(), expect);
        let (_, challenge) = Listener::challenge(&b, &hello(&dialler)).unwrap();
        assert_eq!(dialler.answer(&challenge).is_ok(), right);
    }
}
