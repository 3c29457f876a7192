//! How the Oracle is, and what is counted of it.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::http::Version;

/// How the Oracle is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OracleState {
    /// It has not answered yet, nor failed to.
    Asking,
    /// It answers.
    Connected(Version),
    /// It answers, and lacks blocks that it should have: what, in words that begin after its address.
    Behind(String),
    /// It does not, and why.
    Disconnected(String),
    /// It is wrong of one block after the other: what it said last.
    Implausible(String),
}

impl OracleState {
    /// The value of `services.blindbit`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Connected(_) => "connected",
            Self::Behind(_) => "behind",
            Self::Asking | Self::Disconnected(_) => "disconnected",
            Self::Implausible(_) => "implausible",
        }
    }

    /// What is wrong, in a sentence; `None` where all is well.
    pub fn problem(&self, url: &str) -> Option<String> {
        let meanwhile = "this relay computes tweaks itself meanwhile";
        match self {
            Self::Connected(_) => None,
            Self::Asking => Some(format!("the BlindBit Oracle {url} has not answered yet")),
            Self::Disconnected(why) => Some(format!("the BlindBit Oracle {url} cannot be used: {why}; {meanwhile}")),
            Self::Behind(what) => Some(format!("the BlindBit Oracle {url} {what}; {meanwhile}")),
            Self::Implausible(why) => Some(format!(
                "the BlindBit Oracle {url} is wrong of one block after the other, last {why}; {meanwhile}, and asks it again within 10 minutes"
            )),
        }
    }
}

/// Counters since the start.
#[derive(Debug, Default)]
#[allow(
    missing_docs,
    reason = "each is explained where it is registered, in the words that an operator reads"
)]
pub struct OracleCounters {
    pub requests: Counter,
    pub failures: Counter,
    pub implausible: Counter,
    pub blocks: Counter,
    pub own_blocks: Counter,
    pub recomputed: Counter,
    pub beside: Counter,
}

impl OracleCounters {
    /// Registers all of them below `sdk_relay_blindbit_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("sdk_relay_blindbit");
        let mut counter = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter("requests", "Questions to the BlindBit Oracle", &self.requests);
        counter("failures", "Questions that it did not answer", &self.failures);
        counter(
            "implausible",
            "Blocks of which it said a wrong tweak, or left one out",
            &self.implausible,
        );
        counter("blocks", "Blocks of which it said the same as this relay", &self.blocks);
        counter(
            "own_blocks",
            "Blocks of which it did not: it was away, behind or wrong",
            &self.own_blocks,
        );
        counter(
            "recomputed_tweaks",
            "Tweaks that this relay computed and found in what it said",
            &self.recomputed,
        );
        counter(
            "other_tweaks",
            "Tweaks that it said of transactions that are not eligible in the block; they are ignored",
            &self.beside,
        );
    }
}
