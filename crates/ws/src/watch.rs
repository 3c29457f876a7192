//! The keys of a `watch` message.

use std::collections::HashMap;
use std::str::FromStr;

use bitcoin::secp256k1::PublicKey;
use sdk_relay_bip352::{Network, Prepared, Receiver, ScanKey, Scanner};
use sdk_relay_descriptor::{DescriptorError, MAX_LENGTH, ScanDescriptor};
use sdk_relay_protocol::{ErrorCode, Refusal, SecretDescriptor, SecretHex, Since, Watch, are_depths};

use super::session::refusal;

/// The keys and the addresses of a watch; `None` is the key of the address without a label.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) receiver: Prepared,
    pub(super) addresses: HashMap<Option<u32>, String>,
    pub(super) history: Option<RequestedHistory>,
}

/// The history that a watch requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestedHistory {
    pub(super) from: From,
    pub(super) to: Option<u32>,
}

/// Where a history begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Height(u32),
    Time(Since),
}

/// What the keys of a watch are read from.
struct Wallet {
    scan: ScanKey,
    spend: PublicKey,
    labels: Vec<u32>,
    birthday: Option<u32>,
}

/// What a relay allows in a watch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) labels: usize,
    /// Whether there is an index that histories can be read from.
    pub(super) has_index: bool,
}

/// Expected value of the field.
const CONFIRM_AT: &str = "confirm_at: expected at most 10 depths from 1 to 2016, in increasing order";
const SPEND_KEY: &str = "spend_public_key: expected a compressed public key, 66 hex digits";
/// Maximum length of a key that is parsed, in bytes: valid ones have at most 66.
const KEY_TEXT: usize = 130;

/// Refuses a `watch` whose fields are too large to queue, or whose depths are wrong.
pub(super) fn check_sizes(watch: &Watch, max_labels: usize) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(refusal(ErrorCode::InvalidField, message, watch.message_id.clone()));
    let (scan, spend) = (&watch.scan_private_key, &watch.spend_public_key);
    if scan.as_ref().is_some_and(|key| key.expose().len() > KEY_TEXT) {
        return refuse("scan_private_key: expected 64 hex digits");
    }
    if spend.as_ref().is_some_and(|key| key.len() > KEY_TEXT) {
        return refuse(SPEND_KEY);
    }
    let descriptor = watch.descriptor.as_ref();
    if descriptor.is_some_and(|descriptor| descriptor.expose().len() > MAX_LENGTH) {
        return refuse(&format!("descriptor: {}", DescriptorError::TooLong));
    }
    if watch.labels.as_ref().is_some_and(|labels| labels.len() > max_labels) {
        return refuse(&format!("labels: expected at most {max_labels}"));
    }
    if watch.confirm_at.as_ref().is_some_and(|depths| !are_depths(depths)) {
        return refuse(CONFIRM_AT);
    }
    Ok(())
}

/// Parses the keys. No refusal contains any of them. Not inlined, so that its stack frame is below the caller's, which
/// wipes it.
#[inline(never)]
pub(super) fn keys(watch: &Watch, network: Network, limits: Limits, scanner: &Scanner) -> Result<Keys, Refusal> {
    check_sizes(watch, limits.labels)?;
    let refuse = |message: String| refusal(ErrorCode::InvalidField, &message, watch.message_id.clone());
    let wallet = wallet(watch, network, limits.labels).map_err(refuse)?;
    let history = history(watch, wallet.birthday.filter(|_| limits.has_index)).map_err(refuse)?;
    if let Some(requested) = history
        && !limits.has_index
    {
        let field = match requested.from {
            From::Height(_) => "from_height",
            From::Time(_) => "from_time",
        };
        let message =
            format!("{field}: this relay has no tweak index (index.enabled = false); omit it to watch from now on");
        return Err(refusal(ErrorCode::Unavailable, &message, watch.message_id.clone()));
    }
    let label_error = |error: &dyn std::fmt::Display| refuse(format!("labels: {error}"));
    let receiver =
        Receiver::new(wallet.scan, wallet.spend, wallet.labels.iter().copied()).map_err(|e| label_error(&e))?;
    let mut addresses = HashMap::from([(None, receiver.address(network).to_string())]);
    for label in wallet.labels.into_iter().filter(|m| *m != 0) {
        let address = receiver.labelled_address(network, label).map_err(|e| label_error(&e))?;
        addresses.insert(Some(label), address.to_string());
    }
    Ok(Keys {
        receiver: scanner.prepare(receiver),
        addresses,
        history,
    })
}

