use super::*;

const ADDRESS: &str = "sp1qqgste7k9hx0qftg6qmwlkqtwuy6cycyavzmzj85c6qdfhjdpdjtdgqjuexzk6murw56suy3e0rd2cgqvycxttddwsvgxe2usfpxumr70xc9pkqwv";

fn keys() -> Vec<u8> {
    let address: SilentPaymentAddress = ADDRESS.parse().unwrap();
    [address.scan.serialize(), address.spend.serialize()].concat()
}

/// An address of any version and content, with a valid checksum.
fn encode(prefix: &str, version: u8, payload: &[u8]) -> String {
    let characters = payload.iter().copied().bytes_to_fes().collect();
    encode_characters(prefix, version, characters)
}

fn encode_characters(prefix: &str, version: u8, mut characters: Vec<Fe32>) -> String {
    characters.insert(0, Fe32::try_from(version).unwrap());
    let hrp = Hrp::parse(prefix).unwrap();
    // `bech32`'s own iterator refuses nothing, so that addresses longer than the limit can be made, too.
    characters.into_iter().with_checksum::<Bech32m>(&hrp).chars().collect()
}

fn error(address: &str) -> AddressError {
    address.parse::<SilentPaymentAddress>().unwrap_err()
}

#[test]
fn later_versions_are_read_by_their_first_66_bytes() {
    for version in 1..=30 {
        for more in [0, 1, 33, 500] {
            let payload = [keys(), vec![0xff; more]].concat();
            let address: SilentPaymentAddress = encode("sp", version, &payload).parse().unwrap();
            assert_eq!(address.to_string(), ADDRESS);
        }
        assert_eq!(
            error(&encode("sp", version, &keys()[..65])),
            AddressError::Length {
                version,
                characters: 104
            }
        );
    }
    assert_eq!(error(&encode("sp", 31, &keys())), AddressError::Version31);
}

#[test]
fn version_0_has_exactly_66_bytes() {
    assert_eq!(encode("sp", 0, &keys()), ADDRESS);
    assert_eq!(
        error(&encode("sp", 0, &keys()[..65])),
        AddressError::Length {
            version: 0,
            characters: 104
        }
    );
    assert_eq!(
        error(&encode("sp", 0, &[keys(), vec![0]].concat())),
        AddressError::Length {
            version: 0,
            characters: 108
        }
    );
    assert_eq!(
        error(&encode("sp", 0, &[])),
        AddressError::Length {
            version: 0,
            characters: 0
        }
    );
    let hrp = Hrp::parse("sp").unwrap();
    let empty: String = [].into_iter().with_checksum::<Bech32m>(&hrp).chars().collect();
    assert_eq!(
        error(&empty),
        AddressError::Length {
            version: 0,
            characters: 0
        }
    );
}

#[test]
fn padding_bits_of_version_0_are_zero() {
    let mut characters: Vec<Fe32> = keys().into_iter().bytes_to_fes().collect();
    let last = characters.pop().unwrap().to_u8();
    characters.push(Fe32::try_from(last | 1).unwrap());
    assert_eq!(
        error(&encode_characters("sp", 0, characters.clone())),
        AddressError::Padding
    );
    assert!(
        encode_characters("sp", 1, characters)
            .parse::<SilentPaymentAddress>()
            .is_ok()
    );
}

#[test]
fn the_limit_is_1023_characters() {
    let keys: Vec<Fe32> = keys().into_iter().bytes_to_fes().collect();
    // Prefix, separator, version and checksum take ten characters.
    let characters = |length: usize| [keys.clone(), vec![Fe32::Q; length - 10 - keys.len()]].concat();
    let longest = encode_characters("sp", 1, characters(MAX_LENGTH));
    assert_eq!(longest.len(), MAX_LENGTH);
    assert_eq!(longest.parse::<SilentPaymentAddress>().unwrap().to_string(), ADDRESS);
    let too_long = encode_characters("sp", 1, characters(MAX_LENGTH + 1));
    assert_eq!(error(&too_long), AddressError::TooLong(MAX_LENGTH + 1));
}

#[test]
fn every_network_has_its_prefix() {
    for (network, prefix) in [
        (Network::Main, "sp1q"),
        (Network::Test, "tsp1q"),
        (Network::Regtest, "sprt1q"),
    ] {
        let address = SilentPaymentAddress {
            network,
            ..ADDRESS.parse().unwrap()
        };
        assert!(address.to_string().starts_with(prefix));
        assert_eq!(address.to_string().parse(), Ok(address));
    }
    assert_eq!(Network::from(bitcoin::Network::Bitcoin), Network::Main);
    assert_eq!(Network::from(bitcoin::Network::Regtest), Network::Regtest);
    for network in [
        bitcoin::Network::Testnet,
        bitcoin::Network::Testnet4,
        bitcoin::Network::Signet,
    ] {
        assert_eq!(Network::from(network), Network::Test);
    }
}

#[test]
fn other_addresses_are_distinguished() {
    let taproot = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0";
    assert_eq!(error(taproot), AddressError::UnknownPrefix("bc".to_owned()));
    assert!(matches!(
        error("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        AddressError::NotBech32m(_)
    ));
    assert!(matches!(error(""), AddressError::NotBech32m(_)));
    assert!(matches!(
        error(&ADDRESS.replace("sp1qq", "sp1qQ")),
        AddressError::NotBech32m(_)
    ));
    assert_eq!(error(&ADDRESS.replace("sp1qq", "sp1qp")), AddressError::Checksum);
    assert_eq!(error("sp1qqq"), AddressError::Checksum);
    let hrp = Hrp::parse("sp").unwrap();
    let old: String = keys()
        .into_iter()
        .bytes_to_fes()
        .with_checksum::<Bech32>(&hrp)
        .chars()
        .collect();
    assert_eq!(error(&old), AddressError::OldChecksum);
}

#[test]
fn both_keys_are_points() {
    // No point has this x coordinate; 4 is not a prefix of a compressed key.
    let off_curve = [vec![2; 1], vec![0; 31], vec![5]].concat();
    let valid = &keys()[..33];
    assert_eq!(
        error(&encode("sp", 0, &[&off_curve, valid].concat())),
        AddressError::ScanKey
    );
    assert_eq!(
        error(&encode("sp", 0, &[valid, &off_curve].concat())),
        AddressError::SpendKey
    );
    assert_eq!(
        error(&encode("sp", 0, &[&[4; 33], valid].concat())),
        AddressError::ScanKey
    );
}
