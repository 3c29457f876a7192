//! Registers and ends the watches of subscriptions to silent payments.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use bitcoin::secp256k1::PublicKey;
use sdk_relay_backfill::Heights;
use sdk_relay_bip352::{LabelError, Prepared, Receiver, ScanKey, Scanner, wipe_stack_below};
use sdk_relay_config::Network as Chain;
use sdk_relay_detect::{HistoryPlan, Mailbox, Registered, WatchOrder};
use sdk_relay_platform::blocking;
use sdk_relay_protocol::MissingReason;
use sdk_relay_service::FirstBlockError;
use tokio::time::Instant;

use crate::error::RpcError;
use crate::extents::{Earlier, Extent, Extents, Unscanned, Watched};
use crate::handles::Handles;
use crate::limits::SUBSCRIPTION_INTERVAL;
use crate::order::{EarlierScans, Keys, Order, Subscribed};
use crate::pace::subscriptions_at_once;
use crate::start::Start;

/// A watch cannot be ended now.
const NOT_ENDED: &str =
    "the subscription ends as soon as the relay can write events again (GET /health may say why): send it again";

/// Digits of the keys.
const SCAN_DIGITS: usize = 64;
const SPEND_DIGITS: usize = 66;

/// What the keys of an order are.
struct Prepare {
    address: String,
    receiver: Prepared,
    keys: (ScanKey, PublicKey),
    labels: BTreeSet<u32>,
    heights: Heights,
}

/// Registers the watch of a subscription. One that covers the same wallet is replaced by it, and covers no less.
pub(crate) async fn subscribe(
    handles: &Handles,
    mailbox: &Mailbox,
    extents: &Extents,
    order: Order,
) -> Result<Subscribed, RpcError> {
    if handles.index.is_none() {
        let message = "this relay has no tweak index (index.enabled = false), which silent payments over Electrum need";
        return Err(RpcError::refused(message));
    }
    if !extents.end_replaced(handles).await {
        return Err(RpcError::unavailable(NOT_ENDED));
    }
    let Order { keys, start, labels } = order;
    let heights = resolve(handles, start).await?;
    let settings = handles.settings.now();
    let (network, max_labels) = (settings.network, settings.electrum.labels_per_subscription);
    let most = settings.electrum.subscriptions_per_connection;
    let scanner = handles.detection.scanner().clone();
    let known = extents.clone();
    let (paces, client) = (Arc::clone(&handles.subscription_paces), mailbox.address());
    let prepared = with_keys(handles, mailbox, move || {
        let keys = parse(&keys)?;
        // Only now: garbage must not use up the rate of an address. Before the labels, which take far longer.
        if !paces.accept_now(client, Instant::now()) {
            return Err(too_often(most));
        }
        let address = address(&keys, network)?;
        known.check(most, &address)?;
        let (labels, heights) = known.widened(&address, &labels, heights, max_labels)?;
        Ok(Prepare {
            receiver: prepare(&scanner, &keys, &labels)?,
            address,
            keys,
            labels,
            heights,
        })
    });
    let Prepare {
        address,
        receiver,
        keys: (scan, spend),
        labels,
        heights,
    } = prepared.await?;
    let order = WatchOrder {
        receiver,
        // Notifications over Electrum do not name the address of a label.
        addresses: HashMap::from([(None, address.clone())]),
        mailbox: mailbox.clone(),
        history: Some(heights),
        confirm_at: Vec::new(),
    };
    let (watch, history) = register(handles, order, &labels).await?;
    let watch_id = watch.id.clone();
    // Before taproot there are no silent payments.
    let has_earlier = heights.from > network.taproot_height();
    let extent = Extent {
        labels: labels.clone(),
        heights,
        watch,
        earlier: has_earlier.then_some(Earlier {
            scan,
            spend,
            watch: None,
            before: None,
        }),
    };
    let earlier = extents.insert(address.clone(), extent);
    if !extents.end_replaced(handles).await {
        tracing::debug!("the watch of a replaced subscription ends when detection takes commands again");
    }
    Ok(Subscribed {
        address,
        labels: labels.into_iter().collect(),
        start_height: first_scanned(heights.from, &history, network),
        earlier,
        watch_id,
    })
}

fn too_often(most: usize) -> RpcError {
    RpcError::parameter(format!(
        "more than {} subscriptions of this address in a short time: one in {} s is allowed; wait, then send it again",
        subscriptions_at_once(most),
        SUBSCRIPTION_INTERVAL.as_secs()
    ))
}

