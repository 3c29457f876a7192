use super::*;

const KEY: [u8; 32] = [3; 32];

fn txid(n: u8) -> Txid {
    Txid::from_byte_array([n; 32])
}

fn outpoint(n: u8, vout: u32) -> OutPoint {
    OutPoint { txid: txid(n), vout }
}

fn block(height: u32) -> Place {
    Place::Block(height)
}

fn output(place: Place) -> Found {
    Found {
        key: KEY,
        sats: 1_000,
        place,
        fee: Some(200),
    }
}

fn spend(n: u8, place: Place) -> Spend {
    Spend {
        txid: Some(txid(n)),
        place,
        fee: Some(300),
    }
}

fn script() -> ScriptHash {
    ScriptHash::of_key(&KEY)
}

fn address() -> Arc<str> {
    "sprt1a".into()
}

fn status_of(parts: &str) -> Option<String> {
    Some(sha256::Hash::hash(parts.as_bytes()).to_string())
}

/// The hash of the genesis coinbase's script in the documentation of the Electrum protocol.
#[test]
fn a_script_hash_is_the_hash_in_reverse() {
    let text = "8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161";
    assert_eq!(text.parse::<ScriptHash>().unwrap().to_string(), text);
    let mut taproot = vec![0x51, 0x20];
    taproot.extend(KEY);
    let mut hash = sha256::Hash::hash(&taproot).to_byte_array();
    hash.reverse();
    assert_eq!(script(), ScriptHash(hash));
    assert!("8b01".parse::<ScriptHash>().is_err());
}

