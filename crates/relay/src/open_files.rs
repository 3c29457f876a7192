//! How many files the process may have open. Every connection is one.

use crate::config::Config;
use crate::server::HTTP_CONNECTIONS;

/// Files beside the connections (log of events, node, clients about to be refused), with room.
const BESIDE: u64 = 256;

/// Raises the soft limit to the hard one, and says so where even that is too low for what the configuration allows.
pub fn raise(config: &Config) {
    let wanted = (config.max_connections + HTTP_CONNECTIONS) as u64 + BESIDE;
    if let Some(limit) = to_the_most().filter(|limit| *limit < wanted) {
        tracing::warn!(
            limit,
            wanted,
            "this process may open too few files for limits.connections = {}: raise the limit (ulimit -Hn; LimitNOFILE= of systemd), \
             or lower limits.connections",
            config.max_connections
        );
    }
}

/// The limit of open files after it was raised as far as this user may; `None` where there is none.
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
        // Some systems have a lower bound of their own than the hard limit says: what was set before holds.
        Err(_) => limit.current,
    }
}

/// The system has no such limit.
#[cfg(not(unix))]
pub fn to_the_most() -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Resource, getrlimit};

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = super::to_the_most();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, now.maximum), (limit, limit));
    }
}
