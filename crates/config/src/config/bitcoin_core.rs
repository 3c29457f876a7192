//! The node, and how the relay authenticates to it.

use std::path::PathBuf;

use sdk_relay_chain::node::ZmqAddress;
use sdk_relay_chain::rpc::Auth;
use sdk_relay_platform::net::Proxy;
use zeroize::Zeroizing;

use crate::data_dir::home;
use crate::local_node::LocalNode;
use crate::network::Network;
use crate::secret::Secret;

/// The value of `bitcoin_core.zmq_url` that turns ZMQ off.
pub(crate) const ZMQ_OFF: &str = "off";

/// The node.
#[derive(Clone, Debug)]
pub struct BitcoinCore {
    /// `http://HOST:PORT`.
    pub url: String,
    /// Credentials of the relay.
    pub credentials: Credentials,
    /// Wallet of the node, if one is configured.
    pub wallet: Option<String>,
    /// Where it publishes ZMQ messages.
    pub zmq: ZmqAddress,
    /// The SOCKS proxy on the way to it.
    pub proxy: Option<Proxy>,
}

/// Credentials of the relay at the node.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The file that the node writes at each start.
    CookieFile(PathBuf),
    /// None are configured: the cookie files of a node on this machine.
    Local(LocalNode),
    /// `rpcuser`, `rpcpassword` or `rpcauth`.
    UserPassword(String, Secret),
    /// No credentials are sent: they were configured for another address than the one set with `PUT /config`.
    Withheld {
        /// The address for which they were configured.
        configured_for: String,
    },
}

impl BitcoinCore {
    /// `bitcoin_core.zmq_url`.
    pub(crate) fn zmq_url(&self) -> &str {
        match &self.zmq {
            ZmqAddress::Reported => "",
            ZmqAddress::At(url) => url,
            ZmqAddress::Off => ZMQ_OFF,
        }
    }

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

    /// The credentials for requests.
    pub fn auth(&self) -> Auth {
        match &self.credentials {
            Credentials::CookieFile(path) => Auth::CookieFile(path.clone()),
            Credentials::Local(node) => Auth::CookieFiles(node.cookie_files.clone()),
            Credentials::UserPassword(user, password) => Auth::UserPassword {
                user: user.clone(),
                password: Zeroizing::new(password.expose().to_owned()),
            },
            Credentials::Withheld { .. } => Auth::None,
        }
    }

    /// Whether the search for a node on this machine has found its cookie file.
    pub fn has_found_cookie(&self) -> bool {
        matches!(&self.credentials, Credentials::Local(node) if node.has_cookie)
    }

    /// What the search for a node on this machine has found; empty if the node is configured.
    pub fn findings(&self) -> &[String] {
        match &self.credentials {
            Credentials::Local(node) => &node.findings,
            _ => &[],
        }
    }
}

/// Default path of the cookie file of Bitcoin Core.
pub(crate) fn default_cookie(network: Network) -> PathBuf {
    home().join(".bitcoin").join(network.subdirectory()).join(".cookie")
}
