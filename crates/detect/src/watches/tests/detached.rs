use std::sync::Mutex;
use std::time::Duration;

use bitcoin::hashes::Hash as _;
use bitcoin::{OutPoint, Txid};
use prometheus_client::metrics::counter::Counter;
use sdk_relay_protocol::{Event, Notification, PaymentSpent};

use super::*;
use crate::detached::{AttachRefused, DetachedLimits, WatchToken};
use crate::wake::{Waiting, Wake};
use crate::watch_message::{PaymentMessage, WatchMessage};

/// Records who is woken.
#[derive(Debug, Default)]
struct Woken(Mutex<Vec<String>>);

impl Wake for Woken {
    fn wake(&self, waiting: &Waiting<'_>) {
        let newest = waiting.newest.and_then(|newest| newest.watch_seq);
        let text = format!("{} of {}, newest {newest:?}", waiting.waiting, waiting.last_seq);
        self.0.lock().unwrap().push(text);
    }

    fn ended(&self, _: &str, reason: EndReason) {
        self.0.lock().unwrap().push(reason.as_str().to_owned());
    }
}

struct Relay {
    watches: Watches,
    mailboxes: Arc<Mailboxes>,
    limits: DetachedLimits,
    lost: Counter,
    woken: Arc<Woken>,
}

impl Relay {
    fn new(limits: DetachedLimits) -> Self {
        let lost = Counter::default();
        Self {
            watches: Watches::default(),
            mailboxes: Arc::new(Mailboxes::new(limits, lost.clone())),
            limits,
            lost,
            woken: Arc::default(),
        }
    }

    fn connection(&self, last: u8) -> (Mailbox, MailboxReceiver) {
        self.mailboxes.mailbox([192, 0, 2, last].into())
    }

    fn try_add(&mut self, mailbox: &Mailbox, keys: u8, seconds: u32) -> Result<(String, WatchToken), WatchRefused> {
        let token = WatchToken::random();
        let detach = Detach {
            seconds,
            wakers: vec![Arc::<Woken>::clone(&self.woken)],
        };
        let watch = self
            .watches
            .add_detached(order(mailbox, keys), None, MANY, (detach, token.hash()), self.limits)?;
        Ok((watch.id.clone(), token))
    }

