//! What the subscriptions of a connection cover, and their watches.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bitcoin::secp256k1::PublicKey;
use sdk_relay_backfill::Heights;
use sdk_relay_bip352::ScanKey;
use sdk_relay_bip352::keys::CHANGE_LABEL;

use crate::error::RpcError;
use crate::handles::Handles;
use crate::label_share::LabelShare;
use crate::limits::SUBSCRIPTIONS_BYTES;
use crate::order::EarlierBlocks;

/// Memory of an extent besides its labels, and of a label in a set whose nodes may be half full.
const EXTENT_BYTES: usize = 2 * (size_of::<(String, Extent)>() + 300);
const LABEL_BYTES: usize = 16;

/// What the subscriptions of a connection cover: a later one of the same wallet widens it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extents(Arc<Mutex<Covered>>);

#[derive(Debug, Default)]
struct Covered {
    by_address: HashMap<String, Extent>,
    /// Watches of replaced subscriptions that detection has not ended yet.
    ending: VecDeque<Watched>,
}

#[derive(Debug)]
pub(crate) struct Extent {
    pub(crate) labels: BTreeSet<u32>,
    pub(crate) heights: Heights,
    pub(crate) watch: Watched,
    pub(crate) earlier: Option<Earlier>,
}

/// A watch, and its share of the labels that clients may have.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) id: String,
    _labels: LabelShare,
}

/// The blocks before the start, which are scanned when the client asks for a script that is not found otherwise: a
/// wallet that comes back asks for the scripts of all its outputs.
#[derive(Debug)]
pub(crate) struct Earlier {
    pub(crate) scan: ScanKey,
    pub(crate) spend: PublicKey,
    /// `None`: not scanned with these labels yet.
    pub(crate) watch: Option<Watched>,
    /// The watch that has scanned them with fewer labels: it goes on until all are scanned.
    pub(crate) before: Option<Watched>,
}

/// What a scan of earlier blocks needs.
pub(crate) struct Unscanned {
    pub(crate) address: String,
    pub(crate) keys: (ScanKey, PublicKey),
    pub(crate) labels: BTreeSet<u32>,
    pub(crate) start: u32,
}

impl Watched {
    pub(crate) fn new(id: String, labels: LabelShare) -> Self {
        Self { id, _labels: labels }
    }
}