/// Registers a watch, within the limits of its address and of all.
async fn register(
    handles: &Handles,
    order: WatchOrder,
    labels: &BTreeSet<u32>,
) -> Result<(Watched, HistoryPlan), RpcError> {
    let share = handles.labels.take(order.mailbox.address(), labels.len())?;
    let Registered { watch_id, history } = handles.detection.watch(order).await.map_err(RpcError::unavailable)?;
    Ok((Watched::new(watch_id, share), history))
}

/// Ends the watch of a wallet. Returns its address, whether it was watched or not.
pub(crate) async fn unsubscribe(
    handles: &Handles,
    mailbox: &Mailbox,
    extents: &Extents,
    keys: Keys,
) -> Result<String, RpcError> {
    let network = handles.settings.now().network;
    let address = with_keys(handles, mailbox, move || address(&parse(&keys)?, network));
    let address = address.await?;
    // Until they have ended, the extent is kept: the client may ask again.
    let mut has_ended = extents.end_replaced(handles).await;
    for id in extents.watches_of(&address) {
        has_ended &= handles.detection.unwatch(id).await;
    }
    if !has_ended {
        return Err(RpcError::unavailable(NOT_ENDED));
    }
    extents.remove(&address);
    Ok(address)
}

/// Registers watches of the blocks before the starts, where there are none yet. Their payments are those of
/// [`subscribe`], and of the blocks from 0.
pub(crate) async fn scan_earlier(handles: &Handles, mailbox: &Mailbox, extents: &Extents) -> EarlierScans {
    let mut registered = Vec::new();
    let failure = loop {
        let Some(unscanned) = extents.unscanned() else {
            break None;
        };
        match earlier_watch(handles, mailbox, &unscanned).await {
            Ok(watch) => {
                registered.push((unscanned.address.clone(), watch.id.clone()));
                extents.set_scanned(&unscanned.address, watch);
            }
            Err(error) => break Some(error),
        }
    };
    if !extents.end_replaced(handles).await {
        tracing::debug!("the watch of replaced scans ends when detection takes commands again");
    }
    EarlierScans { registered, failure }
}

/// Registers the watch of the blocks before a start.
async fn earlier_watch(handles: &Handles, mailbox: &Mailbox, unscanned: &Unscanned) -> Result<Watched, RpcError> {
    let scanner = handles.detection.scanner().clone();
    let (keys, labels) = (unscanned.keys.clone(), unscanned.labels.clone());
    let receiver = with_keys(handles, mailbox, move || prepare(&scanner, &keys, &labels)).await?;
    let order = WatchOrder {
        receiver,
        addresses: HashMap::from([(None, unscanned.address.clone())]),
        mailbox: mailbox.clone(),
        history: Some(Heights {
            from: 0,
            to: Some(unscanned.start.saturating_sub(1)),
        }),
        confirm_at: Vec::new(),
    };
    let (watch, _) = register(handles, order, &unscanned.labels).await?;
    Ok(watch)
}

/// The blocks of the history.
async fn resolve(handles: &Handles, start: Start) -> Result<Heights, RpcError> {
    match start {
        Start::Height { from, to } => {
            let tip = handles.hub.tip().unwrap_or(0);
            if let Some(to) = to.filter(|to| *to > tip) {
                let message = format!("start: expected a range that ends at the tip ({tip}) or below, not at {to}");
                return Err(RpcError::parameter(message));
            }
            Ok(Heights { from, to })
        }
        Start::Time(since) => {
            let first = handles.first_blocks.since(since).await.map_err(|error| match error {
                FirstBlockError::Future { .. } => RpcError::parameter(format!("start: {error}")),
                FirstBlockError::Source(error) => RpcError::from(error),
                FirstBlockError::TooLong => RpcError::unavailable(error),
            })?;
            Ok(Heights {
                from: first.height,
                to: None,
            })
        }
    }
}

/// Runs a computation with keys on a thread for it, in the turn of the address. A thousand labels take about 100 ms.
async fn with_keys<T: Send + 'static>(
    handles: &Handles,
    mailbox: &Mailbox,
    work: impl FnOnce() -> Result<T, RpcError> + Send + 'static,
) -> Result<T, RpcError> {
    let turn = handles.key_work.turn(mailbox.address()).await;
    let done = blocking::spawn(move || {
        let done = work();
        // The pool keeps the thread, and with it the remains of the key on its stack.
        wipe_stack_below();
        drop(turn);
        done
    });
    done.await
        .map_err(|_| RpcError::internal("the keys could not be checked: please report this bug"))?
}