/// The wallet of the two keys, or of the descriptor.
fn wallet(watch: &Watch, network: Network, max_labels: usize) -> Result<Wallet, String> {
    const MISSING: &str = "missing; expected scan_private_key and spend_public_key, or descriptor in their place";
    match (&watch.descriptor, &watch.scan_private_key, &watch.spend_public_key) {
        (None, Some(scan), Some(spend)) => of_keys(scan, spend, watch.labels.clone().unwrap_or_default()),
        (Some(descriptor), None, None) => of_descriptor(descriptor, watch.labels.clone(), network, max_labels),
        (None, None, _) => Err(format!("scan_private_key: {MISSING}")),
        (None, Some(_), None) => Err(format!("spend_public_key: {MISSING}")),
        (Some(_), ..) => Err("descriptor: it has both keys; omit scan_private_key and spend_public_key".to_owned()),
    }
}

fn of_keys(scan: &SecretHex, spend: &str, labels: Vec<u32>) -> Result<Wallet, String> {
    let scan = ScanKey::from_str(scan.expose()).map_err(|e| format!("scan_private_key: {e}"))?;
    let spend = PublicKey::from_str(spend)
        .ok()
        // The uncompressed form of 65 bytes is valid too, but the contract excludes it.
        .filter(|_| spend.len() == 66)
        .ok_or(SPEND_KEY)?;
    Ok(Wallet {
        scan,
        spend,
        labels,
        birthday: None,
    })
}

fn of_descriptor(
    descriptor: &SecretDescriptor,
    labels: Option<Vec<u32>>,
    network: Network,
    max_labels: usize,
) -> Result<Wallet, String> {
    let descriptor = ScanDescriptor::from_str(descriptor.expose()).map_err(|e| format!("descriptor: {e}"))?;
    match (descriptor.is_mainnet, network == Network::Main) {
        (true, false) => return Err("descriptor: it is of the main network, and this relay is not".to_owned()),
        (false, true) => {
            return Err("descriptor: it is of a test network, and this relay is of the main one".to_owned());
        }
        _ => {}
    }
    let labels = match (labels, descriptor.highest_label) {
        (Some(labels), _) => labels,
        (None, None) => Vec::new(),
        (None, Some(highest)) if usize::try_from(highest).is_ok_and(|count| count <= max_labels) => {
            (1..=highest).collect()
        }
        (None, Some(highest)) => {
            return Err(format!(
                "descriptor: it has {highest} labels (ml), and this relay scans at most {max_labels} for a watch \
                 (limits.labels_per_watch): send those in use in labels"
            ));
        }
    };
    Ok(Wallet {
        scan: descriptor.scan,
        spend: descriptor.spend,
        labels,
        birthday: descriptor.birthday,
    })
}

/// The history that the message requests, or else the descriptor with its birthday.
fn history(watch: &Watch, birthday: Option<u32>) -> Result<Option<RequestedHistory>, String> {
    let from = match (watch.from_height, watch.from_time) {
        (Some(_), Some(_)) => return Err("from_time: expected from_height or from_time, not both".to_owned()),
        (Some(height), None) => Some(From::Height(height)),
        (None, Some(time)) => Some(From::Time(time)),
        (None, None) => birthday.map(From::Height),
    };
    match (from, watch.to_height) {
        (None, Some(_)) => Err("to_height: requires from_height or from_time".to_owned()),
        (Some(From::Height(from)), Some(to)) if to < from => Err(below(from)),
        (from, to) => Ok(from.map(|from| RequestedHistory { from, to })),
    }
}

/// The refusal of a `to_height` below the first block of the history.
pub(super) fn below(from: u32) -> String {
    format!("to_height: must not be below from_height, which is {from}")
}

#[cfg(test)]
mod tests;
