//! States of the file after a kill.

use std::fs;

use super::*;

fn at(chain: &DevChain) -> (ledger::Ledger, u64) {
    let state = chain.state();
    (state.ledger.clone(), state.file.size())
}

/// Every length that a kill in the middle of a write can leave, for each kind of record at the end.
#[tokio::test]
async fn a_file_cut_at_any_byte_of_its_last_record_opens_as_if_it_had_not_been_written() {
    type Step = fn(&DevChain);
    let steps: [Step; 3] = [
        |chain| _ = chain.pay(&any_address(), SATS).unwrap(),
        |chain| _ = chain.mine(1).unwrap(),
        |chain| _ = chain.reorg(1).unwrap(),
    ];
    let (dir, mut chain) = new_chain();
    let path = dir.path().join(FILE_NAME);
    for step in steps {
        let before = at(&chain);
        step(&chain);
        let after = at(&chain);
        drop(chain);
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole.len() as u64, after.1);
        for length in before.1..after.1 {
            fs::write(&path, &whole[..length as usize]).unwrap();
            assert_eq!(
                DevChain::open(dir.path()).unwrap().state().ledger,
                before.0,
                "{length} bytes"
            );
            assert_eq!(fs::metadata(&path).unwrap().len(), before.1);
        }
        // A last record of the right length with wrong content is torn as well.
        let mut torn = whole.clone();
        *torn.last_mut().unwrap() ^= 1;
        fs::write(&path, torn).unwrap();
        assert_eq!(DevChain::open(dir.path()).unwrap().state().ledger, before.0);
        fs::write(&path, whole).unwrap();
        chain = DevChain::open(dir.path()).unwrap();
        assert_eq!(chain.state().ledger, after.0);
    }
}

/// The beginning: header, wallet, first blocks.
#[test]
fn an_interrupted_first_start_continues() {
    let (dir, chain) = new_chain();
    drop(chain);
    let path = dir.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    for length in (0..12 + 41 + 5).chain([whole.len() / 2]) {
        fs::write(&path, &whole[..length]).unwrap();
        let chain = DevChain::open(dir.path()).unwrap();
        assert_eq!(chain.state().ledger.tip().height, FIRST_BLOCKS, "{length} bytes");
        assert_eq!(chain.balance(), Amount::from_int_btc(20 * 50), "{length} bytes");
    }
}

#[test]
fn damage_before_the_last_record_is_an_error_and_nothing_is_truncated() {
    let (dir, chain) = new_chain();
    drop(chain);
    let path = dir.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    for byte in [20, 100, 500, whole.len() / 2] {
        let mut damaged = whole.clone();
        damaged[byte] ^= 0x40;
        fs::write(&path, &damaged).unwrap();
        let refused = DevChain::open(dir.path()).unwrap_err();
        assert!(matches!(refused, DevChainError::Damaged { .. }), "{byte}: {refused}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
}

#[test]
fn other_files_and_later_versions_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    for (content, version) in [
        (b"something else entirely".as_slice(), None),
        (b"short", None),
        (b"sdkrdev\n\x02\0\0\0and more", Some(2)),
    ] {
        fs::write(&path, content).unwrap();
        match (DevChain::open(dir.path()).unwrap_err(), version) {
            (DevChainError::NotADevChain(_), None) => {}
            (DevChainError::Version { found, known: 1, .. }, Some(version)) => assert_eq!(found, version),
            (other, _) => panic!("{other}"),
        }
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}
