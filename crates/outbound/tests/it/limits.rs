//! Who waits for whom.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sdk_relay_outbound::{Failure, Limit, Limits, Resolver, Step, Timeouts};
use tokio::sync::Semaphore;

use crate::servers::Server;
use crate::stage::{CLIENT, Map, PUBLIC, Setup, request};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Two attempts of a client at the same time.
fn narrow() -> Limits {
    let free = Setup::default().limits;
    Limits {
        client: Limit {
            in_flight: 2,
            ..free.client
        },
        ..free
    }
}

#[tokio::test]
async fn a_slow_destination_delays_only_who_has_named_it() {
    let (slow, fast) = (Server::silent().await, Server::answering(OK).await);
    let stage = Setup {
        limits: narrow(),
        ..Setup::default()
    }
    .build();
    stage.serve("slow.example", PUBLIC, slow.address);
    stage.serve("fast.example", [1, 1, 1, 2].into(), fast.address);
    let waiting = || async {
        let answer = stage.post("http://slow.example/").await;
        panic!("the slow server has answered: {answer:?}");
    };
    let others = async {
        while slow.connections() < 2 {
            tokio::task::yield_now().await;
        }
        let busy = stage.post("http://fast.example/").await.unwrap_err();
        assert!(matches!(busy, Failure::Busy(busy) if busy.of == "the client"));
        let other = [8, 8, 8, 8].into();
        let answer = stage.outbound.post(other, &request("http://fast.example/")).await;
        assert_eq!(answer.unwrap().status, 200);
    };
    tokio::select! {
        () = others => {}
        () = waiting() => {}
        () = waiting() => {}
    }
}

/// Answers when it is allowed to.
struct Gate(Semaphore);

#[async_trait]
impl Resolver for Gate {
    async fn resolve(&self, _: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.acquire().await.unwrap().forget();
        Ok(vec![SocketAddr::new(PUBLIC, port)])
    }
}

/// The threads of the system that resolve names are few, and a name server of the attacker may hold each for long.
#[tokio::test]
async fn a_look_up_keeps_its_slot_until_it_has_really_ended() {
    let gate = Arc::new(Gate(Semaphore::new(0)));
    let limit = Duration::from_millis(50);
    let setup = Setup {
        limits: narrow(),
        timeouts: Timeouts {
            resolve: limit,
            ..Timeouts::default()
        },
        ..Setup::default()
    };
    let outbound = setup.build_with(Arc::clone(&gate) as Arc<dyn Resolver>, Arc::<Map>::default());
    let request = request("http://slow.example/");
    for _ in 0..2 {
        let late = outbound.post(CLIENT, &request).await.unwrap_err();
        let step = Step::Resolve;
        assert_eq!(late, Failure::Late { step, limit });
    }
    let busy = outbound.post(CLIENT, &request).await.unwrap_err();
    assert!(matches!(busy, Failure::Busy(busy) if busy.of == "the client"));
    // The look-ups end, and one more has its answer.
    gate.0.add_permits(100);
    let unreachable = loop {
        match outbound.post(CLIENT, &request).await.unwrap_err() {
            Failure::Busy(_) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert!(matches!(unreachable, Failure::Unreachable(_)), "{unreachable:?}");
}
