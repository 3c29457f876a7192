//! `blockchain.silentpayments.*`.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use super::{Served, Session};
use crate::args::Args;
use crate::ask::{Ask, Step};
use crate::error::RpcError;
use crate::limits::{MAX_LABELS, SUBSCRIPTION_INTERVAL, SUBSCRIPTIONS_AT_ONCE};
use crate::order::{EarlierScans, Keys, Order, Subscribed};
use crate::reply::{Text, text};
use crate::request::Params;
use crate::start::{self, Start};
use crate::subscription::Subscription;

/// Names of the parameters, of which `unsubscribe` has the first two.
const NAMES: &[&str] = &["scan_private_key", "spend_public_key", "start", "labels"];
const KEYS: &[&str] = &["scan_private_key", "spend_public_key"];

impl Session {
    pub(super) fn subscribe(&mut self, params: Params) -> Result<Step, RpcError> {
        let mut args = Args::new(params, NAMES)?;
        let keys = self.keys(&mut args)?;
        let start = Start::parse(&args.take(2)).ok_or_else(|| args.wrong(2, start::EXPECTED))?;
        let labels = labels(&mut args)?;
        if !self.new_subscriptions.accept_now(Instant::now()) {
            return Err(RpcError::parameter(format!(
                "more than {SUBSCRIPTIONS_AT_ONCE} subscriptions in a short time: one in {} s is allowed; wait, then send it again",
                SUBSCRIPTION_INTERVAL.as_secs()
            )));
        }
        Ok(Step::Ask(Ask::Subscribe(Box::new(Order { keys, start, labels }))))
    }

    pub(super) fn unsubscribe(&self, params: Params) -> Result<Step, RpcError> {
        let mut args = Args::new(params, KEYS)?;
        let keys = self.keys(&mut args)?;
        Ok(Step::Ask(Ask::Unsubscribe(Box::new(keys))))
    }

    fn keys(&self, args: &mut Args) -> Result<Keys, RpcError> {
        if !self.options.takes_keys {
            return Err(RpcError::refused(
                "this connection is not encrypted, and a scan key on it could be read by others: connect to the relay's TLS port \
                 (electrum.tls_listen); its operator can allow plain text with electrum.allow_plaintext",
            ));
        }
        Ok(Keys {
            scan: args.secret(0, "expected 64 hex digits")?,
            spend: args.text(1, "expected a compressed public key, 66 hex digits")?,
        })
    }

    /// The watch of a subscription is registered. Returns the result of the request.
    pub(super) fn subscribed(&mut self, subscribed: Subscribed) -> Text {
        let Subscribed {
            address,
            labels,
            start_height,
            has_earlier,
            watch_id,
        } = subscribed;
        let address: Arc<str> = address.into();
        self.watches += 1;
        let subscription = Subscription::new(&address, &labels, start_height, watch_id.clone(), self.watches);
        let object = subscription.object().to_owned();
        // Messages of a replaced watch are dropped: the new one sends all of them again.
        self.forget_watches(&address);
        let served = Served {
            address: Arc::clone(&address),
            is_earlier: false,
        };
        self.by_watch.insert(watch_id, served);
        self.earlier.begin(&address, has_earlier);
        self.subscriptions.insert(address, subscription);
        self.publish_scans();
        object
    }

    /// Removes a subscription, and what belongs to it.
    fn forget_watches(&mut self, address: &str) -> bool {
        if let Some(watch_id) = self.earlier.end(address) {
            self.by_watch.remove(&watch_id);
        }
        let before = self.subscriptions.remove(address);
        if let Some(before) = &before {
            self.by_watch.remove(&before.watch_id);
        }
        before.is_some()
    }

    /// Watches of the blocks before the start of subscriptions are registered, or not.
    pub(super) fn registered(&mut self, scans: &EarlierScans) {
        for (address, watch_id) in &scans.registered {
            let served = Served {
                address: address.as_str().into(),
                is_earlier: true,
            };
            self.by_watch.insert(watch_id.clone(), served);
        }
        self.earlier.registered(scans);
        self.publish_scans();
    }

    /// The watch of a subscription has ended. Returns the result of the request.
    pub(super) fn unsubscribed(&mut self, address: &str) -> Text {
        if self.forget_watches(address) {
            self.outputs.ended(address);
        }
        self.publish_scans();
        text(address)
    }
}

fn labels(args: &mut Args) -> Result<Vec<u32>, RpcError> {
    const EXPECTED: &str = "expected a list of whole numbers";
    let values = match args.take(3) {
        Value::Null => return Ok(Vec::new()),
        Value::Array(values) => values,
        _ => return Err(args.wrong(3, EXPECTED)),
    };
    // Label 0 may be among them.
    if values.len() > MAX_LABELS + 1 {
        return Err(args.wrong(3, &format!("expected at most {MAX_LABELS}")));
    }
    let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
    let labels: Option<Vec<u32>> = values.iter().map(number).collect();
    labels.ok_or_else(|| args.wrong(3, EXPECTED))
}