impl Extents {
    fn lock(&self) -> MutexGuard<'_, Covered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory of them, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes()
    }

    /// A subscription whose earlier blocks are not scanned.
    pub(crate) fn unscanned(&self) -> Option<Unscanned> {
        let covered = self.lock();
        let mut unscanned = covered.by_address.iter().filter_map(|(address, extent)| {
            let earlier = extent.earlier.as_ref().filter(|earlier| earlier.watch.is_none())?;
            Some(Unscanned {
                address: address.clone(),
                keys: (earlier.scan.clone(), earlier.spend),
                labels: extent.labels.clone(),
                start: extent.heights.from,
            })
        });
        unscanned.next()
    }

    pub(crate) fn set_scanned(&self, address: &str, watch: Watched) {
        let mut covered = self.lock();
        let extent = covered.by_address.get_mut(address);
        if let Some(earlier) = extent.and_then(|extent| extent.earlier.as_mut()) {
            earlier.watch = Some(watch);
            let before = earlier.before.take();
            covered.ending.extend(before);
        }
    }

    /// Whether the connection may have a subscription to this address, which replaces the one that it has.
    pub(crate) fn check(&self, most: usize, address: &str) -> Result<(), RpcError> {
        let covered = self.lock();
        if covered.by_address.len() < most || covered.by_address.contains_key(address) {
            return Ok(());
        }
        Err(RpcError::parameter(format!(
            "a connection has at most {most} subscriptions (electrum.subscriptions_per_connection), one for each wallet: end one \
             first, or use another connection"
        )))
    }

    /// The labels and blocks that a subscription has if it is asked for these.
    pub(crate) fn widened(
        &self,
        address: &str,
        labels: &[u32],
        heights: Heights,
        most: usize,
    ) -> Result<(BTreeSet<u32>, Heights), RpcError> {
        let covered = self.lock();
        let mut all: BTreeSet<u32> = labels.iter().copied().chain([CHANGE_LABEL]).collect();
        let mut widened = heights;
        if let Some(before) = covered.by_address.get(address) {
            all.extend(&before.labels);
            widened.from = heights.from.min(before.heights.from);
            // It has followed the chain since it began.
            widened.to = None;
        }
        // Label 0 is not one of the client.
        if all.len() > most.saturating_add(1) {
            return Err(RpcError::parameter(format!(
                "labels: expected at most {most} (electrum.labels_per_subscription), with those of earlier subscriptions to the same wallet"
            )));
        }
        let before = covered.by_address.get(address).map_or(0, Extent::bytes);
        let bytes = covered.bytes() - before + bytes_with(all.len());
        if bytes > SUBSCRIPTIONS_BYTES {
            return Err(RpcError::parameter(format!(
                "the subscriptions of this connection have too many labels together: they may take {} MB of memory, {EXTENT_BYTES} bytes for \
                 each and {LABEL_BYTES} more for each label; end one first, or use another connection",
                SUBSCRIPTIONS_BYTES >> 20
            )));
        }
        Ok((all, widened))
    }

    /// Replaces the extent of an address. Returns what the earlier blocks are for the session.
    pub(crate) fn insert(&self, address: String, mut extent: Extent) -> EarlierBlocks {
        let mut covered = self.lock();
        let before = covered.by_address.remove(&address);
        let mut ending = Vec::new();
        if let Some(before) = before {
            ending.push(before.watch);
            let has_same_labels = before.labels == extent.labels;
            match (before.earlier, &mut extent.earlier) {
                (Some(known), Some(earlier)) if has_same_labels => {
                    (earlier.watch, earlier.before) = (known.watch, known.before);
                }
                (Some(known), Some(earlier)) => {
                    let mut scanned = known.watch.into_iter().chain(known.before);
                    earlier.before = scanned.next();
                    ending.extend(scanned);
                }
                (Some(known), None) => ending.extend(known.watch.into_iter().chain(known.before)),
                (None, _) => {}
            }
        }
        let earlier = match &extent.earlier {
            None => EarlierBlocks::Nothing,
            Some(Earlier { watch: Some(_), .. }) => EarlierBlocks::Watched,
            Some(Earlier { watch: None, .. }) => EarlierBlocks::Unscanned,
        };
        covered.ending.extend(ending);
        covered.by_address.insert(address, extent);
        earlier
    }

    /// The watches of a subscription.
    pub(crate) fn watches_of(&self, address: &str) -> Vec<String> {
        let covered = self.lock();
        let extent = covered.by_address.get(address);
        extent.into_iter().flat_map(Extent::ids).map(str::to_owned).collect()
    }

    /// Forgets a subscription whose watches have ended.
    pub(crate) fn remove(&self, address: &str) {
        self.lock().by_address.remove(address);
    }

    /// Ends the watches of replaced subscriptions, in their order. `false`: detection takes no commands now.
    pub(crate) async fn end_replaced(&self, handles: &Handles) -> bool {
        loop {
            let first = self.lock().ending.front().map(|watch| watch.id.clone());
            let Some(id) = first else { return true };
            if !handles.detection.unwatch(id).await {
                return false;
            }
            self.lock().ending.pop_front();
        }
    }
}

impl Covered {
    fn bytes(&self) -> usize {
        self.by_address.values().map(Extent::bytes).sum()
    }
}

/// Memory of an extent with so many labels, in bytes.
fn bytes_with(labels: usize) -> usize {
    EXTENT_BYTES + labels * LABEL_BYTES
}

