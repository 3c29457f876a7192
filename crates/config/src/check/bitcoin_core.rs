//! `[bitcoin_core]`: the node, and how the relay authenticates to it.

use std::net::IpAddr;

use hyper::Uri;

use crate::config::{BitcoinCore, Credentials, default_cookie};
use crate::error::ConfigError;
use crate::local_node::local_node;
use crate::network::Network;
use crate::settings as key;
use crate::values::Values;

impl BitcoinCore {
    /// `operator_url` is `bitcoin_core.url` without the changes made over HTTP: the configured credentials are for that
    /// node only.
    pub(super) fn check(values: &Values, operator_url: &str, network: Network) -> Result<Self, ConfigError> {
        let credentials = credentials(values, operator_url, network)?;
        let configured_for = match &credentials {
            Credentials::Local(node) => node.url.clone(),
            _ => node_url(operator_url, network),
        };
        let url = match values.get(&key::BITCOIN_CORE_URL)? {
            Some(url) => node_url(&url, network),
            None => configured_for.clone(),
        };
        Ok(Self {
            credentials: if url == configured_for {
                credentials
            } else {
                Credentials::Withheld { configured_for }
            },
            url,
            wallet: values.get(&key::NODE_WALLET)?,
            zmq: values.get(&key::ZMQ_URL)?,
            proxy: values.get(&key::NODE_PROXY)?,
        })
    }
}

/// Either a cookie file, or user and password. Without both, those of a node on this machine.
fn credentials(values: &Values, operator_url: &str, network: Network) -> Result<Credentials, ConfigError> {
    let file = values.get(&key::COOKIE_FILE)?;
    match (file, values.get(&key::USER)?, values.get(&key::PASSWORD)?) {
        (None, None, None) if values.get(&key::STANDALONE)? || !is_local(operator_url) => {
            Ok(Credentials::CookieFile(default_cookie(network)))
        }
        (None, None, None) => {
            let configured = (!operator_url.is_empty()).then(|| node_url(operator_url, network));
            Ok(Credentials::Local(local_node(network, configured.as_deref())))
        }
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

/// Whether the address is on this machine: none is.
fn is_local(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return url.is_empty();
    };
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The RPC address in normal form, for comparison.
fn node_url(text: &str, network: Network) -> String {
    match text {
        "" => format!("http://127.0.0.1:{}", network.rpc_port()),
        text => text.trim_end_matches('/').to_owned(),
    }
}
