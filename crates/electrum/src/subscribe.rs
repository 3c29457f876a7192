//! Registers and ends the watches of subscriptions to silent payments.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bitcoin::secp256k1::PublicKey;
use sdk_relay_backfill::Heights;
use sdk_relay_bip352::keys::CHANGE_LABEL;
use sdk_relay_bip352::{Network, Prepared, Receiver, ScanKey, Scanner, wipe_stack_below};
use sdk_relay_config::Network as Chain;
use sdk_relay_detect::{HistoryPlan, Mailbox, Registered, WatchOrder};
use sdk_relay_platform::blocking;
use sdk_relay_protocol::MissingReason;
use sdk_relay_service::FirstBlockError;

use crate::error::RpcError;
use crate::handles::Handles;
use crate::limits::{MAX_LABELS, MAX_SUBSCRIPTIONS};
use crate::order::{EarlierScans, Keys, Order, Subscribed};
use crate::start::Start;

/// Digits of the keys.
const SCAN_DIGITS: usize = 64;
const SPEND_DIGITS: usize = 66;

/// What the subscriptions of a connection cover: a later one of the same wallet widens it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extents(Arc<Mutex<HashMap<String, Extent>>>);

#[derive(Clone, Debug)]
struct Extent {
    labels: BTreeSet<u32>,
    heights: Heights,
    watch_id: String,
    earlier: Option<Earlier>,
}

/// The blocks before the start, which are scanned when the client asks for a script that is not found otherwise: a
/// wallet that comes back asks for the scripts of all its outputs.
#[derive(Clone, Debug)]
struct Earlier {
    receiver: Receiver,
    /// `None`: not scanned yet.
    watch_id: Option<String>,
}

/// What the keys of an order are.
struct Prepare {
    address: String,
    receiver: Prepared,
    earlier: Option<Earlier>,
    labels: BTreeSet<u32>,
    heights: Heights,
}

impl Extents {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Extent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A subscription whose earlier blocks are not scanned: its address, its keys and its start.
    fn unscanned(&self) -> Option<(String, Receiver, u32)> {
        let extents = self.lock();
        let mut unscanned = extents.iter().filter_map(|(address, extent)| {
            let earlier = extent.earlier.as_ref().filter(|earlier| earlier.watch_id.is_none())?;
            Some((address.clone(), earlier.receiver.clone(), extent.heights.from))
        });
        unscanned.next()
    }

    fn set_scanned(&self, address: &str, watch_id: &str) {
        if let Some(earlier) = self.lock().get_mut(address).and_then(|extent| extent.earlier.as_mut()) {
            earlier.watch_id = Some(watch_id.to_owned());
        }
    }

