//! A short form of notifications, to compare their order.

use sdk_relay_client::{Event, Notification, Payment, PaymentSpent};

/// A notification: blocks by hash, outputs by transaction and index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Mined(String),
    Disconnected(String),
    Tweaks(String),
    /// Detected in this block, or in the mempool.
    Paid((String, u32), Option<String>),
    /// No longer in this block, or in the mempool, and replaced by this transaction.
    Reverted((String, u32), Option<String>, Option<String>),
    /// Spent by this transaction, in this block or in the mempool.
    Spent((String, u32), String, Option<String>),
    /// No longer spent by this transaction, in this block or in the mempool; replaced by that one.
    Unspent((String, u32), String, Option<String>, Option<String>),
    /// So many confirmations.
    Confirmed((String, u32), u32),
}

/// The short form of these notifications.
pub(crate) fn steps(received: &[Notification]) -> Vec<Step> {
    let step = |notification: &Notification| match &notification.event {
        Event::BlockMined(block) => Step::Mined(block.block_hash.clone()),
        Event::BlockDisconnected(block) => Step::Disconnected(block.block_hash.clone()),
        Event::Tweaks(tweaks) => Step::Tweaks(tweaks.block_hash.clone()),
        Event::PaymentDetected(payment) => Step::Paid(output(payment), payment.block_hash.clone()),
        Event::PaymentReverted(payment) => {
            Step::Reverted(output(payment), payment.block_hash.clone(), payment.replaced_by.clone())
        }
        Event::PaymentSpent(spent) => {
            let output = (spent.txid.clone(), spent.vout);
            Step::Spent(output, spender(spent), spent.block_hash.clone())
        }
        Event::PaymentSpentReverted(spent) => Step::Unspent(
            (spent.txid.clone(), spent.vout),
            spender(spent),
            spent.block_hash.clone(),
            spent.replaced_by.clone(),
        ),
        Event::PaymentConfirmed(payment) => Step::Confirmed(output(payment), payment.confirmations),
        other => panic!("unexpected notification: {other:?}"),
    };
    received.iter().map(step).collect()
}

/// The transaction that spends an output, which the relay has seen.
fn spender(spent: &PaymentSpent) -> String {
    spent.spent_by.clone().expect("a transaction")
}

pub(crate) fn output(payment: &Payment) -> (String, u32) {
    (payment.txid.clone(), payment.vout)
}
