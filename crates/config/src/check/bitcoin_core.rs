//! `[bitcoin_core]`: the node, and how the relay authenticates to it.

use std::path::PathBuf;

use sdk_relay_chain::rpc::{Auth as RpcAuth, RpcClient};

use super::checker::Checker;
use crate::data_dir::home;
use crate::error::ConfigError;
use crate::file::File;
use crate::network::Network;
use crate::secret::Secret;

/// Longest name of the node's wallet: it becomes a directory's name.
const MAX_WALLET_NAME: usize = 255;

/// The node.
#[derive(Clone, Debug)]
pub struct BitcoinCore {
    /// `http://HOST:PORT`.
    pub url: String,
    /// How the relay proves who it is.
    pub credentials: Credentials,
    /// The node's wallet, where one is wanted.
    pub wallet: Option<String>,
    /// `tcp://HOST:PORT`; `None`: poll.
    pub zmq_url: Option<String>,
}

/// How the relay proves to the node who it is.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The file that the node writes at each start.
    CookieFile(PathBuf),
    /// `rpcuser`, `rpcpassword` or `rpcauth`.
    UserPassword(String, Secret),
    /// None are sent: they were configured for another address than the one that `PUT /config` has set.
    Withheld {
        /// The address that they were configured for.
        configured_for: String,
    },
}

impl BitcoinCore {
    /// Says that the credentials are withheld, where they are.
    pub fn withheld(&self) -> Option<String> {
        let Credentials::Withheld { configured_for } = &self.credentials else {
            return None;
        };
        Some(format!(
            "bitcoin_core.url was changed over HTTP to {}: the relay does not send the configured credentials there, because they belong to {configured_for}; to send credentials, set bitcoin_core.url to the new address in the configuration file or the environment, together with cookie_file or user and password",
            self.url
        ))
    }

    /// Whether the cookie file is where the node keeps it unless somebody says otherwise.
    pub fn has_default_cookie(&self, network: Network) -> bool {
        matches!(&self.credentials, Credentials::CookieFile(path) if *path == default_cookie(network))
    }

    /// `operator_url` is `bitcoin_core.url` without the changes made over HTTP: the configured credentials are for that node alone.
    pub(super) fn check(
        at: &Checker<'_>,
        file: &File,
        operator_url: &str,
        network: Network,
    ) -> Result<Self, ConfigError> {
        let core = &file.bitcoin_core;
        let url = node_url(&core.url, network);
        if url.contains('@') {
            let why = "expected no user or password in the address: set bitcoin_core.user and bitcoin_core.password";
            return Err(at.wrong("bitcoin_core.url", "http://…@…", why));
        }
        // Asked of who will use it: an address that is accepted here, over HTTP too, must not stop the next start.
        if RpcClient::new(&url, RpcAuth::None).is_err() {
            let why = "expected http://HOST:PORT, the node's RPC address";
            return Err(at.wrong("bitcoin_core.url", &core.url, why));
        }
        let zmq_url = zmq_url(at, &core.zmq_url)?;
        let credentials = match (core.cookie_file.as_str(), core.user.as_str(), core.password.as_str()) {
            ("", "", "") => Credentials::CookieFile(default_cookie(network)),
            (file, "", "") => Credentials::CookieFile(PathBuf::from(file)),
            ("", user, password) if !user.is_empty() && !password.is_empty() => {
                Credentials::UserPassword(user.to_owned(), Secret::new(password.to_owned()))
            }
            ("", "", _) => {
                return Err(at.wrong(
                    "bitcoin_core.user",
                    "",
                    "expected a user, because bitcoin_core.password is set",
                ));
            }
            ("", _, _) => {
                return Err(at.wrong(
                    "bitcoin_core.password",
                    "",
                    "expected a password, because bitcoin_core.user is set",
                ));
            }
            (file, _, _) => {
                return Err(at.wrong(
                    "bitcoin_core.cookie_file",
                    file,
                    "expected either a cookie file, or user and password",
                ));
            }
        };
        let wallet = node_wallet(at, &core.wallet)?;
        let configured_for = node_url(operator_url, network);
        let credentials = if url == configured_for {
            credentials
        } else {
            Credentials::Withheld { configured_for }
        };
        Ok(Self {
            url,
            credentials,
            wallet,
            zmq_url,
        })
    }
}

fn default_cookie(network: Network) -> PathBuf {
    home().join(".bitcoin").join(network.subdirectory()).join(".cookie")
}

/// The RPC address in the form in which addresses are compared.
fn node_url(text: &str, network: Network) -> String {
    match text {
        "" => format!("http://127.0.0.1:{}", network.rpc_port()),
        text => text.trim_end_matches('/').to_owned(),
    }
}

fn zmq_url(at: &Checker<'_>, text: &str) -> Result<Option<String>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.contains('@') {
        let why = "expected tcp://HOST:PORT, without user and password: ZMQ does not support them";
        return Err(at.wrong("bitcoin_core.zmq_url", "…@…", why));
    }
    let is_address = || {
        let (host, port) = text.strip_prefix("tcp://")?.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
        (!host.is_empty() && host.bytes().all(fits) && port.parse::<u16>().is_ok()).then_some(())
    };
    if is_address().is_none() {
        let why = "expected tcp://HOST:PORT, or nothing to poll the node";
        return Err(at.wrong("bitcoin_core.zmq_url", text, why));
    }
    Ok(Some(text.to_owned()))
}

/// A name, not a path: the node would create the wallet wherever a path leads.
fn node_wallet(at: &Checker<'_>, name: &str) -> Result<Option<String>, ConfigError> {
    let fits = name.len() <= MAX_WALLET_NAME
        && !name.contains("..")
        && name != "."
        && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control());
    if !fits {
        let why = format!(
            "expected the name of a wallet: at most {MAX_WALLET_NAME} bytes, without slashes, \"..\" or control characters"
        );
        return Err(at.wrong("bitcoin_core.wallet", name, &why));
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}
