use bitcoin::secp256k1::{Secp256k1, SecretKey};
use sdk_relay_bip352::{Receiver, ScanKey};

use super::*;
use crate::mailbox::{MailboxReceiver, Mailboxes};

mod detached;
mod memory;

/// No limit in these tests.
const MANY: usize = 1_000;

struct Fixture {
    watches: Watches,
    mailboxes: Arc<Mailboxes>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            watches: Watches::default(),
            mailboxes: Arc::default(),
        }
    }

    fn connection(&self) -> (Mailbox, MailboxReceiver) {
        self.mailboxes.mailbox([192, 0, 2, 1].into())
    }

    /// Adds a watch of the keys with this number, and returns its id.
    fn add(&mut self, mailbox: &Mailbox, keys: u8) -> String {
        let added = self.watches.add(order(mailbox, keys), None, MANY);
        added.unwrap_or_else(|refused| panic!("{refused}")).id.clone()
    }

    /// The receivers that are scanned for a connection.
    fn scanned(&self, mailbox: &Mailbox) -> usize {
        let client = self.watches.clients().find(|client| client.owner == mailbox.owner());
        client.map_or(0, |client| client.keys.len())
    }
}

fn order(mailbox: &Mailbox, keys: u8) -> WatchOrder {
    let secret = SecretKey::from_slice(&[keys; 32]).unwrap();
    let spend = secret.public_key(&Secp256k1::new());
    WatchOrder {
        receiver: Prepared::plain(Receiver::new(ScanKey::from(secret), spend, []).unwrap()),
        addresses: HashMap::new(),
        mailbox: mailbox.clone(),
        history: None,
        confirm_at: Vec::new(),
    }
}

fn barrier(frames: &MailboxReceiver) -> u64 {
    *frames.barrier().borrow()
}

#[test]
fn equal_keys_of_a_connection_are_scanned_once_and_different_ones_each() {
    let mut fixture = Fixture::new();
    let ((one, _a), (other, _b)) = (fixture.connection(), fixture.connection());
    let first = fixture.add(&one, 1);
    fixture.add(&one, 1);
    fixture.add(&one, 2);
    fixture.add(&other, 1);
    assert_eq!((fixture.scanned(&one), fixture.scanned(&other)), (2, 1));
    let mut receivers = fixture.watches.iter_mut().map(|watch| Arc::as_ptr(&watch.receiver));
    let [a, b, c, d] = std::array::from_fn(|_| receivers.next().unwrap());
    assert!(a == b && a == d && a != c, "equal keys are in memory once");
    drop(receivers);
    fixture.watches.remove(&first);
    assert_eq!(fixture.scanned(&one), 2, "the second watch still has these keys");
}

#[test]
fn the_keys_are_dropped_with_the_last_watch_that_has_them() {
    let mut fixture = Fixture::new();
    let (mailbox, _frames) = fixture.connection();
    let ids = [fixture.add(&mailbox, 1), fixture.add(&mailbox, 1)];
    let keys = Arc::downgrade(&fixture.watches.by_id(&ids[0]).unwrap().receiver);
    fixture.watches.remove(&ids[0]);
    assert!(keys.upgrade().is_some());
    fixture.watches.remove(&ids[1]);
    assert!(keys.upgrade().is_none(), "wiped");
}

#[test]
fn the_number_of_watches_is_bounded_and_a_removed_one_makes_room() {
    let mut fixture = Fixture::new();
    let (mailbox, _frames) = fixture.connection();
    let id = fixture.add(&mailbox, 1);
    fixture.add(&mailbox, 2);
    let refused = |watches: &mut Watches| watches.add(order(&mailbox, 3), None, 2).err();
    assert_eq!(refused(&mut fixture.watches), Some(WatchRefused::Full));
    fixture.watches.remove(&id);
    assert_eq!(refused(&mut fixture.watches), None);
}

#[test]
fn events_wait_for_the_first_scan_in_progress_of_their_connection() {
    let mut fixture = Fixture::new();
    let ((one, a), (other, b)) = (fixture.connection(), fixture.connection());
    for mailbox in [&one, &other] {
        fixture.add(mailbox, 1);
    }
    fixture.watches.hold(10);
    fixture.watches.hold(10);
    fixture.watches.hold(20);
    assert_eq!((barrier(&a), barrier(&b)), (9, 9));
    fixture.watches.release(one.owner(), 10);
    assert_eq!(barrier(&a), 9, "two scans began at this event");
    fixture.watches.release(one.owner(), 10);
    assert_eq!((barrier(&a), barrier(&b)), (19, 9), "the other connection still waits");
    fixture.watches.release(one.owner(), 20);
    assert_eq!(barrier(&a), u64::MAX);
}

#[test]
fn a_connection_without_watches_waits_for_nothing_and_its_scans_are_dropped() {
    let mut fixture = Fixture::new();
    let ((one, a), (other, b)) = (fixture.connection(), fixture.connection());
    let id = fixture.add(&one, 1);
    fixture.add(&other, 2);
    fixture.watches.hold(10);
    fixture.watches.remove(&id);
    assert_eq!((barrier(&a), barrier(&b)), (u64::MAX, 9));
    assert_eq!(fixture.watches.gone(), [one.owner()]);
    assert!(fixture.watches.gone().is_empty(), "once");
    // It may register again: earlier events do not hold it back.
    fixture.add(&one, 1);
    assert_eq!(barrier(&a), u64::MAX);
    fixture.watches.release(one.owner(), 10);
    assert_eq!(barrier(&a), u64::MAX);
}

#[test]
fn watches_end_with_their_connection() {
    let mut fixture = Fixture::new();
    let ((one, frames), (other, _b)) = (fixture.connection(), fixture.connection());
    fixture.add(&one, 1);
    fixture.add(&one, 2);
    let kept = fixture.add(&other, 1);
    drop(frames);
    fixture.watches.forget_dead();
    assert_eq!(fixture.watches.len(), 1);
    assert!(fixture.watches.by_id(&kept).is_some());
    assert_eq!(fixture.watches.gone(), [one.owner()]);
    let refused = fixture.watches.add(order(&one, 3), None, MANY).err();
    assert_eq!(refused, Some(WatchRefused::Ending));
}

#[test]
fn a_connection_whose_scans_are_too_far_behind_has_to_reconnect() {
    for (is_behind, reason) in [(true, "behind"), (false, "fail")] {
        let mut fixture = Fixture::new();
        let (mailbox, frames) = fixture.connection();
        fixture.add(&mailbox, 1);
        fixture.watches.give_up(mailbox.owner(), is_behind);
        assert_eq!(fixture.watches.len(), 0);
        let given = frames.why_given_up().unwrap();
        assert!(given.contains(reason), "{given}");
    }
}