impl Extent {
    fn bytes(&self) -> usize {
        bytes_with(self.labels.len())
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        let earlier = self.earlier.iter();
        let earlier = earlier.flat_map(|earlier| earlier.watch.iter().chain(&earlier.before));
        std::iter::once(&self.watch)
            .chain(earlier)
            .map(|watch| watch.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::secp256k1::{Secp256k1, SecretKey};

    use super::*;

    fn heights(from: u32, to: Option<u32>) -> Heights {
        Heights { from, to }
    }

    fn watched(id: &str) -> Watched {
        Watched::new(id.to_owned(), LabelShare::unlimited())
    }

    fn extent(labels: &[u32], heights: Heights, id: &str, has_earlier: bool) -> Extent {
        let key = SecretKey::from_slice(&[7; 32]).unwrap();
        Extent {
            labels: labels.iter().copied().collect(),
            heights,
            watch: watched(id),
            earlier: has_earlier.then_some(Earlier {
                scan: ScanKey::from(key),
                spend: key.public_key(&Secp256k1::new()),
                watch: None,
                before: None,
            }),
        }
    }

    fn ending(extents: &Extents) -> Vec<String> {
        let ending = std::mem::take(&mut extents.lock().ending);
        ending.into_iter().map(|watch| watch.id).collect()
    }

    #[test]
    fn a_later_subscription_widens_and_never_narrows() {
        let extents = Extents::default();
        let labels = |set: BTreeSet<u32>| set.into_iter().collect::<Vec<_>>();
        let (set, range) = extents.widened("sp1", &[7, 3], heights(100, Some(200)), 1_000).unwrap();
        assert_eq!((labels(set), range), (vec![0, 3, 7], heights(100, Some(200))));
        extents.insert("sp1".to_owned(), extent(&[0, 3, 7], range, "watch-1", false));
        // The first one follows the chain: so does the wider one, also from above the end of its range.
        for (given, asked, expected) in [
            (&[][..], heights(150, Some(160)), heights(100, None)),
            (&[], heights(50, Some(60)), heights(50, None)),
            (&[9], heights(150, None), heights(100, None)),
        ] {
            let (set, range) = extents.widened("sp1", given, asked, 1_000).unwrap();
            assert_eq!(range, expected);
            assert!(
                [0, 3, 7].iter().chain(given).all(|label| set.contains(label)),
                "{set:?}"
            );
        }
        let many: Vec<u32> = (1_000..1_100).collect();
        assert!(extents.widened("sp2", &many, heights(0, None), 100).is_ok());
        let error = extents.widened("sp1", &many, heights(0, None), 100).unwrap_err();
        assert!(
            error.message.contains("at most 100 (electrum.labels_per_subscription)"),
            "{error:?}"
        );
    }

    #[test]
    fn the_scan_of_earlier_blocks_goes_on_when_the_subscription_is_widened() {
        let extents = Extents::default();
        let subscribe = |labels: &[u32], from, id: &str, has_earlier| {
            let extent = extent(labels, heights(from, None), id, has_earlier);
            extents.insert("sp1".to_owned(), extent)
        };
        assert_eq!(subscribe(&[0], 900, "main-1", true), EarlierBlocks::Unscanned);
        extents.set_scanned("sp1", watched("early-1"));
        assert!(extents.unscanned().is_none());
        assert_eq!(subscribe(&[0], 800, "main-2", true), EarlierBlocks::Watched);
        assert_eq!(ending(&extents), ["main-1"]);
        // With another label they are scanned again, and the watch before goes on until then.
        assert_eq!(subscribe(&[0, 1], 800, "main-3", true), EarlierBlocks::Unscanned);
        assert_eq!(ending(&extents), ["main-2"]);
        assert_eq!(extents.watches_of("sp1"), ["main-3", "early-1"]);
        let unscanned = extents.unscanned().unwrap();
        assert_eq!((unscanned.start, unscanned.labels.len()), (800, 2));
        assert_eq!(subscribe(&[0, 1], 800, "main-4", true), EarlierBlocks::Unscanned);
        assert_eq!(ending(&extents), ["main-3"]);
        extents.set_scanned("sp1", watched("early-2"));
        assert_eq!(ending(&extents), ["early-1"]);
        // It has them all itself.
        assert_eq!(subscribe(&[0, 1], 0, "main-5", false), EarlierBlocks::Nothing);
        assert_eq!(ending(&extents), ["main-4", "early-2"]);
    }

    #[test]
    fn the_subscriptions_of_a_connection_are_bounded_and_counted() {
        let extents = Extents::default();
        assert!(extents.check(0, "sp1").is_err());
        for n in 0..2 {
            extents.check(2, "sp2").unwrap();
            extents.insert(
                format!("sp{n}"),
                extent(&[0], heights(900, None), &format!("watch-{n}"), true),
            );
        }
        let refused = extents.check(2, "sp2").unwrap_err();
        assert!(
            refused.message.contains("electrum.subscriptions_per_connection"),
            "{refused:?}"
        );
        assert!(extents.check(2, "sp1").is_ok(), "it replaces one");
        assert!(extents.check(3, "sp2").is_ok());
        let before = extents.bytes();
        let labels: Vec<u32> = (0..100).collect();
        extents.insert("sp9".to_owned(), extent(&labels, heights(900, None), "watch-9", true));
        assert!(extents.bytes() > before + 100 * LABEL_BYTES);
    }

    /// The connection would be closed otherwise, with all of its subscriptions.
    #[test]
    fn a_subscription_is_refused_with_which_all_take_too_much_memory() {
        let extents = Extents::default();
        let labels: Vec<u32> = (1..=1_000).collect();
        let subscribe = |address: String| -> Result<(), RpcError> {
            let (labels, range) = extents.widened(&address, &labels, heights(0, None), 1_000)?;
            let labels: Vec<u32> = labels.into_iter().collect();
            extents.insert(address, extent(&labels, range, "watch", false));
            Ok(())
        };
        let refused = (0..1_000).try_for_each(|n| subscribe(format!("sp{n}")));
        let refused = refused.unwrap_err();
        assert!(
            refused.code == -32_602 && refused.message.contains("too many labels together"),
            "{refused:?}"
        );
        assert!(extents.bytes() > SUBSCRIPTIONS_BYTES / 2 && extents.bytes() <= SUBSCRIPTIONS_BYTES);
        subscribe("sp0".to_owned()).expect("it replaces one");
    }
}
