//! The settings of `bitcoin.conf` that say where a node is. Its format: `NAME=VALUE` lines, `[NETWORK]` sections, and
//! comments (`doc/bitcoin-conf.md` of Bitcoin Core).

use std::path::Path;

use sdk_relay_files::read_text;

use crate::network::Network;

/// Largest file that is read; a usual one has a few kilobytes.
const MAX_BYTES: u64 = 1 << 20;
/// Settings that apply only to mainnet if they are above all sections.
const OF_ONE_NETWORK: [&str; 1] = ["rpcport"];

/// The lines of a file.
#[derive(Debug)]
pub(super) struct BitcoinConf(Vec<Line>);

#[derive(Debug)]
struct Line {
    /// Empty above all sections.
    section: String,
    name: String,
    value: String,
}

impl BitcoinConf {
    /// `None` if it cannot be read: it may hold passwords, and is then readable for its owner only.
    pub(super) fn read(path: &Path) -> Option<Self> {
        Some(Self::parse(&read_text(path, MAX_BYTES).ok()?))
    }

    fn parse(text: &str) -> Self {
        let mut section = String::new();
        let mut lines = Vec::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else if let Some((name, value)) = line.split_once('=') {
                let name = name.trim();
                // "main.rpcport=1" above all sections.
                let (in_section, name) = name.split_once('.').unwrap_or((&section, name));
                lines.push(Line {
                    section: in_section.to_owned(),
                    name: name.to_owned(),
                    value: value.trim().to_owned(),
                });
            }
        }
        Self(lines)
    }

    /// The value of a setting on a network: the first one of its section, or else the first one above all sections.
    pub(super) fn get(&self, network: Network, name: &str) -> Option<&str> {
        let is_general = network == Network::Mainnet || !OF_ONE_NETWORK.contains(&name);
        let first = |section: &str| {
            let mut lines = self
                .0
                .iter()
                .filter(|line| line.section == section && line.name == name);
            lines
                .next()
                .map(|line| line.value.as_str())
                .filter(|value| !value.is_empty())
        };
        first(network.chain()).or_else(|| first("").filter(|_| is_general))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_general_lines() {
        let conf = BitcoinConf::parse(
            "# a comment\nrpcport = 1111\ndatadir=/data # of all\ntest.rpcport=3\n\n[regtest]\nrpcport=2222\nrpccookiefile=x\n[main]\nrpcuser=me\n",
        );
        let get = |network, name| conf.get(network, name);
        assert_eq!(get(Network::Mainnet, "rpcport"), Some("1111"));
        assert_eq!(get(Network::Regtest, "rpcport"), Some("2222"));
        assert_eq!(get(Network::Testnet, "rpcport"), Some("3"));
        assert_eq!(
            get(Network::Signet, "rpcport"),
            None,
            "a general port is that of mainnet"
        );
        assert_eq!(get(Network::Signet, "datadir"), Some("/data"));
        assert_eq!(
            (
                get(Network::Regtest, "rpccookiefile"),
                get(Network::Signet, "rpccookiefile")
            ),
            (Some("x"), None)
        );
        assert_eq!(
            (get(Network::Mainnet, "rpcuser"), get(Network::Signet, "rpcuser")),
            (Some("me"), None)
        );
    }
}
