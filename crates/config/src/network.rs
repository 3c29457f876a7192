//! The Bitcoin networks, and what differs among them.

use std::fmt;

use sdk_relay_bip352::address;

/// A Bitcoin network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// The main network.
    Mainnet,
    /// Testnet 3.
    Testnet,
    /// Testnet 4 (BIP94).
    Testnet4,
    /// Signet (BIP325), the default one or another.
    Signet,
    /// A private chain.
    Regtest,
}

impl Network {
    /// All values.
    pub const ALL: [Self; 5] = [
        Self::Mainnet,
        Self::Testnet,
        Self::Testnet4,
        Self::Signet,
        Self::Regtest,
    ];

    /// Its name in the configuration and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet => "testnet",
            Self::Testnet4 => "testnet4",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// First height at which outputs can be taproot: on the main network the activation of BIP341, elsewhere the
    /// genesis block.
    pub fn taproot_height(self) -> u32 {
        match self {
            Self::Mainnet => 709_632,
            Self::Testnet | Self::Testnet4 | Self::Signet | Self::Regtest => 0,
        }
    }

    /// The network of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|n| n.name() == name)
    }

    /// Its name in `getblockchaininfo`.
    pub fn chain(self) -> &'static str {
        match self {
            Self::Mainnet => "main",
            Self::Testnet => "test",
            other => other.name(),
        }
    }

    /// Default RPC port of Bitcoin Core.
    pub(crate) fn rpc_port(self) -> u16 {
        match self {
            Self::Mainnet => 8332,
            Self::Testnet => 18332,
            Self::Testnet4 => 48332,
            Self::Signet => 38332,
            Self::Regtest => 18443,
        }
    }

    /// Subdirectory of this network in the data directory of Bitcoin Core.
    pub(crate) fn subdirectory(self) -> &'static str {
        match self {
            Self::Mainnet => "",
            Self::Testnet => "testnet3",
            other => other.name(),
        }
    }

    /// Whether its coins have no value, so that `/dev/*` may be enabled.
    pub fn is_for_development(self) -> bool {
        matches!(self, Self::Signet | Self::Regtest)
    }

    /// Network of silent-payment addresses, which determines their human-readable part.
    pub fn silent_payment(self) -> address::Network {
        match self {
            Self::Mainnet => address::Network::Main,
            Self::Testnet | Self::Testnet4 | Self::Signet => address::Network::Test,
            Self::Regtest => address::Network::Regtest,
        }
    }

    /// The network as a type of the `bitcoin` crate.
    pub fn params(self) -> bitcoin::Network {
        match self {
            Self::Mainnet => bitcoin::Network::Bitcoin,
            Self::Testnet => bitcoin::Network::Testnet,
            Self::Testnet4 => bitcoin::Network::Testnet4,
            Self::Signet => bitcoin::Network::Signet,
            Self::Regtest => bitcoin::Network::Regtest,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
