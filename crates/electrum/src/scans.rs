//! What the scans of a connection have found, for requests that wait for them. No I/O.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::RpcError;
use crate::order::{EarlierBlocks, EarlierScans};
use crate::outputs::ScriptHash;

/// What requests wait for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scans {
    /// Scans that are not complete.
    pub(crate) pending: usize,
    /// Scripts that were found.
    pub(crate) found: HashSet<ScriptHash>,
    /// Why a scan did not begin.
    pub(crate) failure: Option<RpcError>,
}

/// The scans of the blocks before the starts of subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    by_address: HashMap<Arc<str>, State>,
    scans: watch::Sender<Scans>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No request needs it.
    Unscanned,
    /// Its watch is to be registered.
    Wanted,
    Running,
    /// There was nothing to scan, or the watch has scanned it and still finds new payments.
    Done,
}

impl Earlier {
    /// For requests that wait.
    pub(crate) fn scans(&self) -> watch::Receiver<Scans> {
        self.scans.subscribe()
    }

    /// A subscription begins, or is widened.
    pub(crate) fn begin(&mut self, address: &Arc<str>, earlier: EarlierBlocks) {
        let state = match (earlier, self.by_address.remove(address)) {
            (EarlierBlocks::Nothing, _) => State::Done,
            // It finds what it has found before, and goes on.
            (EarlierBlocks::Watched, Some(before)) => before,
            (EarlierBlocks::Watched | EarlierBlocks::Unscanned, _) => State::Unscanned,
        };
        self.by_address.insert(Arc::clone(address), state);
    }

    /// A subscription has ended.
    pub(crate) fn end(&mut self, address: &str) {
        self.by_address.remove(address);
    }

    /// A request needs them all. `false`: they are complete.
    pub(crate) fn want(&mut self) -> bool {
        for state in self.by_address.values_mut() {
            if *state == State::Unscanned {
                *state = State::Wanted;
            }
        }
        self.pending() > 0
    }

    /// Whether watches are to be registered.
    pub(crate) fn is_wanted(&self) -> bool {
        self.by_address.values().any(|state| *state == State::Wanted)
    }

    /// Watches are registered; others are not, and may be wanted again.
    pub(crate) fn registered(&mut self, scans: &EarlierScans) {
        for (address, _) in &scans.registered {
            if let Some(state) = self.by_address.get_mut(address.as_str()) {
                *state = State::Running;
            }
        }
        for state in self.by_address.values_mut().filter(|state| **state == State::Wanted) {
            *state = State::Unscanned;
        }
        self.scans.send_modify(|all| all.failure.clone_from(&scans.failure));
    }

    /// The scan of a subscription is complete.
    pub(crate) fn done(&mut self, address: &str) {
        if let Some(state) = self.by_address.get_mut(address)
            && *state == State::Running
        {
            *state = State::Done;
        }
    }

    /// A script was found.
    pub(crate) fn found(&self, script: ScriptHash) {
        self.scans.send_if_modified(|scans| scans.found.insert(script));
    }

    /// Notifies requests that wait. `others`: further scans that are not complete.
    pub(crate) fn publish(&self, others: usize) {
        let pending = self.pending() + others;
        self.scans
            .send_if_modified(|scans| std::mem::replace(&mut scans.pending, pending) != pending);
    }

    fn pending(&self) -> usize {
        let states = self.by_address.values();
        states
            .filter(|state| matches!(state, State::Wanted | State::Running))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_wanted_once_and_again_after_a_failure() {
        let mut earlier = Earlier::default();
        let scans = earlier.scans();
        let (one, other): (Arc<str>, Arc<str>) = ("sp1a".into(), "sp1b".into());
        earlier.begin(&one, EarlierBlocks::Unscanned);
        earlier.begin(&other, EarlierBlocks::Nothing);
        assert!(!earlier.is_wanted() && earlier.want() && earlier.is_wanted());
        earlier.publish(1);
        assert_eq!(scans.borrow().pending, 2);
        let failure = RpcError::unavailable("full");
        earlier.registered(&EarlierScans {
            registered: vec![],
            failure: Some(failure.clone()),
        });
        earlier.publish(0);
        assert_eq!(
            (scans.borrow().pending, scans.borrow().failure.clone()),
            (0, Some(failure))
        );
        assert!(earlier.want());
        earlier.registered(&EarlierScans {
            registered: vec![("sp1a".to_owned(), "watch-2".to_owned())],
            failure: None,
        });
        assert!(!earlier.is_wanted() && earlier.want(), "it runs");
        earlier.done("sp1a");
        earlier.publish(0);
        assert!(!earlier.want() && scans.borrow().pending == 0 && scans.borrow().failure.is_none());
        // Widened: the watch goes on, or another one is needed.
        earlier.begin(&one, EarlierBlocks::Watched);
        assert!(!earlier.want());
        earlier.begin(&one, EarlierBlocks::Unscanned);
        assert!(earlier.want() && earlier.is_wanted());
        earlier.end("sp1a");
        assert!(!earlier.want());
    }
}
