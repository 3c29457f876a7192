//! A wallet of the node: payments, addresses and scripts.

use std::collections::HashSet;

use bitcoin::{Address, Amount, Denomination, ScriptBuf, Txid, address::NetworkUnchecked};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    rpc::{RpcClient, RpcError, ServerError, code},
    source::SourceError,
};

/// Why a wallet operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WalletError {
    /// The node has no wallets: it was built without them, or runs with `disablewallet=1`.
    #[error(
        "the node at {at} does not support wallets: it runs with disablewallet=1, or was built without wallet support"
    )]
    Unavailable {
        /// `HOST:PORT`.
        at: String,
    },
    /// The wallet refused; the reason of the node, such as "Insufficient funds".
    #[error("{0}")]
    Refused(ServerError),
    /// The request to the node failed.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// A loaded wallet of the node. A restarted node does not load it by itself: the first call after a restart loads it.
#[derive(Clone, Debug)]
pub struct NodeWallet {
    /// Client of the node.
    node: RpcClient,
    /// Client of the endpoint of the wallet.
    rpc: RpcClient,
    name: String,
}

/// The fields of an entry of `listdescriptors` that are used.
#[derive(Deserialize)]
struct Descriptor {
    desc: String,
    active: bool,
    #[serde(default)]
    internal: bool,
    /// First and last index that the wallet watches; absent for a descriptor without a wildcard.
    #[serde(default)]
    range: Option<(u32, u32)>,
}

#[derive(Deserialize)]
struct Descriptors {
    descriptors: Vec<Descriptor>,
}

impl NodeWallet {
    /// Loads the wallet `name`, and creates it if it does not exist.
    pub async fn open(rpc: &RpcClient, name: &str) -> Result<Self, WalletError> {
        let wallet = Self {
            node: rpc.clone(),
            rpc: rpc.wallet(name),
            name: name.to_owned(),
        };
        wallet.load().await?;
        Ok(wallet)
    }

    async fn load(&self) -> Result<(), WalletError> {
        let loaded = self.node.call::<Value>("loadwallet", json!([self.name])).await;
        let outcome = match loaded {
            Err(error) if has_code(&error, code::WALLET_NOT_FOUND) => {
                self.node.call::<Value>("createwallet", json!([self.name])).await
            }
            other => other,
        };
        match outcome {
            Err(error) if !has_code(&error, code::WALLET_ALREADY_LOADED) => Err(refused(&self.node, error)),
            _ => Ok(()),
        }
    }

    /// Every script of the active external descriptors of the wallet, thus of every address that it may have given out.
    /// The range grows as the wallet gives out addresses (the `keypool` of the node keeps it 1,000 ahead).
    pub async fn scripts(&self) -> Result<HashSet<ScriptBuf>, WalletError> {
        let Descriptors { descriptors } = self.call("listdescriptors", json!([false])).await?;
        let external = descriptors.iter().filter(|d| d.active && !d.internal);
        let calls: Vec<_> = external
            .map(|d| match d.range {
                Some(range) => ("deriveaddresses", json!([d.desc, range])),
                None => ("deriveaddresses", json!([d.desc])),
            })
            .collect();
        let outcomes = self.rpc.batch(calls).await.map_err(SourceError::from)?;
        let mut scripts = HashSet::new();
        for outcome in outcomes {
            let addresses: Vec<Address<NetworkUnchecked>> = outcome
                .map_err(WalletError::Refused)
                .and_then(|value| serde_json::from_value(value).map_err(|e| malformed("deriveaddresses", e)))?;
            // The addresses are from the node, so they are of its network.
            scripts.extend(
                addresses
                    .into_iter()
                    .map(|address| address.assume_checked().script_pubkey()),
            );
        }
        Ok(scripts)
    }

    /// A new address of the wallet (`getnewaddress`).
    pub async fn new_address(&self) -> Result<Address, WalletError> {
        let address: Address<NetworkUnchecked> = self.call("getnewaddress", json!([])).await?;
        Ok(address.assume_checked())
    }

    /// Pays `amount` to `address` (`sendtoaddress`). The node checks the address and its network.
    pub async fn send(&self, address: &str, amount: Amount) -> Result<Txid, WalletError> {
        self.call(
            "sendtoaddress",
            json!([address, amount.to_string_in(Denomination::Bitcoin)]),
        )
        .await
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, WalletError> {
        let outcome = match self.rpc.call(method, params.clone()).await {
            // The call was refused before it had an effect: a retry cannot pay twice.
            Err(error) if has_code(&error, code::WALLET_NOT_FOUND) => {
                self.load().await?;
                self.rpc.call(method, params).await
            }
            other => other,
        };
        outcome.map_err(|error| refused(&self.rpc, error))
    }
}

fn has_code(error: &RpcError, code: i64) -> bool {
    error.server().is_some_and(|e| e.code == code)
}

fn refused(rpc: &RpcClient, error: RpcError) -> WalletError {
    match error {
        RpcError::Server { error, .. } if error.code == code::METHOD_NOT_FOUND => WalletError::Unavailable {
            at: rpc.at().to_owned(),
        },
        RpcError::Server { error, .. } => WalletError::Refused(error),
        other => WalletError::Source(other.into()),
    }
}

fn malformed(what: &str, reason: impl ToString) -> WalletError {
    WalletError::Source(SourceError::Malformed {
        what: what.to_owned(),
        reason: reason.to_string(),
    })
}
