use sdk_relay_protocol::WatchProgress;

use super::*;

impl QueuedMessage {
    /// A message of this watch without a mailbox.
    pub(in super::super) fn of(watch_id: String) -> Self {
        Self::about(message(watch_id), 0)
    }

    /// A message without a mailbox, which a watch with this `from_height` finds again.
    pub(in super::super) fn about(message: WatchMessage, from_height: u32) -> Self {
        Self::new(message, from_height, Share::new(&Budget::new(0, 0), 0))
    }
}

impl PartialEq for QueuedMessage {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

fn message(watch_id: String) -> WatchMessage {
    WatchMessage::Progress(Box::new(WatchProgress {
        watch_id,
        progress: 0.0,
        height: 0,
        missing: Vec::new(),
        timestamp: 0,
    }))
}

/// A message that counts as this much.
pub(in super::super) fn of_bytes(bytes: usize) -> WatchMessage {
    message("x".repeat(bytes - OVERHEAD - size_of::<WatchProgress>()))
}

fn address(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn waiting(all: &Mailboxes) -> usize {
    all.waiting.bytes()
}

#[test]
fn a_mailbox_is_bounded_in_bytes_whatever_the_messages_are() {
    for size in [1 << 10, 64 << 10, MAILBOX_BYTES / 2] {
        let budget = Arc::<Mailboxes>::default();
        let (mailbox, mut frames) = budget.mailbox(address(1));
        for _ in 0..MAILBOX_BYTES / size {
            mailbox.post(of_bytes(size));
        }
        assert!(!mailbox.is_dead() && frames.try_next().is_some(), "{size}");
        mailbox.post(of_bytes(size));
        assert_eq!((mailbox.is_dead(), waiting(&budget)), (false, MAILBOX_BYTES), "{size}");
        mailbox.post(of_bytes(size));
        assert!(mailbox.is_dead(), "{size}");
        assert!(
            frames
                .why_given_up()
                .is_some_and(|why| why.contains("reads too slowly"))
        );
        assert_eq!((frames.try_next(), waiting(&budget)), (None, 0), "the queue is freed");
    }
}

#[test]
fn notifications_held_for_a_history_count_in_the_mailbox() {
    let budget = Arc::<Mailboxes>::default();
    let (mailbox, frames) = budget.mailbox(address(1));
    let mut held = Vec::new();
    while mailbox.may_hold() {
        let queued = mailbox.queued(of_bytes(100 << 10));
        held.push(queued.expect("it stops to hold before the mailbox is full"));
    }
    assert!(held.len() * (100 << 10) > MAILBOX_BYTES / 2 && waiting(&budget) < MAILBOX_BYTES);
    assert!(!mailbox.has_capacity(), "a scan waits for the client too");
    let all = held.into_iter();
    all.for_each(|queued| mailbox.put(queued));
    assert!(!mailbox.is_dead() && !mailbox.may_hold());
    drop(frames);
    assert!(mailbox.is_dead() && mailbox.queued(of_bytes(200)).is_none());
    assert_eq!(waiting(&budget), 0);
}

#[test]
fn all_mailboxes_are_bounded_at_the_expense_of_the_largest_address() {
    let budget = Arc::<Mailboxes>::default();
    let megabyte = || of_bytes(1 << 20);
    let (busy, _kept) = budget.mailbox(address(1));
    (0..3).for_each(|_| busy.post(megabyte()));
    let greedy: Vec<_> = (0..ALL_MAILBOXES >> 20).map(|_| budget.mailbox(address(2))).collect();
    for (mailbox, _) in &greedy {
        mailbox.post(megabyte());
        assert!(waiting(&budget) <= ALL_MAILBOXES);
    }
    let given_up = greedy.iter().filter(|(mailbox, _)| mailbox.is_dead()).count();
    assert_eq!((given_up, busy.is_dead()), (3, false));
    drop(greedy);
    assert_eq!(waiting(&budget), 3 << 20);
}

#[test]
fn all_ledgers_are_bounded_at_the_expense_of_the_largest_address() {
    let all = Arc::<Mailboxes>::default();
    let mailbox = |last| {
        let (mailbox, receiver) = all.mailbox(address(last));
        (mailbox.ledger_share(), mailbox, receiver)
    };
    let (mut busy, busy_mailbox, _kept) = mailbox(1);
    busy.resize(CONNECTION_LEDGERS);
    let mut greedy: Vec<_> = (0..ALL_LEDGERS / (CONNECTION_LEDGERS / 2))
        .map(|_| mailbox(2))
        .collect();
    for (share, ..) in &mut greedy {
        share.resize(CONNECTION_LEDGERS / 2);
        assert!(all.ledgers.bytes() <= ALL_LEDGERS);
    }
    let given_up = greedy.iter().filter(|(_, mailbox, _)| mailbox.is_dead()).count();
    assert_eq!((given_up, busy_mailbox.is_dead()), (2, false));
    // Freed bytes are no longer counted.
    drop(greedy);
    busy.resize(1);
    assert_eq!(all.ledgers.bytes(), 1);
    busy.resize(CONNECTION_LEDGERS + 1);
    assert!(busy_mailbox.is_dead());
    assert_eq!(all.ledgers.bytes(), 0);
}

#[tokio::test]
async fn a_waiting_connection_receives_a_message_and_the_end() {
    let budget = Arc::<Mailboxes>::default();
    let (mailbox, mut frames) = budget.mailbox(address(1));
    let reader = tokio::spawn(async move {
        let mut read = Vec::new();
        while let Some(message) = frames.next().await {
            read.push(message.watch_id().len());
        }
        (read, frames.why_given_up())
    });
    for bytes in 1..=100 {
        mailbox.post(message("x".repeat(bytes)));
        tokio::task::yield_now().await;
    }
    while waiting(&budget) > 0 {
        tokio::task::yield_now().await;
    }
    mailbox.give_up_failed();
    let (read, why) = reader.await.expect("no panic");
    assert_eq!(read, (1..=100).collect::<Vec<_>>());
    assert!(why.is_some_and(|why| why.contains("failed")));
}
