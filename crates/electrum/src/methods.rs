//! Names of methods that several files use.

use sdk_relay_echo::quoted;

use crate::error::RpcError;

pub(crate) const HEADERS: &str = "blockchain.headers.subscribe";
pub(crate) const SUBSCRIBE: &str = "blockchain.silentpayments.subscribe";
pub(crate) const UNSUBSCRIBE: &str = "blockchain.silentpayments.unsubscribe";
/// Also that of the notifications of the backend.
pub(crate) const SCRIPTS: &str = "blockchain.scripthash.subscribe";
pub(crate) const END_SCRIPTS: &str = "blockchain.scripthash.unsubscribe";
/// Of all methods about scripts.
pub(crate) const SCRIPTS_PREFIX: &str = "blockchain.scripthash.";

/// The error for a method that there is not.
pub(crate) fn unknown(method: &str) -> RpcError {
    RpcError::unknown_method(format!(
        "unknown method {}: this relay serves server.*, blockchain.block.*, blockchain.headers.subscribe, blockchain.transaction.*, \
         blockchain.estimatefee, blockchain.relayfee, mempool.get_fee_histogram, blockchain.silentpayments.* and blockchain.scripthash.*",
        quoted(method)
    ))
}

/// The error for a script that no scan of the connection has found.
pub(crate) fn no_such_script() -> RpcError {
    RpcError::refused(
        "this relay knows the silent payments of this connection only, and this script is none of them: subscribe first with \
         blockchain.silentpayments.subscribe; for other scripts the operator of the relay can set electrum.backend",
    )
}