    /// The labels and blocks that a subscription has if it is asked for these.
    fn widened(&self, address: &str, labels: &[u32], heights: Heights) -> Result<(BTreeSet<u32>, Heights), RpcError> {
        let extents = self.lock();
        let before = extents.get(address);
        if before.is_none() && extents.len() >= MAX_SUBSCRIPTIONS {
            let message = format!("a connection has at most {MAX_SUBSCRIPTIONS} subscriptions: end one first");
            return Err(RpcError::parameter(message));
        }
        let mut all: BTreeSet<u32> = labels.iter().copied().chain([CHANGE_LABEL]).collect();
        let mut widened = heights;
        if let Some(before) = before {
            all.extend(&before.labels);
            widened.from = heights.from.min(before.heights.from);
            widened.to = heights.to.zip(before.heights.to).map(|(one, other)| one.max(other));
        }
        // Label 0 is not one of the client.
        if all.len() > MAX_LABELS + 1 {
            return Err(RpcError::parameter(format!(
                "labels: expected at most {MAX_LABELS}, with those of earlier subscriptions to the same wallet"
            )));
        }
        Ok((all, widened))
    }
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
    let Order { keys, start, labels } = order;
    let heights = resolve(handles, start).await?;
    let network = handles.settings.now().network;
    let scanner = handles.detection.scanner().clone();
    let known = extents.clone();
    let prepared = with_keys(handles, mailbox, move || {
        prepare(&keys, &labels, heights, network, &known, &scanner)
    });
    let Prepare {
        address,
        receiver,
        earlier,
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
    let Registered { watch_id, history } = handles.detection.watch(order).await.map_err(RpcError::unavailable)?;
    let has_earlier = earlier.is_some();
    let extent = Extent {
        labels: labels.clone(),
        heights,
        watch_id: watch_id.clone(),
        earlier,
    };
    let before = extents.lock().insert(address.clone(), extent);
    if let Some(before) = before
        && !before.end(handles).await
    {
        tracing::debug!("the watch of a replaced subscription ends when events can be written again");
    }
    Ok(Subscribed {
        address,
        labels: labels.into_iter().collect(),
        start_height: first_scanned(heights.from, &history, network),
        has_earlier,
        watch_id,
    })
}

/// Ends the watch of a wallet. Returns its address, whether it was watched or not.
pub(crate) async fn unsubscribe(
    handles: &Handles,
    mailbox: &Mailbox,
    extents: &Extents,
    keys: Keys,
) -> Result<String, RpcError> {
    let network = handles.settings.now().network.silent_payment();
    let address = with_keys(handles, mailbox, move || {
        let (scan, spend) = parse(&keys)?;
        let receiver = Receiver::new(scan, spend, []).map_err(|error| RpcError::parameter(error.to_string()))?;
        Ok(receiver.address(network).to_string())
    });
    let address = address.await?;
    let before = extents.lock().remove(&address);
    if let Some(before) = before
        && !before.end(handles).await
    {
        return Err(RpcError::unavailable(
            "the subscription ends as soon as the relay can write events again (GET /health may say why)",
        ));
    }
    Ok(address)
}

/// Registers watches of the blocks before the starts, where there are none yet. Their payments are those of
/// [`subscribe`], and of the blocks from 0.
pub(crate) async fn scan_earlier(handles: &Handles, mailbox: &Mailbox, extents: &Extents) -> EarlierScans {
    let mut registered = Vec::new();
    let failure = loop {
        let Some((address, receiver, start)) = extents.unscanned() else {
            break None;
        };
        let scanner = handles.detection.scanner().clone();
        let prepared = with_keys(handles, mailbox, move || Ok(scanner.prepare(receiver))).await;
        let receiver = match prepared {
            Ok(receiver) => receiver,
            Err(error) => break Some(error),
        };
        let order = WatchOrder {
            receiver,
            addresses: HashMap::from([(None, address.clone())]),
            mailbox: mailbox.clone(),
            history: Some(Heights {
                from: 0,
                to: Some(start.saturating_sub(1)),
            }),
            confirm_at: Vec::new(),
        };
        match handles.detection.watch(order).await {
            Ok(Registered { watch_id, .. }) => {
                extents.set_scanned(&address, &watch_id);
                registered.push((address, watch_id));
            }
            Err(refused) => break Some(RpcError::unavailable(refused)),
        }
    };
    EarlierScans { registered, failure }
}

impl Extent {
    /// Ends its watches. `false`: detection takes no commands, and ends them when it does again.
    async fn end(self, handles: &Handles) -> bool {
        let earlier = self.earlier.and_then(|earlier| earlier.watch_id);
        let mut has_ended = true;
        for watch_id in [self.watch_id].into_iter().chain(earlier) {
            has_ended &= handles.detection.unwatch(watch_id).await;
        }
        has_ended
    }
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
    keys: &Keys,
    labels: &[u32],
    heights: Heights,
    chain: Chain,
    extents: &Extents,
    scanner: &Scanner,
) -> Result<Prepare, RpcError> {
    let network: Network = chain.silent_payment();
    let (scan, spend) = parse(keys)?;
    let wrong = |error: sdk_relay_bip352::LabelError| RpcError::parameter(format!("labels: {error}"));
    let plain = Receiver::new(scan.clone(), spend, []).map_err(wrong)?;
    let address = plain.address(network).to_string();
    let (labels, heights) = extents.widened(&address, labels, heights)?;
    let receiver = Receiver::new(scan, spend, labels.iter().copied()).map_err(wrong)?;
    // Before taproot there are no silent payments.
    let earlier = (heights.from > chain.taproot_height()).then(|| Earlier {
        receiver: receiver.clone(),
        watch_id: None,
    });
    Ok(Prepare {
        address,
        receiver: scanner.prepare(receiver),
        earlier,
        labels,
        heights,
    })
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

    fn heights(from: u32, to: Option<u32>) -> Heights {
        Heights { from, to }
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
    fn a_later_subscription_widens_and_never_narrows() {
        let extents = Extents::default();
        let labels = |set: BTreeSet<u32>| set.into_iter().collect::<Vec<_>>();
        let (set, range) = extents.widened("sp1", &[7, 3], heights(100, Some(200))).unwrap();
        assert_eq!((labels(set.clone()), range), (vec![0, 3, 7], heights(100, Some(200))));
        let extent = Extent {
            labels: set,
            heights: range,
            watch_id: "watch-1".to_owned(),
            earlier: None,
        };
        extents.lock().insert("sp1".to_owned(), extent);
        for (given, asked, expected) in [
            (&[][..], heights(150, Some(160)), heights(100, Some(200))),
            (&[], heights(50, Some(60)), heights(50, Some(200))),
            (&[9], heights(150, None), heights(100, None)),
        ] {
            let (set, range) = extents.widened("sp1", given, asked).unwrap();
            assert_eq!(range, expected);
            assert!(
                [0, 3, 7].iter().chain(given).all(|label| set.contains(label)),
                "{set:?}"
            );
        }
        let many: Vec<u32> = (1_000..2_000).collect();
        assert!(extents.widened("sp2", &many, heights(0, None)).is_ok());
        let error = extents.widened("sp1", &many, heights(0, None)).unwrap_err();
        assert!(error.message.contains("at most 1000"), "{error:?}");
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
