//! Addresses and amounts of payments.

use bitcoin::{Address, Network as BitcoinNetwork, ScriptBuf, WScriptHash, hashes::Hash};

use super::*;

fn address(script: ScriptBuf, network: BitcoinNetwork) -> String {
    Address::from_script(&script, network).unwrap().to_string()
}

fn a_script() -> ScriptBuf {
    ScriptBuf::new_p2wsh(&WScriptHash::from_byte_array([3; 32]))
}

#[test]
fn an_address_that_is_not_for_regtest_is_refused_with_the_reason() {
    let (_dir, chain) = new_chain();
    let mut mistyped = any_address();
    mistyped.replace_range(20..21, if &mistyped[20..21] == "q" { "p" } else { "q" });
    for (wrong, reason) in [
        ("", "neither a silent-payment address nor a Bitcoin address"),
        ("hello", "neither a silent-payment address nor a Bitcoin address"),
        (mistyped.as_str(), "the checksum does not match"),
        ("sprt1qqq", "not an address"),
        ("bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "neither"),
    ] {
        let refused = chain.pay(wrong, SATS).unwrap_err();
        assert!(matches!(refused, PayError::Address(_)), "{wrong}: {refused}");
        assert!(refused.to_string().contains(reason), "{wrong}: {refused}");
    }
    let receiver = Payee::new(&[]).receiver();
    for wrong in [
        receiver.address(Network::Main).to_string(),
        receiver.address(Network::Test).to_string(),
        address(a_script(), BitcoinNetwork::Bitcoin),
        address(a_script(), BitcoinNetwork::Signet),
    ] {
        let refused = chain.pay(&wrong, SATS).unwrap_err();
        assert!(matches!(refused, PayError::WrongNetwork(_)), "{wrong}: {refused}");
    }
    assert_eq!(chain.state().ledger.mempool.len(), 0);
}

#[test]
fn an_address_is_taken_in_capitals_and_with_blanks_around() {
    let (_dir, chain) = new_chain();
    chain
        .pay(&format!(" {}\n", any_address().to_uppercase()), SATS)
        .unwrap();
    let ordinary = address(a_script(), BitcoinNetwork::Regtest);
    chain.pay(&ordinary, SATS).unwrap();
    chain.pay(&ordinary.to_uppercase(), SATS).unwrap();
}

#[test]
fn amounts_have_limits() {
    let (_dir, chain) = new_chain();
    let refused = |amount: u64| match chain.pay(&any_address(), Amount::from_sat(amount)) {
        Err(PayError::Amount(reason)) => reason,
        other => panic!("{amount}: {other:?}"),
    };
    let least = Amount::from_sat(330);
    assert_eq!(refused(0), BadAmount::Zero);
    assert_eq!(refused(329), BadAmount::Dust { least });
    let available = match refused(u64::MAX) {
        BadAmount::TooLarge { available } => available,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(available.to_sat() + 1), BadAmount::TooLarge { available });
    assert!(available < chain.balance());
    chain.pay(&any_address(), available).unwrap();
    assert_eq!(chain.balance(), Amount::ZERO);
    assert!(matches!(
        refused(1000),
        BadAmount::TooLarge {
            available: Amount::ZERO
        }
    ));
    // The next coinbase is mature, and the miner received the fees.
    chain.mine(1).unwrap();
    assert_eq!(chain.balance(), Amount::from_int_btc(50));
}

#[tokio::test]
async fn a_replaced_payment_returns_to_the_wallet_with_its_descendants() {
    let (_dir, chain) = new_chain();
    let before = chain.balance();
    let parent = chain.pay(&any_address(), Amount::from_int_btc(900)).unwrap();
    let child = chain.pay(&any_address(), Amount::from_int_btc(60)).unwrap();
    let mut signals = chain.signals().unwrap();
    let replacing = chain.replace(parent).unwrap();
    assert_eq!(chain.mempool().await.unwrap().txids, [replacing]);
    let left: Vec<_> = received(&mut signals)
        .into_iter()
        .filter_map(|signal| match signal {
            Signal::Left { txid, .. } => Some(txid),
            _ => None,
        })
        .collect();
    assert_eq!(left, [parent, child]);
    let fee = mempool_tx(&chain, replacing).await.fee();
    assert_eq!(chain.balance(), before - fee);
    chain.mine(1).unwrap();
    assert!(matches!(chain.replace(replacing), Err(ReplaceError::NotInMempool(_))));
}

#[test]
fn after_the_last_subsidy_blocks_create_no_coins() {
    let (_dir, chain) = new_chain();
    for _ in 0..6 {
        chain.mine(MAX_MINED).unwrap();
    }
    let state = chain.state();
    let total: Amount = state.ledger.coins().map(|(_, coin)| coin.txout.value).sum();
    let height = state.ledger.tip().height;
    assert_eq!(total, (1..=height).map(block::subsidy).sum());
    // 33 halvings of 150 blocks: what comes after has no coins.
    assert_eq!(state.ledger.coins().count(), 33 * 150 - 1);
}
