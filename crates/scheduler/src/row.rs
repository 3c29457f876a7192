//! Input of scans.

use bitcoin::Txid;
use sdk_relay_bip352::EligibleTx;

/// An eligible transaction (BIP352) with the data of its notifications.
#[derive(Debug)]
pub struct Row {
    /// Input of the scan.
    pub eligible: EligibleTx,
    /// Data of notifications.
    pub facts: Facts,
}

/// Data of a notification about the transaction.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Its id.
    pub txid: Txid,
    /// In satoshis; `None` if the value of an input is unknown.
    pub fee: Option<u64>,
    /// Serialised size in bytes.
    pub size: u64,
}
