//! Distributes the limit of open files among connections. Every connection is one file.
//!
//! The relay's own needs come first: without a descriptor for its node it cannot follow the chain.

use sdk_relay_config::Config;

/// Concurrent HTTP connections. Requests are short; beyond these the longest idle one is evicted, and if none is idle a
/// new one waits.
pub const HTTP_CONNECTIONS: usize = 1024;
/// Concurrent connections of HTTP/2, where a port for them is configured. A client has one for all of its requests.
pub const HTTP2_CONNECTIONS: usize = 256;
/// The same of one address (IPv6: of one /64): the wallets behind one router.
pub(crate) const HTTP2_PER_ADDRESS: usize = 32;
/// WebSocket connections that are refused with a reason at the same time; beyond these a connection is closed without
/// one.
pub const REFUSALS: usize = 64;
/// Descriptors reserved for the relay: calls to the node and its signals, the log of events, the index (which opens and
/// closes its files), links to other relays, connections that are accepted and not yet counted. A quarter of all,
/// between these bounds.
const RESERVE: std::ops::RangeInclusive<u64> = 24..=256;
/// Open descriptors of a newly started relay, if they cannot be counted.
const OPEN_AT_START: u64 = 24;
/// Smallest limit with which the relay runs: what is open after its start, the smallest reserve, and few clients.
const LEAST_LIMIT: u64 = 56;
/// Smallest number for each kind of client, however low the limit: a relay without clients is useless.
const LEAST: usize = 2;

/// Descriptors for each kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// WebSockets and streams of `GET /events`.
    pub websockets: usize,
    /// HTTP connections.
    pub http: usize,
    /// Connections of HTTP/2.
    pub http2: usize,
    /// WebSockets that are being refused.
    pub refusals: usize,
}

impl Shares {
    /// For this process, from its limit and its open files.
    pub fn of_this_process(config: &Config) -> Self {
        Self::of(&Self::wanted(config), to_the_most(), open_now())
    }

    /// With enough descriptors.
    fn wanted(config: &Config) -> Self {
        Self {
            websockets: config.max_connections,
            http: HTTP_CONNECTIONS,
            http2: config.blindbit_grpc.map_or(0, |_| HTTP2_CONNECTIONS),
            refusals: REFUSALS,
        }
    }

    /// For a limit of descriptors, of which `open` are open.
    fn of(wanted: &Self, limit: Option<u64>, open: u64) -> Self {
        let Some(limit) = limit else { return *wanted };
        let reserve = (limit / 4).clamp(*RESERVE.start(), *RESERVE.end());
        let left = limit.saturating_sub(open).saturating_sub(reserve);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        if left
            >= wanted
                .websockets
                .saturating_add(wanted.http + wanted.http2 + wanted.refusals)
        {
            return *wanted;
        }
        // Two sixteenths and a quarter; the rest is for WebSockets.
        let refusals = wanted.refusals.min((left / 16).max(LEAST));
        let http2 = wanted.http2.min((left / 16).max(LEAST));
        let http = wanted.http.min((left / 4).max(LEAST));
        let others = http + http2 + refusals;
        Self {
            websockets: wanted.websockets.min(left.saturating_sub(others).max(LEAST)),
            http,
            http2,
            refusals,
        }
    }
}

/// Too few files may be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "this process may open only {limit} files, and the relay needs at least {LEAST_LIMIT}: raise the limit (ulimit -n in the shell, \
     LimitNOFILE= of systemd)"
)]
pub struct TooFewFiles {
    /// The hard limit.
    pub limit: u64,
}

/// Checks that the hard limit of open files allows a relay to run. Without this check, the error would name whichever
/// file or socket is opened first beyond the limit.
pub fn check() -> Result<(), TooFewFiles> {
    enough(to_the_most())
}

fn enough(limit: Option<u64>) -> Result<(), TooFewFiles> {
    match limit {
        Some(limit) if limit < LEAST_LIMIT => Err(TooFewFiles { limit }),
        _ => Ok(()),
    }
}

