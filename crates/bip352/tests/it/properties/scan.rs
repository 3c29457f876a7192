//! Payments from random inputs to random wallets: made, found and spendable as theirs are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bitcoin::secp256k1::{Keypair, Secp256k1, SecretKey, XOnlyPublicKey};
use proptest::prelude::*;
use sdk_relay_bip352::send::{SendError, output_keys};
use sdk_relay_bip352::spend::secret_key as output_secret_key;
use sdk_relay_bip352::{
    EligibleTx, Engine, Libsecp256k1, Match, Network, Prepared, Receiver, ScanKey, SilentPaymentAddress, scan,
};
use silentpayments::receiving::Label;
use silentpayments::utils::receiving::calculate_ecdh_shared_secret;
use silentpayments::utils::sending::calculate_partial_secret;
use silentpayments::{SilentPaymentCode, SpVersion};

use super::inputs::{TestInput, inputs, transaction};
use super::tweak::{their_input_keys, their_outpoints};
use super::{config, secret_key};

/// A wallet with its secrets and its labels beside 0.
#[derive(Clone, Debug)]
struct Wallet {
    scan: SecretKey,
    spend: SecretKey,
    labels: BTreeSet<u32>,
}

/// What is found, in the form in which both sides can be compared: key, label, tweak.
type Found = BTreeSet<([u8; 32], Option<u32>, [u8; 32])>;

fn wallet() -> impl Strategy<Value = Wallet> {
    let labels = prop_oneof![
        prop::collection::btree_set(1..=u32::MAX, 0..4),
        // Enough that labels are looked up instead of tried.
        prop::collection::btree_set(1..=1000u32, 40..60),
    ];
    (secret_key(), secret_key(), labels).prop_map(|(scan, spend, labels)| Wallet { scan, spend, labels })
}

/// Wallets, and who of them is paid: index of the wallet, and of one of its addresses (unlabelled, change, labels).
fn wallets_and_payments() -> impl Strategy<Value = (Vec<Wallet>, Vec<(usize, usize)>)> {
    let payments = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..7);
    (prop::collection::vec(wallet(), 1..4), payments).prop_map(|(wallets, payments)| {
        let place = |(wallet, address): (prop::sample::Index, prop::sample::Index)| {
            let wallet = wallet.index(wallets.len());
            (wallet, address.index(wallets[wallet].labels.len() + 2))
        };
        let payments = payments.into_iter().map(place).collect();
        (wallets, payments)
    })
}

impl Wallet {
    fn receiver(&self) -> Receiver {
        let spend = self.spend.public_key(&Secp256k1::new());
        Receiver::new(ScanKey::from(self.scan), spend, self.labels.iter().copied()).expect("usable labels")
    }

    fn addresses(&self) -> Vec<SilentPaymentAddress> {
        let receiver = self.receiver();
        let change = receiver.change_address(Network::Regtest).expect("a change address");
        let labelled = self
            .labels
            .iter()
            .map(|m| receiver.labelled_address(Network::Regtest, *m).expect("an address"));
        [receiver.address(Network::Regtest), change]
            .into_iter()
            .chain(labelled)
            .collect()
    }

    fn their_receiver(&self) -> silentpayments::receiving::Receiver {
        let secp = Secp256k1::new();
        let (scan, spend) = (self.scan.public_key(&secp), self.spend.public_key(&secp));
        let (change, network) = (Label::new(self.scan, 0), silentpayments::Network::Regtest);
        let mut receiver = silentpayments::receiving::Receiver::new(SpVersion::ZERO, scan, spend, change, network)
            .expect("a receiver");
        for m in &self.labels {
            assert!(receiver.add_label(Label::new(self.scan, *m)).expect("a label"));
        }
        receiver
    }

    fn our_finds(&self, tx: &EligibleTx) -> Found {
        let found = scan(&self.receiver(), tx);
        found
            .iter()
            .map(|found| (found.key, found.label, *found.tweak.as_bytes()))
            .collect()
    }

    fn their_finds(&self, tx: &EligibleTx) -> Found {
        let secret = calculate_ecdh_shared_secret(&tx.tweak, &self.scan);
        let keys: Vec<_> = tx
            .outputs
            .iter()
            .filter_map(|o| XOnlyPublicKey::from_slice(&o.key).ok())
            .collect();
        let found = self.their_receiver().scan_transaction(&secret, &keys).expect("a scan");
        let numbers: HashMap<Label, u32> = self
            .labels
            .iter()
            .chain([&0])
            .map(|m| (Label::new(self.scan, *m), *m))
            .collect();
        let finds = found.into_iter().flat_map(|(label, outputs)| {
            let label = label.map(|label| numbers[&label]);
            outputs
                .into_iter()
                .map(move |(key, tweak)| (key.serialize(), label, tweak.to_be_bytes()))
        });
        finds.collect()
    }
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn labelled_addresses_match_the_reference(wallet in wallet()) {
        let theirs = wallet.their_receiver();
        let mut codes = vec![theirs.receiving_code(), theirs.change_code()];
        let labelled = wallet.labels.iter().map(|m| theirs.receiving_code_for_label(&Label::new(wallet.scan, *m)));
        codes.extend(labelled.map(|code| code.expect("a code")));
        let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
        prop_assert_eq!(wallet.addresses().iter().map(ToString::to_string).collect::<Vec<_>>(), codes);
    }

