//! The source of blocks.

use std::sync::Arc;

use anyhow::Context as _;
use sdk_relay_chain::ChainSource;
use sdk_relay_chain::node::{NodeConfig, NodeSource};
use sdk_relay_chain::rpc::{Auth, RpcClient};
use sdk_relay_config::{BitcoinCore, Config, Credentials};
use sdk_relay_devchain::DevChain;
use zeroize::Zeroizing;

/// Where blocks come from, and what goes with it.
pub(crate) struct Source {
    pub(crate) chain: Arc<dyn ChainSource>,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Embedded(Arc<DevChain>),
    Node(RpcClient),
}

/// Opens the configured source.
pub(crate) fn open_source(config: &Config) -> anyhow::Result<Source> {
    if config.standalone {
        let chain = DevChain::open(&config.data_dir).context("cannot open the development chain")?;
        return Ok(Source {
            chain: Arc::clone(&chain) as Arc<dyn ChainSource>,
            kind: Kind::Embedded(chain),
        });
    }
    let BitcoinCore {
        url,
        credentials,
        zmq_url,
        ..
    } = &config.bitcoin_core;
    let auth = match credentials {
        Credentials::CookieFile(path) => Auth::CookieFile(path.clone()),
        Credentials::UserPassword(user, password) => Auth::UserPassword {
            user: user.clone(),
            password: Zeroizing::new(password.expose().to_owned()),
        },
        Credentials::Withheld { .. } => Auth::None,
    };
    if let Some(warning) = config.bitcoin_core.withheld() {
        tracing::warn!(warning, "sending no credentials to the node");
    }
    let node = NodeSource::new(NodeConfig {
        rpc_url: url.clone(),
        auth,
        zmq_url: zmq_url.clone(),
    })?
    .of_chain(config.network.chain());
    let rpc = node.rpc().clone();
    Ok(Source {
        chain: Arc::new(node),
        kind: Kind::Node(rpc),
    })
}
