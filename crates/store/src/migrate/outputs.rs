//! From format 2: restores the outputs of final payments.
//!
//! Programs of format 2 removed the record of a payment when no reorganisation could revert it any more. From format 3
//! on the relay reports the spends of such outputs too, and needs their records. The log has the payments of its
//! retention: those that it reports last as confirmed, and that have no record, are final. Whether they are spent since
//! is not known: a spend before the migration is not reported.

use std::collections::BTreeSet;

use bitcoin::OutPoint;
use redb::ReadableTable;
use sdk_relay_protocol::{Event, Payment, encode};

use crate::db::Db;
use crate::format::{FORMAT, LOG, META, META_FORMAT, PAYMENTS};
use crate::outpoint::outpoint_key;
use crate::record::Record;
use crate::{EventKind, StoreError};

/// Restores the records, and sets the format, in one transaction. Returns their number.
pub(super) fn restore(db: &Db) -> Result<usize, StoreError> {
    let tx = db.begin_write()?;
    let restored = {
        let (log, mut payments) = (tx.open_table(LOG)?, tx.open_table(PAYMENTS)?);
        let mut restored = BTreeSet::new();
        for item in log.iter()? {
            let (id, record) = item?;
            let record = Record::parse(record.value())?;
            if !matches!(record.kind(), EventKind::PaymentDetected | EventKind::PaymentReverted) {
                continue;
            }
            let Some((outpoint, payment, is_confirmed)) = payment(record.payload()) else {
                tracing::warn!(
                    event_id = id.value(),
                    "cannot decode a payment of the log; its spend will not be reported"
                );
                continue;
            };
            let key = outpoint_key(outpoint);
            // Its record has been there before.
            if !restored.contains(&key) && payments.get(&key)?.is_some() {
                continue;
            }
            if is_confirmed {
                let Ok(bytes) = encode(&payment) else { continue };
                payments.insert(&key, bytes.as_slice())?;
                restored.insert(key);
            } else if restored.remove(&key) {
                payments.remove(&key)?;
            }
        }
        tx.open_table(META)?.insert(META_FORMAT, FORMAT)?;
        restored.len()
    };
    tx.commit()?;
    Ok(restored)
}

/// A payment of the log, and whether this event reports it in a block.
fn payment(payload: &[u8]) -> Option<(OutPoint, Box<Payment>, bool)> {
    let (payment, is_detected) = match serde_json::from_slice(payload).ok()? {
        Event::PaymentDetected(payment) => (payment, true),
        Event::PaymentReverted(payment) => (payment, false),
        _ => return None,
    };
    let outpoint = OutPoint::new(payment.txid.parse().ok()?, payment.vout);
    let is_confirmed = is_detected && payment.block_height.is_some();
    Some((outpoint, payment, is_confirmed))
}
