//! Addresses, written and read.

use bitcoin::secp256k1::Secp256k1;
use proptest::prelude::*;
use proptest::sample::select;
use sdk_relay_bip352::{Network, SilentPaymentAddress};
use silentpayments::SilentPaymentCode;

use super::{config, secret_key};

fn address() -> impl Strategy<Value = SilentPaymentAddress> {
    let network = select(&[Network::Main, Network::Test, Network::Regtest][..]);
    (network, secret_key(), secret_key()).prop_map(|(network, scan, spend)| {
        let secp = Secp256k1::new();
        SilentPaymentAddress {
            network,
            scan: scan.public_key(&secp),
            spend: spend.public_key(&secp),
        }
    })
}

fn theirs(address: &SilentPaymentAddress) -> SilentPaymentCode {
    let network = match address.network {
        Network::Main => silentpayments::Network::Mainnet,
        Network::Test => silentpayments::Network::Testnet,
        Network::Regtest => silentpayments::Network::Regtest,
    };
    SilentPaymentCode::new_v0(address.scan, address.spend, network)
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn encoding_and_parsing_match_the_reference(address in address()) {
        let text = address.to_string();
        prop_assert_eq!(&text, &theirs(&address).to_string());
        prop_assert_eq!(text.parse(), Ok(address));
        prop_assert_eq!(text.to_uppercase().parse(), Ok(address));
    }

    #[test]
    fn mistyped_addresses_are_rejected(address in address(), place in any::<prop::sample::Index>(), typed in "[a-z0-9 ]") {
        let mut text = address.to_string();
        let place = place.index(text.len());
        prop_assume!(text[place..=place] != typed);
        text.replace_range(place..=place, &typed);
        prop_assert!(text.parse::<SilentPaymentAddress>().is_err());
    }
}
