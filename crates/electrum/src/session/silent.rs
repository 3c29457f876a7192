//! `blockchain.silentpayments.*`.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Role, Served, Session, at_once};
use crate::args::Args;
use crate::ask::{Ask, Step};
use crate::error::RpcError;
use crate::limits::SUBSCRIPTION_INTERVAL;
use crate::order::{EarlierBlocks, EarlierScans, Keys, Order, Subscribed};
use crate::outputs::ScriptHash;
use crate::reply::{Text, text};
use crate::request::{Params, list};
use crate::start::{self, Start};
use crate::subscription::Subscription;

/// Names of the parameters, of which `unsubscribe` has the first two.
const NAMES: &[&str] = &["scan_private_key", "spend_public_key", "start", "labels"];
const KEYS: &[&str] = &["scan_private_key", "spend_public_key"];

impl Session {
    pub(super) fn subscribe(&mut self, params: &Params) -> Result<Step, RpcError> {
        let args = Args::new(params, NAMES)?;
        let keys = self.keys(&args)?;
        let start = args.scalar(2).and_then(|value| Start::parse(&value));
        let start = start.ok_or_else(|| args.wrong(2, start::EXPECTED))?;
        let labels = labels(&args, self.options.max_labels)?;
        if !self.new_subscriptions.accept_now(Instant::now()) {
            return Err(RpcError::parameter(format!(
                "more than {} subscriptions of this connection in a short time (electrum.subscriptions_per_connection): one in \
                 {} s is allowed; wait, then send it again",
                at_once(self.options.max_subscriptions),
                SUBSCRIPTION_INTERVAL.as_secs()
            )));
        }
        Ok(Step::Ask(Ask::Subscribe(Box::new(Order { keys, start, labels }))))
    }

    pub(super) fn unsubscribe(&self, params: &Params) -> Result<Step, RpcError> {
        let args = Args::new(params, KEYS)?;
        let keys = self.keys(&args)?;
        Ok(Step::Ask(Ask::Unsubscribe(Box::new(keys))))
    }

    fn keys(&self, args: &Args<'_>) -> Result<Keys, RpcError> {
        if !self.options.takes_keys {
            return Err(RpcError::refused(
                "this connection is not encrypted, and a scan key on it could be read by others: connect to the relay's TLS port \
                 (electrum.tls_listen); its operator can allow plain text with electrum.allow_plaintext. Whoever could read this connection \
                 can see the payments to this wallet from now on",
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
            earlier,
            watch_id,
        } = subscribed;
        let address: Arc<str> = address.into();
        self.watches += 1;
        let subscription = Subscription::new(&address, &labels, start_height);
        let object = subscription.object().to_owned();
        // The new watch reports again what the one before it has reported.
        self.replace(&address, Role::Main, self.watches);
        if earlier == EarlierBlocks::Nothing {
            self.replace(&address, Role::Earlier, self.watches);
        }
        let served = Served {
            address: Arc::clone(&address),
            role: Role::Main,
            number: self.watches,
        };
        self.by_watch.insert(watch_id, served);
        self.earlier.begin(&address, earlier);
        self.subscriptions.insert(address, subscription);
        self.publish_scans();
        object
    }

    /// The watch with the number `by` takes the place of the one of a subscription that has this role, and of those
    /// that it was to take the place of.
    fn replace(&mut self, address: &str, role: Role, by: u64) {
        let mut of_address = self.by_watch.values_mut().filter(|served| &*served.address == address);
        let Some(before) = of_address.find(|served| served.role == role) else {
            return;
        };
        before.role = Role::Replaced(by);
        let before = before.number;
        let served = self.by_watch.values_mut();
        for served in served.filter(|served| served.role == Role::Replaced(before)) {
            served.role = Role::Replaced(by);
        }
    }

    /// Watches of the blocks before the start of subscriptions are registered, or not.
    pub(super) fn registered(&mut self, scans: &EarlierScans) {
        for (address, watch_id) in &scans.registered {
            self.watches += 1;
            self.replace(address, Role::Earlier, self.watches);
            let served = Served {
                address: address.as_str().into(),
                role: Role::Earlier,
                number: self.watches,
            };
            self.by_watch.insert(watch_id.clone(), served);
        }
        self.earlier.registered(scans);
        self.publish_scans();
    }

    /// The watch of a subscription has ended. Returns the result of the request.
    pub(super) fn unsubscribed(&mut self, address: &str) -> Text {
        if self.subscriptions.remove(address).is_some() {
            self.by_watch.retain(|_, served| &*served.address != address);
            self.earlier.end(address);
            let held = self.emptied.iter().filter(|(_, emptied)| &*emptied.address == address);
            let held: Vec<ScriptHash> = held.map(|(script, _)| *script).collect();
            // Nothing is notified of what is not followed any more.
            for script in held.into_iter().chain(self.outputs.ended(address)) {
                self.changed.remove(&script);
                self.emptied.remove(&script);
            }
        }
        self.publish_scans();
        text(address)
    }
}

fn labels(args: &Args<'_>, most: usize) -> Result<Vec<u32>, RpcError> {
    const EXPECTED: &str = "expected a list of whole numbers from 0 to 4294967295";
    let Some(text) = args.get(3) else {
        return Ok(Vec::new());
    };
    if !text.starts_with('[') {
        return Err(args.wrong(3, EXPECTED));
    }
    // Label 0 may be among them.
    let values = list(text, most.saturating_add(1)).ok_or_else(|| {
        args.wrong(
            3,
            &format!("expected at most {most} (electrum.labels_per_subscription)"),
        )
    })?;
    let labels: Result<_, _> = values.iter().map(|value| serde_json::from_str(value.get())).collect();
    labels.map_err(|_| args.wrong(3, EXPECTED))
}
