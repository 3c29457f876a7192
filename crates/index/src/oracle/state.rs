//! State and counters of the Oracle.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::request::Version;

/// State of the Oracle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OracleState {
    /// No request has succeeded or failed yet.
    Pending,
    /// It answers.
    Connected(Version),
    /// It answers, but lacks blocks. The text continues a sentence after its address.
    Behind(String),
    /// It does not answer, for this reason.
    Disconnected(String),
    /// It was wrong about several blocks in a row; the last difference.
    Implausible(String),
}

impl OracleState {
    /// The value of `services.blindbit`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Connected(_) => "connected",
            Self::Behind(_) => "behind",
            Self::Pending | Self::Disconnected(_) => "disconnected",
            Self::Implausible(_) => "implausible",
        }
    }

    /// The problem as a sentence; `None` if there is none.
    pub fn problem(&self, url: &str) -> Option<String> {
        let meanwhile = "the index continues without it";
        match self {
            Self::Connected(_) => None,
            Self::Pending => Some(format!("the BlindBit Oracle {url} has not answered yet")),
            Self::Disconnected(why) => Some(format!("the BlindBit Oracle {url} cannot be used: {why}; {meanwhile}")),
            Self::Behind(what) => Some(format!("the BlindBit Oracle {url} {what}; {meanwhile}")),
            Self::Implausible(why) => Some(format!(
                "the BlindBit Oracle {url} was wrong about eight blocks in a row, last about {why}; {meanwhile}, and the relay tries it again within 10 minutes"
            )),
        }
    }
}

/// Counters since the start.
#[derive(Debug, Default)]
#[allow(
    missing_docs,
    reason = "the help text of each counter explains it, where it is registered"
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
        counter("requests", "Requests to the BlindBit Oracle", &self.requests);
        counter(
            "failures",
            "Requests that the BlindBit Oracle did not answer",
            &self.failures,
        );
        counter(
            "implausible",
            "Blocks about which the BlindBit Oracle was wrong: a tweak differs or is missing",
            &self.implausible,
        );
        counter(
            "blocks",
            "Blocks about which the BlindBit Oracle agreed with this relay",
            &self.blocks,
        );
        counter(
            "own_blocks",
            "Blocks indexed without the BlindBit Oracle: it was unavailable, behind or wrong",
            &self.own_blocks,
        );
        counter(
            "recomputed_tweaks",
            "Tweaks that were compared with those of the BlindBit Oracle",
            &self.recomputed,
        );
        counter(
            "other_tweaks",
            "Tweaks of the BlindBit Oracle that were ignored: their transactions are not eligible in the block",
            &self.beside,
        );
    }
}
