//! `[bitcoin_core]`: the node, and how the relay authenticates to it.

use crate::config::{BitcoinCore, Credentials, default_cookie};
use crate::error::ConfigError;
use crate::network::Network;
use crate::settings as key;
use crate::values::Values;

impl BitcoinCore {
    /// `operator_url` is `bitcoin_core.url` without the changes made over HTTP: the configured credentials are for that
    /// node only.
    pub(super) fn check(values: &Values, operator_url: &str, network: Network) -> Result<Self, ConfigError> {
        let url = node_url(&values.get(&key::BITCOIN_CORE_URL)?.unwrap_or_default(), network);
        let credentials = credentials(values, network)?;
        let configured_for = node_url(operator_url, network);
        Ok(Self {
            credentials: if url == configured_for {
                credentials
            } else {
                Credentials::Withheld { configured_for }
            },
            url,
            wallet: values.get(&key::NODE_WALLET)?,
            zmq_url: values.get(&key::ZMQ_URL)?,
        })
    }
}

/// Either a cookie file, or user and password.
fn credentials(values: &Values, network: Network) -> Result<Credentials, ConfigError> {
    let file = values.get(&key::COOKIE_FILE)?;
    match (file, values.get(&key::USER)?, values.get(&key::PASSWORD)?) {
        (None, None, None) => Ok(Credentials::CookieFile(default_cookie(network))),
        (Some(file), None, None) => Ok(Credentials::CookieFile(file)),
        (None, Some(user), Some(password)) => Ok(Credentials::UserPassword(user, password)),
        (None, None, Some(_)) => {
            let why = "expected a user, because bitcoin_core.password is set";
            Err(values.wrong(&key::USER, why))
        }
        (None, Some(_), None) => {
            let why = "expected a password, because bitcoin_core.user is set";
            Err(values.wrong(&key::PASSWORD, why))
        }
        (Some(_), _, _) => {
            let why = "expected either a cookie file, or user and password";
            Err(values.wrong(&key::COOKIE_FILE, why))
        }
    }
}

/// The RPC address in normal form, for comparison.
fn node_url(text: &str, network: Network) -> String {
    match text {
        "" => format!("http://127.0.0.1:{}", network.rpc_port()),
        text => text.trim_end_matches('/').to_owned(),
    }
}