    #[test]
    fn payments_are_created_found_and_spendable(
        inputs in inputs(),
        (wallets, payments) in wallets_and_payments(),
        others in prop::collection::vec(any::<[u8; 32]>(), 0..4),
        order in any::<u64>(),
    ) {
        let addresses: Vec<_> = payments.iter().map(|(wallet, address)| wallets[*wallet].addresses()[*address]).collect();
        let made = output_keys(&inputs.iter().map(TestInput::spent).collect::<Vec<_>>(), &addresses);
        let input_keys = their_input_keys(&inputs);
        if input_keys.is_empty() {
            prop_assert_eq!(made, Err(SendError::NoEligibleInput));
            return Ok(());
        }
        let made: Vec<[u8; 32]> = made.expect("outputs").iter().map(XOnlyPublicKey::serialize).collect();

        // As many outputs off the curve as on it are among the others.
        let mut outputs: Vec<[u8; 32]> = [&made[..], &others[..]].concat();
        outputs.sort_by_key(|key| u64::from_le_bytes(key[..8].try_into().expect("eight bytes")) ^ order);
        let (tx, prevouts) = transaction(&inputs, &outputs);
        prop_assert_eq!(by_address(&addresses, &made), their_outputs(&input_keys, &tx, &addresses));

        let eligible = EligibleTx::from_tx(&tx, &prevouts).expect("an eligible transaction");
        for (index, wallet) in wallets.iter().enumerate() {
            let finds = wallet.our_finds(&eligible);
            prop_assert_eq!(&finds, &wallet.their_finds(&eligible));
            let sent: BTreeSet<_> = payments.iter().zip(&made).filter(|((w, _), _)| *w == index).map(|(_, key)| *key).collect();
            prop_assert_eq!(finds.iter().map(|(key, ..)| *key).collect::<BTreeSet<_>>(), sent);
        }
        check_engine(&wallets, &eligible);
    }
}

/// Each address's keys in the order of payment.
fn by_address(addresses: &[SilentPaymentAddress], keys: &[[u8; 32]]) -> BTreeMap<String, Vec<[u8; 32]>> {
    let mut outputs: BTreeMap<String, Vec<[u8; 32]>> = BTreeMap::new();
    for (address, key) in addresses.iter().zip(keys) {
        outputs.entry(address.to_string()).or_default().push(*key);
    }
    outputs
}

fn their_outputs(
    keys: &[(SecretKey, bool)],
    tx: &bitcoin::Transaction,
    addresses: &[SilentPaymentAddress],
) -> BTreeMap<String, Vec<[u8; 32]>> {
    let secret = calculate_partial_secret(keys, &their_outpoints(tx)).expect("a secret");
    let codes = addresses
        .iter()
        .map(|address| SilentPaymentCode::try_from(address.to_string()).expect("a code"));
    let outputs = silentpayments::sending::generate_recipient_pubkeys(codes, secret).expect("outputs");
    let serialize = |keys: Vec<XOnlyPublicKey>| keys.iter().map(XOnlyPublicKey::serialize).collect();
    outputs
        .into_iter()
        .map(|(code, keys)| (code.to_string(), serialize(keys)))
        .collect()
}

/// Many wallets and rows at once are what one at a time are, and every match is spendable.
fn check_engine(wallets: &[Wallet], tx: &EligibleTx) {
    let prepared = wallets.iter().map(|wallet| Libsecp256k1.prepare(wallet.receiver()));
    let receivers: Vec<Prepared> = prepared.collect();
    let empty = EligibleTx {
        outputs: Vec::new(),
        ..tx.clone()
    };
    let hits = Libsecp256k1.scan(&receivers.iter().collect::<Vec<_>>(), &[tx, &empty, tx]);
    let hits = hits.expect("an answer");
    let found = |row: usize, receiver: usize| {
        let mut hits = hits
            .iter()
            .filter(move |hit| (hit.row, hit.receiver) == (row, receiver));
        let matches: Vec<Match> = hits.next().map(|hit| hit.matches.clone()).unwrap_or_default();
        assert!(hits.next().is_none(), "one hit for each pair");
        matches
    };
    assert!(hits.is_sorted_by_key(|hit| (hit.row, hit.receiver)));
    for (index, wallet) in wallets.iter().enumerate() {
        let alone = scan(&receivers[index], tx);
        assert_eq!(
            (found(0, index), found(1, index), found(2, index)),
            (alone.clone(), vec![], alone.clone())
        );
        assert!(alone.iter().map(|found| found.k).eq(0..alone.len() as u32));
        for found in alone {
            let key = output_secret_key(&wallet.spend, &found.tweak).expect("a secret key");
            assert_eq!(
                Keypair::from_secret_key(&Secp256k1::new(), &key)
                    .x_only_public_key()
                    .0
                    .serialize(),
                found.key
            );
            assert_eq!(tx.outputs[found.vout as usize].key, found.key);
        }
    }
}
