//! What is scanned.

use bitcoin::Txid;
use sdk_relay_bip352::EligibleTx;

/// An eligible transaction (BIP352) with what its notifications need.
#[derive(Debug)]
pub struct Row {
    /// What a scan needs.
    pub eligible: EligibleTx,
    /// What a notification needs.
    pub facts: Facts,
}

/// What a notification says of the transaction itself.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Its id.
    pub txid: Txid,
    /// Satoshis; `None` where an input's value is not known.
    pub fee: Option<u64>,
    /// Serialised size in bytes.
    pub size: u64,
}