/// Not inlined, so that its stack frame is below that of its caller, which wipes it.
#[inline(never)]
fn prepare(
    scanner: &Scanner,
    (scan, spend): &(ScanKey, PublicKey),
    labels: &BTreeSet<u32>,
) -> Result<Prepared, RpcError> {
    let receiver = Receiver::new(scan.clone(), *spend, labels.iter().copied()).map_err(wrong_labels)?;
    Ok(scanner.prepare(receiver))
}

#[inline(never)]
fn address((scan, spend): &(ScanKey, PublicKey), chain: Chain) -> Result<String, RpcError> {
    let receiver = Receiver::new(scan.clone(), *spend, []).map_err(wrong_labels)?;
    Ok(receiver.address(chain.silent_payment()).to_string())
}

fn wrong_labels(error: LabelError) -> RpcError {
    RpcError::parameter(format!("labels: {error}"))
}

/// No error contains a key.
#[inline(never)]
fn parse(keys: &Keys) -> Result<(ScanKey, PublicKey), RpcError> {
    let hex = keys.scan.expose();
    if hex.len() != SCAN_DIGITS {
        return Err(RpcError::parameter("scan_private_key: expected 64 hex digits"));
    }
    let scan = ScanKey::from_str(hex).map_err(|error| RpcError::parameter(format!("scan_private_key: {error}")))?;
    let spend = PublicKey::from_str(&keys.spend)
        .ok()
        .filter(|_| keys.spend.len() == SPEND_DIGITS)
        .ok_or_else(|| RpcError::parameter("spend_public_key: expected a compressed public key, 66 hex digits"))?;
    Ok((scan, spend))
}

/// The block at which the scan begins: the requested one, or the first that this relay can scan. Blocks before taproot
/// have no silent payments, and do not count as missing.
fn first_scanned(from: u32, history: &HistoryPlan, network: Chain) -> u32 {
    let (mut start, mut at) = (from, from);
    for range in &history.missing {
        if range.from > at {
            break;
        }
        at = at.max(range.to.saturating_add(1));
        if range.reason != MissingReason::BelowStartHeight || at > network.taproot_height() {
            start = at;
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use sdk_relay_protocol::{HistoryState, MissingBlocks, SecretHex};

    use super::*;

    const SCAN: &str = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
    const SPEND: &str = "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";

    fn keys(scan: &str, spend: &str) -> Keys {
        Keys {
            scan: SecretHex::new(scan.to_owned()),
            spend: spend.to_owned(),
        }
    }

    #[test]
    fn wrong_keys_are_refused_without_showing_them() {
        for (scan, spend, name) in [
            ("5ec2e7", SPEND, "scan_private_key"),
            (&"0".repeat(64), SPEND, "scan_private_key"),
            (&"5ec2e7".repeat(20), SPEND, "scan_private_key"),
            (SCAN, "5ec2e7", "spend_public_key"),
            (SCAN, &format!("04{}", "1".repeat(128)), "spend_public_key"),
        ] {
            let error = parse(&keys(scan, spend)).unwrap_err();
            assert!(error.code == -32_602 && error.message.starts_with(name), "{error:?}");
            assert!(!error.message.contains("5ec2e7"), "{error:?}");
        }
        assert!(parse(&keys(SCAN, SPEND)).is_ok());
        assert!(!format!("{:?}", keys(SCAN, SPEND)).contains(SCAN));
    }

    #[test]
    fn the_answer_says_from_where_the_relay_can_scan() {
        let range = |from, to, reason| MissingBlocks { from, to, reason };
        let plan = |missing| HistoryPlan {
            state: HistoryState::Scanning,
            start_height: None,
            missing,
        };
        let below = range(0, 709_631, MissingReason::BelowStartHeight);
        let pruned = range(709_632, 799_999, MissingReason::Pruned);
        for (from, missing, expected) in [
            (0, vec![], 0),
            (0, vec![below], 0),
            (0, vec![below, pruned], 800_000),
            (750_000, vec![range(750_000, 799_999, MissingReason::Pruned)], 800_000),
            (800_000, vec![range(810_000, 810_005, MissingReason::Damaged)], 800_000),
            (0, vec![range(0, 849_999, MissingReason::BelowStartHeight)], 850_000),
        ] {
            let plan = plan(missing);
            assert_eq!(first_scanned(from, &plan, Chain::Mainnet), expected, "{plan:?}");
        }
    }
}