#[test]
fn the_status_follows_a_payment_through_mempool_block_spend_and_reorganisation() {
    let mut outputs = Outputs::default();
    assert_eq!(
        (outputs.status(script()), outputs.knowledge(script())),
        (None, Knowledge::None)
    );
    let (paid, spender) = (txid(1), txid(2));
    outputs.found(outpoint(1, 0), output(Place::Mempool), &address(), 1);
    assert_eq!(outputs.status(script()), status_of(&format!("{paid}:0:")));
    assert_eq!(
        outputs.mempool(script()),
        format!(r#"[{{"height":0,"tx_hash":"{paid}","fee":200}}]"#)
    );
    assert_eq!(outputs.balance(script()), r#"{"confirmed":0,"unconfirmed":1000}"#);
    // Spent while it is unconfirmed.
    assert_eq!(outputs.spent(outpoint(1, 0), spend(2, Place::Mempool)), Some(script()));
    assert_eq!(outputs.status(script()), status_of(&format!("{paid}:0:{spender}:-1:")));
    outputs.found(outpoint(1, 0), output(block(5)), &address(), 1);
    assert_eq!(outputs.status(script()), status_of(&format!("{paid}:5:{spender}:0:")));
    assert_eq!(outputs.balance(script()), r#"{"confirmed":1000,"unconfirmed":-1000}"#);
    assert_eq!(outputs.unspent_outputs(script()), "[]");
    outputs.spent(outpoint(1, 0), spend(2, block(5)));
    assert_eq!(outputs.status(script()), status_of(&format!("{paid}:5:{spender}:5:")));
    assert_eq!(
        outputs.history(script()),
        format!(r#"[{{"height":5,"tx_hash":"{paid}"}},{{"height":5,"tx_hash":"{spender}"}}]"#)
    );
    assert_eq!(outputs.transaction(spender), Some(block(5)));
    // The block is disconnected: first the spend, then the payment.
    assert_eq!(outputs.unspent(outpoint(1, 0)), Some(script()));
    assert_eq!(outputs.transaction(spender), None);
    assert_eq!(outputs.reverted(outpoint(1, 0)), Some(script()));
    assert_eq!(
        (outputs.status(script()), outputs.knowledge(script())),
        (None, Knowledge::Found)
    );
    assert_eq!(outputs.history(script()), "[]");
}

#[test]
fn the_order_is_that_of_the_chain_and_the_mempool_is_last() {
    let mut outputs = Outputs::default();
    outputs.found(outpoint(9, 0), output(block(7)), &address(), 1);
    outputs.found(outpoint(1, 0), output(Place::Mempool), &address(), 1);
    outputs.found(outpoint(5, 0), output(block(3)), &address(), 1);
    outputs.found(outpoint(5, 1), output(block(3)), &address(), 1);
    let (a, b, c) = (txid(5), txid(9), txid(1));
    assert_eq!(outputs.status(script()), status_of(&format!("{a}:3:{b}:7:{c}:0:")));
    assert_eq!(
        outputs.unspent_outputs(script()),
        format!(
            concat!(
                r#"[{{"tx_hash":"{a}","tx_pos":0,"height":3,"value":1000}},{{"tx_hash":"{a}","tx_pos":1,"height":3,"value":1000}},"#,
                r#"{{"tx_hash":"{b}","tx_pos":0,"height":7,"value":1000}},{{"tx_hash":"{c}","tx_pos":0,"height":0,"value":1000}}]"#
            ),
            a = a,
            b = b,
            c = c
        )
    );
}

#[test]
fn a_script_whose_subscription_has_ended_is_never_asked_elsewhere() {
    let mut outputs = Outputs::default();
    outputs.found(outpoint(1, 0), output(block(5)), &address(), 1);
    assert_eq!(outputs.ended("sprt1b"), []);
    assert_eq!(outputs.knowledge(script()), Knowledge::Found);
    assert_eq!(outputs.ended("sprt1a"), [script()]);
    assert_eq!(outputs.knowledge(script()), Knowledge::Ended);
    assert!(outputs.bytes() > 0);
    // Found again by another watch.
    outputs.found(outpoint(1, 0), output(block(5)), &address(), 2);
    assert_eq!(outputs.knowledge(script()), Knowledge::Found);
}

#[test]
fn a_new_watch_replaces_what_the_one_before_has_found() {
    let mut outputs = Outputs::default();
    outputs.found(outpoint(1, 0), output(block(5)), &address(), 1);
    outputs.found(outpoint(2, 0), output(block(6)), &address(), 1);
    outputs.found(outpoint(1, 0), output(block(5)), &address(), 2);
    assert_eq!(outputs.scanned("sprt1a", 2, |_| true), [script()]);
    assert_eq!(outputs.status(script()), status_of(&format!("{}:5:", txid(1))));
}

#[test]
fn a_new_watch_replaces_only_what_it_has_scanned() {
    let mut outputs = Outputs::default();
    outputs.found(outpoint(1, 0), output(block(5)), &address(), 1);
    outputs.found(outpoint(2, 0), output(block(6)), &address(), 1);
    outputs.found(outpoint(3, 0), output(Place::Mempool), &address(), 1);
    let from_6 = |place| matches!(place, Place::Block(height) if height >= 6);
    assert_eq!(outputs.scanned("sprt1a", 2, from_6), [script()]);
    let (old, waiting) = (txid(1), txid(3));
    assert_eq!(outputs.status(script()), status_of(&format!("{old}:5:{waiting}:0:")));
    // An older watch that still follows the chain finds a live output after the new one did.
    outputs.found(outpoint(3, 0), output(block(7)), &address(), 2);
    outputs.found(outpoint(3, 0), output(block(7)), &address(), 1);
    assert_eq!(outputs.scanned("sprt1a", 2, from_6), []);
    assert_eq!(outputs.status(script()), status_of(&format!("{old}:5:{waiting}:7:")));
}

/// A node that has pruned the block of a spend does not know its transaction.
#[test]
fn a_spend_of_which_only_the_block_is_known_changes_the_status_and_the_balance() {
    let mut outputs = Outputs::default();
    outputs.found(outpoint(1, 0), output(block(5)), &address(), 1);
    let unspent = outputs.status(script());
    let unknown = |height| Spend {
        txid: None,
        place: block(height),
        fee: None,
    };
    assert_eq!(outputs.spent(outpoint(1, 0), unknown(9)), Some(script()));
    let spent = outputs.status(script());
    assert!(spent.is_some() && spent != unspent);
    assert_eq!(outputs.unspent_outputs(script()), "[]");
    assert_eq!(outputs.balance(script()), r#"{"confirmed":0,"unconfirmed":0}"#);
    let known = format!(r#"[{{"height":5,"tx_hash":"{}"}}]"#, txid(1));
    assert_eq!(outputs.history(script()), known, "what is known of it");
    // The transaction becomes known, and stays known when a later scan has its height only.
    outputs.spent(outpoint(1, 0), spend(2, block(9)));
    let named = status_of(&format!("{}:5:{}:9:", txid(1), txid(2)));
    assert_eq!(outputs.status(script()), named);
    outputs.found(outpoint(1, 0), output(block(5)), &address(), 2);
    outputs.spent(outpoint(1, 0), unknown(9));
    assert_eq!(
        (outputs.status(script()), outputs.transaction(txid(2))),
        (named.clone(), Some(block(9)))
    );
    outputs.spent(outpoint(1, 0), unknown(10));
    assert_ne!(outputs.status(script()), named, "in another block");
    assert_eq!(outputs.transaction(txid(2)), None);
}
