use tokio::net::TcpListener;

use super::*;
use crate::mesh::testing::{host, open};

/// Dials a configured address, or a learned one.
async fn dial(address: &str, learned: bool) -> Option<(String, DialError)> {
    let dir = tempfile::tempdir().unwrap();
    let (mesh, _orders, config) = open(dir.path());
    let expect = learned.then(|| (RelayId::new("peer").unwrap(), "b".repeat(64)));
    let dial = Dial {
        id: DialId(1),
        address: address.to_owned(),
        expect,
    };
    mesh.dial(host(config, || panic!("no link is up")), dial).await
}

/// Whether a dial of this address, which others report, reaches a listener on this machine.
async fn reaches(listener: &TcpListener, address: &str) -> bool {
    tokio::select! {
        accepted = listener.accept() => accepted.is_ok(),
        ended = dial(address, true) => {
            assert!(ended.is_none(), "an address that others report is no problem of the operator: {ended:?}");
            false
        }
    }
}

#[tokio::test]
async fn a_configured_relay_that_does_not_listen_is_reported_with_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    let (reported, error) = dial(&address, false).await.unwrap();
    assert_eq!(reported, address);
    assert!(
        matches!(error, DialError::Connect(ConnectError::Unreachable { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_configured_relay_that_is_none_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}", listener.local_addr().unwrap());
    let hangs_up = async {
        loop {
            drop(listener.accept().await);
        }
    };
    let ended = tokio::select! {
        ended = dial(&address, false) => ended,
        () = hangs_up => None,
    };
    let (reported, error) = ended.unwrap();
    assert_eq!(reported, address);
    assert!(matches!(error, DialError::Connect(_)), "{error}");
}

#[tokio::test]
async fn an_address_of_this_machine_that_others_report_is_not_dialled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    assert!(!reaches(&listener, &address).await);
}

#[tokio::test]
async fn a_malformed_address_is_not_dialled() {
    let (_, error) = dial("no address at all", false).await.unwrap();
    assert!(matches!(error, DialError::Address(AddressError::Malformed)), "{error}");
    assert!(dial("no address at all", true).await.is_none());
}