    fn add(&mut self, mailbox: &Mailbox, keys: u8) -> (String, WatchToken) {
        let added = self.try_add(mailbox, keys, 60);
        added.unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// A match of this watch.
    fn found(&mut self, id: &str) {
        let watch = self.watches.by_id(id).unwrap();
        let queued = watch.mailbox.queued_from(spent(id), 100).unwrap();
        watch.mailbox.put(queued);
    }

    fn woken(&self) -> Vec<String> {
        std::mem::take(&mut self.woken.0.lock().unwrap())
    }
}

fn spent(watch_id: &str) -> WatchMessage {
    let spent = PaymentSpent {
        txid: String::new(),
        vout: 0,
        amount: String::new(),
        amount_sats: 0,
        address: String::new(),
        label: None,
        spent_by: None,
        vin: None,
        block_height: None,
        block_hash: None,
        confirmations: 0,
        timestamp: 0,
        fee_sats: None,
        watch_id: Some(watch_id.to_owned()),
        replaced_by: None,
    };
    WatchMessage::Payment(Box::new(PaymentMessage {
        outpoint: OutPoint::new(Txid::all_zeros(), 0),
        notification: Notification {
            event: Event::PaymentSpent(Box::new(spent)),
            timestamp: 0,
            event_id: None,
            watch_seq: None,
        },
        found: None,
    }))
}

/// What a connection receives: numbers of matches, the first of a gap negative, and reasons.
fn read(receiver: &mut MailboxReceiver) -> Vec<String> {
    std::iter::from_fn(|| receiver.try_next())
        .map(|message| match message {
            WatchMessage::Payment(message) => message.notification.watch_seq.unwrap().to_string(),
            WatchMessage::Gap(gap) => format!("gap {}-{}", gap.first_watch_seq, gap.last_watch_seq),
            WatchMessage::Ended(ended) => ended.reason.as_str().to_owned(),
            WatchMessage::Progress(_) => "progress".to_owned(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn matches_wait_while_nobody_is_attached_and_wake_the_client() {
    let mut relay = Relay::new(DetachedLimits::default());
    let (mailbox, mut frames) = relay.connection(1);
    let (id, token) = relay.add(&mailbox, 1);
    relay.found(&id);
    assert_eq!((read(&mut frames), relay.woken()), (vec!["1".to_owned()], vec![]));
    drop(frames);
    relay.watches.forget_dead();
    assert_eq!(
        relay.woken(),
        ["1 of 1, newest None"],
        "it did not release what it was sent"
    );
    relay.found(&id);
    assert_eq!(relay.woken(), ["2 of 2, newest Some(2)"]);

    let (again, mut frames) = relay.connection(2);
    assert!(relay.watches.authorised(&id, &token.hash()).is_ok());
    relay.watches.attach(&id, &again, 1);
    relay.found(&id);
    assert_eq!(
        (read(&mut frames), relay.woken()),
        (vec!["2".to_owned(), "3".to_owned()], vec![])
    );
    // The same connection releases, and is sent nothing again.
    relay.watches.attach(&id, &again, 3);
    assert_eq!(read(&mut frames), Vec::<String>::new());
    again.close();
    relay.watches.remove_of(&again);
    assert_eq!(relay.woken(), Vec::<String>::new(), "nothing waits");
    assert_eq!(relay.mailboxes.kept_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_finds_no_watch() {
    let mut relay = Relay::new(DetachedLimits::default());
    let (mailbox, _frames) = relay.connection(1);
    let (id, token) = relay.add(&mailbox, 1);
    let plain = relay.watches.add(order(&mailbox, 2), None, MANY);
    let plain = plain.unwrap_or_else(|refused| panic!("{refused}")).id.clone();
    for (id, token) in [
        (&*id, WatchToken::random()),
        (&*plain, WatchToken::random()),
        ("watch-0", WatchToken::random()),
    ] {
        let found = relay.watches.authorised(id, &token.hash()).err();
        assert_eq!(found, Some(AttachRefused::NotFound));
    }
    assert!(relay.watches.authorised(&id, &token.hash()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_newest_connection_gets_the_rest_and_the_other_learns_of_it() {
    let mut relay = Relay::new(DetachedLimits::default());
    let ((one, mut first), (other, mut second)) = (relay.connection(1), relay.connection(2));
    let (id, _) = relay.add(&one, 1);
    relay.found(&id);
    relay.watches.hold(10);
    assert_eq!(barrier(&first), 9);
    relay.watches.attach(&id, &other, 0);
    assert_eq!(
        read(&mut first),
        ["attached_elsewhere"],
        "not the match, which is the other's now"
    );
    assert_eq!(
        (barrier(&first), barrier(&second)),
        (u64::MAX, 9),
        "the scan in progress holds its events"
    );
    let owner = relay.watches.by_id(&id).unwrap().mailbox.owner();
    relay.watches.release(owner, 10);
    assert_eq!(barrier(&second), u64::MAX);
    assert_eq!(read(&mut second), ["1"]);
    // The end of the first is not that of the watch.
    drop(first);
    relay.watches.forget_dead();
    assert_eq!(relay.watches.next_end(), None);
    assert_eq!(relay.watches.detached_count(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_after_its_time_without_a_connection() {
    let mut relay = Relay::new(DetachedLimits::default());
    let (mailbox, frames) = relay.connection(1);
    let (short, _) = relay.try_add(&mailbox, 1, 10).unwrap();
    let (long, _) = relay.try_add(&mailbox, 2, 20).unwrap();
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(
        (relay.watches.expire(), relay.watches.next_end()),
        (0, None),
        "attached"
    );
    drop(frames);
    relay.watches.forget_dead();
    relay.found(&short);
    relay.woken();
    let (again, _again) = relay.connection(1);
    tokio::time::advance(Duration::from_secs(5)).await;
    relay.watches.attach(&long, &again, 0);
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(relay.watches.expire(), 1);
    assert!(relay.watches.by_id(&short).is_none() && relay.watches.by_id(&long).is_some());
    assert_eq!(
        (relay.woken(), relay.mailboxes.kept_bytes()),
        (vec!["expired".to_owned()], 0)
    );
    // Its time begins anew with the end of this connection.
    again.close();
    relay.watches.remove_of(&again);
    tokio::time::advance(Duration::from_secs(19)).await;
    assert_eq!(relay.watches.expire(), 0);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(relay.watches.expire(), 1);
    assert_eq!((relay.watches.len(), relay.watches.detached_count()), (0, (0, 0)));
    assert_eq!(relay.watches.gone().len(), 2, "their scans are dropped");
}

#[tokio::test(start_paused = true)]
async fn the_number_is_bounded_for_each_address_and_in_all() {
    let limits = DetachedLimits {
        watches: 3,
        per_address: 2,
        ..DetachedLimits::default()
    };
    let mut relay = Relay::new(limits);
    let ((one, _a), (other, _b)) = (relay.connection(1), relay.connection(2));
    let (id, _) = relay.add(&one, 1);
    relay.add(&one, 2);
    assert_eq!(relay.try_add(&one, 3, 1).err(), Some(WatchRefused::DetachedOfAddress));
    relay.add(&other, 1);
    assert_eq!(relay.try_add(&other, 2, 1).err(), Some(WatchRefused::DetachedFull));
    relay.watches.remove(&id);
    assert_eq!(relay.woken(), ["unwatched"]);
    relay.add(&one, 3);
    // All clients of a proxy share a loopback address.
    let mut relay = Relay::new(limits);
    let (here, _frames) = relay.mailboxes.mailbox([127, 0, 0, 1].into());
    (1..=3).for_each(|keys| drop(relay.add(&here, keys)));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_given_up_tells_its_connection_why() {
    let mut relay = Relay::new(DetachedLimits::default());
    let (mailbox, mut frames) = relay.connection(1);
    let (id, _) = relay.add(&mailbox, 1);
    let kept = relay.add(&mailbox, 2).0;
    let owner = relay.watches.by_id(&id).unwrap().mailbox.owner();
    relay.watches.give_up(owner, true);
    assert_eq!(read(&mut frames), ["too_far_behind"]);
    assert!(relay.watches.by_id(&id).is_none() && relay.watches.by_id(&kept).is_some());
    let ledger = &mut relay.watches.by_id(&kept).unwrap().ledger_share;
    ledger.resize(usize::MAX / 2);
    relay.watches.forget_dead();
    assert_eq!(read(&mut frames), ["too_many_payments"]);
    assert!(frames.why_given_up().is_none(), "the connection goes on");
    assert_eq!(relay.woken(), ["too_far_behind", "too_many_payments"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_closed_by_the_relay_leaves_its_detached_watches_alone() {
    let mut relay = Relay::new(DetachedLimits::default());
    let (mailbox, mut frames) = relay.connection(1);
    let (id, _) = relay.add(&mailbox, 1);
    let plain = relay.watches.add(order(&mailbox, 2), None, MANY);
    let plain = plain.unwrap_or_else(|refused| panic!("{refused}")).id.clone();
    relay.found(&id);
    // It reads too slowly, or the scans of its other watches are too far behind.
    relay.watches.give_up(mailbox.owner(), true);
    relay.watches.forget_dead();
    assert!(frames.why_given_up().is_some());
    assert_eq!(read(&mut frames), Vec::<String>::new(), "it is sent nothing any more");
    assert!(relay.watches.by_id(&plain).is_none() && relay.watches.by_id(&id).is_some());
    assert!(relay.watches.next_end().is_some(), "nobody is attached");
    assert_eq!(relay.woken(), ["1 of 1, newest None"]);
}

#[tokio::test(start_paused = true)]
async fn memory_for_matches_is_bounded_at_the_expense_of_the_largest_address() {
    let limits = DetachedLimits {
        memory: 20 * 1_400,
        matches: 1_000,
        ..DetachedLimits::default()
    };
    let mut relay = Relay::new(limits);
    let ((busy, a), (greedy, b)) = (relay.connection(1), relay.connection(2));
    let (small, _) = relay.add(&busy, 1);
    let large: Vec<String> = (0..3).map(|n| relay.add(&greedy, 10 + n).0).collect();
    drop((a, b));
    relay.watches.forget_dead();
    (0..5).for_each(|_| relay.found(&small));
    for _ in 0..20 {
        for id in &large {
            relay.found(id);
        }
        assert!(relay.mailboxes.kept_bytes() <= limits.memory);
    }
    let contents = |relay: &mut Relay, id: &str| relay.watches.by_id(id).unwrap().mailbox.contents();
    assert_eq!(contents(&mut relay, &small).gap, None);
    assert_eq!(contents(&mut relay, &small).matches, 5);
    let kept: usize = large.iter().map(|id| contents(&mut relay, id).matches).sum();
    assert!((12..=16).contains(&kept), "{kept}");
    assert_eq!(relay.lost.get(), 60 - kept as u64);
    // Histories of those that nobody reads wait, so that they lose nothing.
    let mailbox = &relay.watches.by_id(&large[0]).unwrap().mailbox;
    assert!(!mailbox.has_capacity());
}

#[tokio::test(start_paused = true)]
async fn the_scan_of_a_history_waits_for_releases_and_not_for_a_client_that_reads() {
    let limits = DetachedLimits {
        matches: 40,
        ..DetachedLimits::default()
    };
    let mut relay = Relay::new(limits);
    let (mailbox, mut frames) = relay.connection(1);
    let (id, _) = relay.add(&mailbox, 1);
    let may_scan = |relay: &mut Relay| relay.watches.by_id(&id).unwrap().mailbox.has_capacity();
    for n in 1..=100u32 {
        assert!(may_scan(&mut relay), "{n}");
        relay.found(&id);
        assert_eq!(read(&mut frames), [n.to_string()]);
    }
    drop(frames);
    relay.watches.forget_dead();
    assert!(!may_scan(&mut relay), "full");
    let (again, _again) = relay.connection(1);
    relay.watches.attach(&id, &again, 100);
    again.close();
    relay.watches.remove_of(&again);
    for n in 0..=10 {
        assert!(may_scan(&mut relay), "{n}");
        relay.found(&id);
    }
    assert!(!may_scan(&mut relay), "half of the buffer is for live matches");

    let limits = DetachedLimits {
        matches: 2,
        ..DetachedLimits::default()
    };
    let mut relay = Relay::new(limits);
    let (mailbox, frames) = relay.connection(1);
    let (id, _) = relay.add(&mailbox, 1);
    drop(frames);
    relay.watches.forget_dead();
    assert!(relay.watches.by_id(&id).unwrap().mailbox.has_capacity());
    relay.found(&id);
    assert!(
        !relay.watches.by_id(&id).unwrap().mailbox.has_capacity(),
        "the smallest buffer too"
    );
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_relay_ends_all_and_connections_say_so_themselves() {
    let mut relay = Relay::new(DetachedLimits::default());
    let (mailbox, mut frames) = relay.connection(1);
    relay.add(&mailbox, 1);
    relay.watches.stop_detached();
    assert_eq!(
        (read(&mut frames), relay.woken()),
        (vec![], vec!["relay_stopped".to_owned()])
    );
    assert_eq!(relay.watches.len(), 0);
}
