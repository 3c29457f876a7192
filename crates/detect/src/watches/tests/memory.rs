//! Memory of a detached watch.

use std::collections::HashMap;
use std::process::Command;

use sdk_relay_bip352::{Engine as _, Fast};

use super::*;
use crate::detached::{Detach, DetachedLimits, WatchToken};

/// Watches whose memory is compared, so that what grows in steps counts by its mean.
const WATCHES: u32 = 2_000;
/// Name of the test.
const NAME: &str = "watches::tests::memory::a_detached_watch_takes_no_more_than_four_kilobytes";
/// The variable of the process that only measures.
const ALONE: &str = "MEASURES_DETACHED_WATCHES";
/// Largest memory of one, without matches and subscriptions.
const MOST: u64 = 4 << 10;

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// Keys that no other watch has, prepared for the engine of the relay.
fn own_keys(n: u32, mailbox: &Mailbox) -> WatchOrder {
    let mut bytes = [1; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    let secret = SecretKey::from_slice(&bytes).unwrap();
    let spend = secret.public_key(&Secp256k1::new());
    let receiver = Receiver::new(ScanKey::from(secret), spend, []).unwrap();
    WatchOrder {
        receiver: Fast::new().prepare(receiver),
        addresses: HashMap::from([(None, "s".repeat(117))]),
        mailbox: mailbox.clone(),
        history: None,
        confirm_at: vec![1, 3, 6],
    }
}

/// Runs in a process of its own: the other tests of this one use memory too.
#[cfg(target_os = "linux")]
#[test]
fn a_detached_watch_takes_no_more_than_four_kilobytes() {
    if std::env::var_os(ALONE).is_none() {
        let alone = Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&alone.stdout);
        let is_passed = alone.status.success() && said.contains("1 passed");
        assert!(is_passed, "{said}{}", String::from_utf8_lossy(&alone.stderr));
        return;
    }
    let limits = DetachedLimits {
        watches: usize::MAX,
        per_address: usize::MAX,
        ..DetachedLimits::default()
    };
    let mut least = u64::MAX;
    let mut rounds = Vec::new();
    for round in 0..3 {
        let mut fixture = Fixture::new();
        let (mailbox, frames) = fixture.connection();
        let before = resident();
        for n in 0..WATCHES {
            let detach = Detach {
                seconds: 60,
                wakers: Vec::new(),
            };
            let order = own_keys(round * WATCHES + n + 1, &mailbox);
            let detach = (detach, WatchToken::random().hash());
            let added = fixture.watches.add_detached(order, None, usize::MAX, detach, limits);
            assert!(added.is_ok());
        }
        drop(frames);
        fixture.watches.forget_dead();
        assert_eq!(fixture.watches.detached_count(), (WATCHES as usize, 0));
        least = least.min(resident().saturating_sub(before) / u64::from(WATCHES));
        // Kept, so that the next round does not use its memory again.
        rounds.push(fixture);
    }
    println!("{least} bytes for each detached watch");
    assert!((500..=MOST).contains(&least), "{least} bytes");
}
