//! Limits of calls in progress.

use std::net::IpAddr;
use std::time::Duration;

use sdk_relay_transport::{AddressPermit, AddressPermits, network_of};
use tokio::time::timeout;
use tonic::Status;

/// Streams of one address at the same time (IPv6: of one /64). A wallet has one.
const STREAMS_OF_ADDRESS: usize = 16;
/// Streams of all addresses. Each holds a batch of blocks, 64 KiB or one larger block.
const STREAMS: usize = 96;
/// Other calls of one address that are answered at the same time; further ones wait.
const CALLS_OF_ADDRESS: usize = 32;
/// Other calls of all addresses.
const CALLS: usize = 128;

/// A kind of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An answer of one message.
    Single,
    /// A stream, which may last for hours.
    Stream,
}

/// Permits of calls. Programs of this machine, and clients of a proxy that does not name them, share one address: they
/// have permits of their own, as many as all others together.
#[derive(Debug)]
pub(super) struct CallPermits {
    remote: Permits,
    local: Permits,
}

#[derive(Debug)]
struct Permits {
    streams: AddressPermits,
    calls: AddressPermits,
}

impl Default for CallPermits {
    fn default() -> Self {
        Self {
            remote: Permits {
                streams: AddressPermits::new(STREAMS, STREAMS_OF_ADDRESS),
                calls: AddressPermits::new(CALLS, CALLS_OF_ADDRESS),
            },
            local: Permits {
                streams: AddressPermits::new(STREAMS, STREAMS),
                calls: AddressPermits::new(CALLS, CALLS),
            },
        }
    }
}

impl CallPermits {
    /// A permit for a call. A stream is refused if there is none now, because others may last; another call waits.
    pub(super) async fn acquire(&self, client: IpAddr, kind: Kind, within: Duration) -> Result<AddressPermit, Status> {
        let permits = if client.to_canonical().is_loopback() {
            &self.local
        } else {
            &self.remote
        };
        let address = network_of(client);
        match kind {
            Kind::Stream => permits.streams.try_acquire(address, 1).ok_or_else(|| {
                Status::resource_exhausted(format!(
                    "too many streams at once, of {client} or of all clients: end one, or try again later (at most {STREAMS_OF_ADDRESS} of \
                     one address)"
                ))
            }),
            Kind::Single => {
                let permit = timeout(within, permits.calls.acquire(address, 1)).await;
                permit.ok().and_then(Result::ok).ok_or_else(|| {
                    Status::resource_exhausted(format!(
                        "too many calls at once, of {client} or of all clients: wait for the answers of earlier ones"
                    ))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn one_address_cannot_take_the_streams_of_others() {
        let permits = CallPermits::default();
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let mut kept = Vec::new();
        for _ in 0..STREAMS_OF_ADDRESS {
            kept.push(permits.acquire(address(1), Kind::Stream, WITHIN).await.unwrap());
        }
        let refused = permits.acquire(address(1), Kind::Stream, WITHIN).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.message().contains("192.0.2.1"), "{refused}");
        assert!(permits.acquire(address(2), Kind::Stream, WITHIN).await.is_ok());
        assert!(permits.acquire(address(1), Kind::Single, WITHIN).await.is_ok());
        // Remote clients take none of this machine.
        for n in 2..=u8::try_from(STREAMS / STREAMS_OF_ADDRESS).unwrap() {
            for _ in 0..STREAMS_OF_ADDRESS {
                kept.push(permits.acquire(address(n), Kind::Stream, WITHIN).await.unwrap());
            }
        }
        assert!(permits.acquire(address(100), Kind::Stream, WITHIN).await.is_err());
        assert!(
            permits
                .acquire([127, 0, 0, 1].into(), Kind::Stream, WITHIN)
                .await
                .is_ok()
        );
        kept.clear();
        assert!(permits.acquire(address(1), Kind::Stream, WITHIN).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_earlier_ones() {
        let permits = CallPermits::default();
        let client = IpAddr::from([192, 0, 2, 1]);
        let mut kept = Vec::new();
        for _ in 0..CALLS_OF_ADDRESS {
            kept.push(permits.acquire(client, Kind::Single, WITHIN).await.unwrap());
        }
        let refused = permits.acquire(client, Kind::Single, WITHIN).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let (waited, ()) = tokio::join!(permits.acquire(client, Kind::Single, WITHIN), async {
            tokio::time::sleep(WITHIN / 2).await;
            kept.pop();
        });
        assert!(waited.is_ok());
    }
}