/// Raises the soft limit to the hard one, and logs a warning if even that is too low for the configuration.
pub fn raise(config: &Config) {
    if let Some((Shares { websockets, http, .. }, sentence)) = shortage(config) {
        let limit = to_the_most();
        tracing::warn!(limit, websockets, http, "{sentence}");
    }
}

/// The shares and a sentence, if the limit is too low for the configuration.
pub fn shortage(config: &Config) -> Option<(Shares, String)> {
    let shares = Shares::of_this_process(config);
    let wanted = Shares::wanted(config);
    let is_short = shares.websockets < wanted.websockets || shares.http < wanted.http || shares.http2 < wanted.http2;
    is_short.then(|| {
        let sentence = format!(
            "this process may open too few files for limits.connections = {}: it accepts fewer clients; raise the limit (ulimit -Hn; \
             LimitNOFILE= of systemd), or lower limits.connections",
            config.max_connections
        );
        (shares, sentence)
    })
}

/// The limit of open files, raised as far as permitted; `None` if unlimited.
#[cfg(unix)]
pub fn to_the_most() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        // Some systems have a bound below the hard limit: keep the previous limit.
        Err(_) => limit.current,
    }
}

/// The system has no such limit.
#[cfg(not(unix))]
pub fn to_the_most() -> Option<u64> {
    None
}

/// Descriptors that are open now.
fn open_now() -> u64 {
    // Linux lists them; elsewhere use an estimate.
    std::fs::read_dir("/proc/self/fd").map_or(OPEN_AT_START, |files| (files.count() as u64).max(OPEN_AT_START))
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Resource, getrlimit};

    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = to_the_most();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, now.maximum), (limit, limit));
    }

    fn wanted(websockets: usize, http2: usize) -> Shares {
        Shares {
            websockets,
            http: HTTP_CONNECTIONS,
            http2,
            refusals: REFUSALS,
        }
    }

    #[test]
    fn clients_never_use_the_reserved_descriptors() {
        for (connections, http2) in [
            (1, 0),
            (100, HTTP2_CONNECTIONS),
            (10_000, HTTP2_CONNECTIONS),
            (1_000_000, 0),
        ] {
            let wanted = wanted(connections, http2);
            for limit in 64..70_000 {
                let open = 30;
                let Shares {
                    websockets,
                    http,
                    http2,
                    refusals,
                } = Shares::of(&wanted, Some(limit), open);
                let clients = (websockets + http + http2 + refusals) as u64;
                assert!(clients + open + RESERVE.start() <= limit, "{limit}: {clients}");
                assert!(websockets >= LEAST.min(connections) && http >= LEAST && refusals >= LEAST);
                assert!(http2 >= LEAST.min(wanted.http2) && http2 <= wanted.http2);
                assert!(websockets <= connections && http <= HTTP_CONNECTIONS && refusals <= REFUSALS);
            }
        }
    }

    #[test]
    fn a_limit_that_is_too_low_for_any_relay_is_named() {
        assert!(enough(None).is_ok() && enough(Some(LEAST_LIMIT)).is_ok());
        assert!(OPEN_AT_START + RESERVE.start() + 4 * LEAST as u64 <= LEAST_LIMIT);
        assert_eq!(
            enough(Some(20)).unwrap_err().to_string(),
            "this process may open only 20 files, and the relay needs at least 56: raise the limit (ulimit -n in the shell, \
             LimitNOFILE= of systemd)"
        );
    }

    #[test]
    fn with_enough_of_them_the_configuration_decides() {
        for all in [wanted(10_000, 0), wanted(10_000, HTTP2_CONNECTIONS)] {
            assert_eq!(Shares::of(&all, Some(20_000), 50), all);
            assert_eq!(Shares::of(&all, None, 50), all);
            assert!(Shares::of(&all, Some(10_000), 50).websockets < 10_000);
        }
    }
}
