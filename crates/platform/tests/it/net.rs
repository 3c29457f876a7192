//! The network with and without a simulation.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use crate::simulate;
use sdk_relay_platform::net::{Stream, connect, listen, lookup};
use sdk_relay_platform::simulation::{self, Reachability};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// Sends more than fits into the buffers of a connection, both ways; then one end closes.
async fn exchange(mut near: Stream, mut far: Stream) {
    const BYTES: usize = 1 << 20;
    let echo = async {
        let mut all = vec![0; BYTES];
        far.read_exact(&mut all).await.unwrap();
        far.write_all(&all).await.unwrap();
        far.shutdown().await.unwrap();
        all
    };
    let client = async {
        let sent: Vec<u8> = (0..BYTES).map(|i| (i % 251) as u8).collect();
        near.write_all(&sent).await.unwrap();
        let mut back = Vec::new();
        near.read_to_end(&mut back).await.unwrap();
        assert!(back == sent);
        sent
    };
    let (sent, received) = tokio::join!(client, echo);
    assert!(sent == received);
}

/// What holds for the system's network and for a simulated one.
async fn behaves() {
    let socket = listen("127.0.0.1:0".parse().unwrap(), 16).unwrap();
    let listener = socket.attach().unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(listen(address, 16).unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(lookup(&address.to_string()).await.unwrap(), [address]);
    let (near, accepted) = tokio::join!(connect(address), listener.accept());
    let (far, peer) = accepted.unwrap();
    assert_eq!(peer.ip(), address.ip());
    exchange(near.unwrap(), far).await;
    // The socket stays while its listener is attached to another runtime.
    let listener = listener.detach().unwrap().attach().unwrap();
    let (near, accepted) = tokio::join!(connect(address), listener.accept());
    let (near, (mut far, _)) = (near.unwrap(), accepted.unwrap());
    drop(near);
    assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
    drop((listener, socket));
    assert_eq!(connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn connections_of_the_system() {
    behaves().await;
}

#[test]
fn connections_of_a_simulation_behave_like_those_of_the_system() {
    simulate(7, behaves());
}

#[test]
fn names_resolve_as_the_simulation_says() {
    simulate(7, async {
        simulation::set_name(
            "relay.example",
            vec!["10.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        )
        .unwrap();
        let expected: [SocketAddr; 2] = ["10.0.0.1:8090".parse().unwrap(), "[::1]:8090".parse().unwrap()];
        assert_eq!(lookup("relay.example:8090").await.unwrap(), expected);
        assert_eq!(
            lookup("other.example:8090").await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
    });
}

#[test]
fn a_dial_is_refused_or_never_answered_and_a_connection_is_reset() {
    simulate(7, async {
        let address = "10.0.0.1:8090".parse().unwrap();
        let listener = listen(address, 16).unwrap().attach().unwrap();
        simulation::set_reachability(address, Reachability::Refused).unwrap();
        assert_eq!(connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        simulation::set_reachability(address, Reachability::Silent).unwrap();
        assert!(timeout(Duration::from_secs(3600), connect(address)).await.is_err());
        simulation::set_reachability(address, Reachability::Reachable).unwrap();
        let (near, accepted) = tokio::join!(connect(address), listener.accept());
        let (mut near, (mut far, _)) = (near.unwrap(), accepted.unwrap());
        let reader = tokio::spawn(async move { far.read(&mut [0; 8]).await.unwrap_err().kind() });
        tokio::task::yield_now().await;
        simulation::reset_connections(address).unwrap();
        assert_eq!(reader.await.unwrap(), ErrorKind::ConnectionReset);
        assert_eq!(
            near.write_all(b"x").await.unwrap_err().kind(),
            ErrorKind::ConnectionReset
        );
        assert!(near.take_error().unwrap().is_some());
    });
}
