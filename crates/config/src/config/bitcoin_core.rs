//! The node, and how the relay authenticates to it.

use std::path::PathBuf;

use crate::data_dir::home;
use crate::network::Network;
use crate::secret::Secret;

/// The node.
#[derive(Clone, Debug)]
pub struct BitcoinCore {
    /// `http://HOST:PORT`.
    pub url: String,
    /// Credentials of the relay.
    pub credentials: Credentials,
    /// Wallet of the node, if one is configured.
    pub wallet: Option<String>,
    /// `tcp://HOST:PORT`; `None`: poll.
    pub zmq_url: Option<String>,
}

/// Credentials of the relay at the node.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The file that the node writes at each start.
    CookieFile(PathBuf),
    /// `rpcuser`, `rpcpassword` or `rpcauth`.
    UserPassword(String, Secret),
    /// No credentials are sent: they were configured for another address than the one set with `PUT /config`.
    Withheld {
        /// The address for which they were configured.
        configured_for: String,
    },
}

impl BitcoinCore {
    /// A warning if the credentials are withheld.
    pub fn withheld(&self) -> Option<String> {
        let Credentials::Withheld { configured_for } = &self.credentials else {
            return None;
        };
        Some(format!(
            "bitcoin_core.url was changed over HTTP to {}: the relay does not send the configured credentials there, because they belong to {configured_for}; to send credentials, set bitcoin_core.url to the new address in the configuration file or the environment, together with cookie_file or user and password",
            self.url
        ))
    }

    /// Whether the cookie file is at the default path.
    pub fn has_default_cookie(&self, network: Network) -> bool {
        matches!(&self.credentials, Credentials::CookieFile(path) if *path == default_cookie(network))
    }
}

/// Default path of the cookie file of Bitcoin Core.
pub(crate) fn default_cookie(network: Network) -> PathBuf {
    home().join(".bitcoin").join(network.subdirectory()).join(".cookie")
}
