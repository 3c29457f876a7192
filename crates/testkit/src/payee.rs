//! A receiver of silent payments, with all its keys.

use bitcoin::secp256k1::{PublicKey, SecretKey, rand};
use sdk_relay_bip352::address::Network;
use sdk_relay_bip352::{Receiver, ScanKey, SilentPaymentAddress};

use crate::curve::SECP;

/// Scan and spend key of a regtest wallet, and its labels.
#[derive(Clone, Debug)]
pub struct Payee {
    /// `b_scan`.
    pub scan: SecretKey,
    /// `b_spend`.
    pub spend: SecretKey,
    /// Its labels, beside 0 (change).
    pub labels: Vec<u32>,
}

impl Payee {
    /// New keys.
    pub fn new(labels: &[u32]) -> Payee {
        let mut rng = rand::thread_rng();
        Payee {
            scan: SecretKey::new(&mut rng),
            spend: SecretKey::new(&mut rng),
            labels: labels.to_vec(),
        }
    }

    /// What finds its payments.
    pub fn receiver(&self) -> Receiver {
        Receiver::new(
            ScanKey::from(self.scan),
            self.spend_public_key(),
            self.labels.iter().copied(),
        )
        .unwrap_or_else(|e| panic!("{e}"))
    }

    /// `B_spend`.
    pub fn spend_public_key(&self) -> PublicKey {
        self.spend.public_key(&SECP)
    }

    /// `b_scan` as 64 hex digits, as a watch takes it.
    pub fn scan_hex(&self) -> String {
        self.scan.display_secret().to_string()
    }

    /// The address without a label (`sprt1…`).
    pub fn address(&self) -> SilentPaymentAddress {
        self.receiver().address(Network::Regtest)
    }

    /// The address with label `m`, which is one of its labels and not 0.
    pub fn labelled_address(&self, m: u32) -> SilentPaymentAddress {
        self.receiver()
            .labelled_address(Network::Regtest, m)
            .unwrap_or_else(|e| panic!("{e}"))
    }
}
