//! The keys of a `watch` message.

use std::collections::HashMap;
use std::str::FromStr;

use bitcoin::secp256k1::PublicKey;
use sdk_relay_backfill::Heights;
use sdk_relay_bip352::{Network, Prepared, Receiver, ScanKey, Scanner};
use sdk_relay_protocol::{ErrorCode, Refusal, Watch};

use super::session::refusal;

/// The keys and the addresses of a watch; `None` is the key of the address without a label.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) receiver: Prepared,
    pub(super) addresses: HashMap<Option<u32>, String>,
    pub(super) history: Option<Heights>,
}

const SPEND_KEY: &str = "spend_public_key: expected a compressed public key, 66 hex digits";
/// Maximum length of a key that is parsed, in bytes: valid ones have at most 66.
const KEY_TEXT: usize = 130;

/// Refuses a `watch` whose fields are too large to queue.
pub(super) fn check_sizes(watch: &Watch, max_labels: usize) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(refusal(ErrorCode::InvalidField, message, watch.message_id.clone()));
    if watch.scan_private_key.expose().len() > KEY_TEXT {
        return refuse("scan_private_key: expected 64 hex digits");
    }
    if watch.spend_public_key.len() > KEY_TEXT {
        return refuse(SPEND_KEY);
    }
    if watch.labels.as_ref().is_some_and(|labels| labels.len() > max_labels) {
        return refuse(&format!("labels: expected at most {max_labels}"));
    }
    Ok(())
}

/// Parses the keys. No refusal contains any of them. Not inlined, so that its stack frame is below the caller's, which
/// wipes it.
#[inline(never)]
pub(super) fn keys(
    watch: &Watch,
    network: Network,
    max_labels: usize,
    has_index: bool,
    scanner: &Scanner,
) -> Result<Keys, Refusal> {
    check_sizes(watch, max_labels)?;
    let refuse = |message: &str| refusal(ErrorCode::InvalidField, message, watch.message_id.clone());
    let history = watch.from_height.map(|from| Heights {
        from,
        to: watch.to_height,
    });
    if history.is_some() && !has_index {
        let message =
            "from_height: this relay has no tweak index (index.enabled = false); omit it to watch from now on";
        return Err(refusal(ErrorCode::Unavailable, message, watch.message_id.clone()));
    }
    match (watch.from_height, watch.to_height) {
        (None, Some(_)) => return Err(refuse("to_height: requires from_height")),
        (Some(from), Some(to)) if to < from => return Err(refuse("to_height: must not be below from_height")),
        _ => {}
    }
    let labels = watch.labels.clone().unwrap_or_default();
    let scan =
        ScanKey::from_str(watch.scan_private_key.expose()).map_err(|e| refuse(&format!("scan_private_key: {e}")))?;
    let spend = PublicKey::from_str(&watch.spend_public_key)
        .ok()
        // The uncompressed form of 65 bytes is valid too, but the contract excludes it.
        .filter(|_| watch.spend_public_key.len() == 66)
        .ok_or_else(|| refuse(SPEND_KEY))?;
    let receiver = Receiver::new(scan, spend, labels.iter().copied()).map_err(|e| refuse(&format!("labels: {e}")))?;
    let mut addresses = HashMap::from([(None, receiver.address(network).to_string())]);
    for label in labels.into_iter().filter(|m| *m != 0) {
        let address = receiver
            .labelled_address(network, label)
            .map_err(|e| refuse(&format!("labels: {e}")))?;
        addresses.insert(Some(label), address.to_string());
    }
    Ok(Keys {
        receiver: scanner.prepare(receiver),
        addresses,
        history,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sdk_relay_bip352::Fast;
    use sdk_relay_protocol::SecretHex;

    use super::*;

    const SECRET: &str = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
    const SPEND: &str = "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";

    fn scanner() -> Scanner {
        Scanner::new(Arc::new(Fast::new()), |_, _| {})
    }

    fn watch(scan: &str, spend: &str, labels: &[u32]) -> Watch {
        Watch {
            scan_private_key: SecretHex::new(scan.to_owned()),
            spend_public_key: spend.to_owned(),
            labels: Some(labels.to_vec()),
            from_height: None,
            to_height: None,
            message_id: Some("m".to_owned()),
        }
    }

    #[test]
    fn keys_make_addresses() {
        let keys = keys(&watch(SECRET, SPEND, &[0, 1, 2]), Network::Main, 10, false, &scanner()).unwrap();
        assert_eq!(keys.addresses.len(), 3);
        assert!(keys.addresses[&None].starts_with("sp1q"));
        assert_ne!(keys.addresses[&Some(1)], keys.addresses[&Some(2)]);
    }

    #[test]
    fn a_watch_that_would_take_much_memory_is_refused_before_it_waits() {
        let long = "0".repeat(1000);
        for (watch, field) in [
            (watch(&long, SPEND, &[]), "scan_private_key"),
            (watch(SECRET, &long, &[]), "spend_public_key"),
            (watch(SECRET, SPEND, &[1; 101]), "labels"),
        ] {
            let refusal = check_sizes(&watch, 100).unwrap_err();
            assert!(refusal.message.starts_with(field), "{}", refusal.message);
            assert_eq!(
                (refusal.code, refusal.in_reply_to.as_deref()),
                (ErrorCode::InvalidField, Some("m"))
            );
        }
        assert_eq!(check_sizes(&watch(SECRET, SPEND, &[1; 100]), 100), Ok(()));
    }

    #[test]
    fn each_invalid_field_is_reported_without_secrets() {
        let mut early = watch(SECRET, SPEND, &[]);
        early.from_height = Some(1);
        let mut late = watch(SECRET, SPEND, &[]);
        late.to_height = Some(1);
        let bad = [
            (watch("5ec2e7", SPEND, &[]), "scan_private_key", ErrorCode::InvalidField),
            (
                watch(&"0".repeat(64), SPEND, &[]),
                "scan_private_key",
                ErrorCode::InvalidField,
            ),
            (watch(SECRET, "02", &[]), "spend_public_key", ErrorCode::InvalidField),
            (
                watch(SECRET, &format!("04{}", "1".repeat(128)), &[]),
                "spend_public_key",
                ErrorCode::InvalidField,
            ),
            (watch(SECRET, SPEND, &[1; 11]), "labels", ErrorCode::InvalidField),
            (early, "from_height", ErrorCode::Unavailable),
            (late, "to_height", ErrorCode::InvalidField),
        ];
        for (watch, field, code) in bad {
            let refusal = keys(&watch, Network::Main, 10, false, &scanner()).unwrap_err();
            assert!(
                refusal.message.contains(field) && !refusal.message.contains("5ec2e7"),
                "{}",
                refusal.message
            );
            assert_eq!((refusal.code, refusal.in_reply_to.as_deref()), (code, Some("m")));
        }
    }
}
