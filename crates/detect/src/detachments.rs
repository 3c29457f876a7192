//! Which connections are attached to detached watches, and when those without one end.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use sdk_relay_protocol::EndReason;
use sdk_relay_scheduler::Owner;
use tokio::time::Instant;

use super::commands::WatchRefused;
use super::detached::{Detach, DetachedLimits, TokenHash};
use super::mailbox::Mailbox;
use super::watch::{Detachment, Watch};

/// The detached watches, by their numbers.
#[derive(Default)]
pub(super) struct Detachments {
    by_address: HashMap<IpAddr, usize>,
    pub(super) count: usize,
    /// The connections that are attached, with their watches.
    pub(super) attached: HashMap<Owner, Attached>,
    /// When the watches without a connection end.
    pub(super) ends: BTreeSet<(Instant, u64)>,
}

pub(super) struct Attached {
    pub(super) mailbox: Mailbox,
    pub(super) watches: BTreeSet<u64>,
}

impl Detachments {
    /// Whether this client may have another one.
    pub(super) fn check(&self, address: IpAddr, limits: DetachedLimits) -> Result<(), WatchRefused> {
        if self.count >= limits.watches {
            return Err(WatchRefused::DetachedFull);
        }
        let of_address = self.by_address.get(&address).copied().unwrap_or_default();
        // All clients of a proxy that is not trusted share a loopback address.
        if of_address >= limits.per_address && !address.to_canonical().is_loopback() {
            return Err(WatchRefused::DetachedOfAddress);
        }
        Ok(())
    }

    /// Adds a watch of this connection, which is attached to it. Returns its own mailbox.
    pub(super) fn add(
        &mut self,
        number: u64,
        id: &str,
        connection: &Mailbox,
        detach: Detach,
        token: TokenHash,
    ) -> (Mailbox, Box<Detachment>) {
        let mailbox = connection.detached(id, detach.wakers);
        mailbox.attach(connection, 0);
        *self.by_address.entry(mailbox.address()).or_default() += 1;
        self.count += 1;
        self.set_attached(number, connection);
        let detachment = Detachment {
            token,
            lasts: Duration::from_secs(detach.seconds.into()),
            ends: None,
        };
        (mailbox, Box::new(detachment))
    }

    /// Removes a watch, and ends its buffer. No effect on a watch of a connection.
    pub(super) fn remove(&mut self, watch: &Watch, reason: EndReason, is_answered: bool) {
        let Some(detachment) = &watch.detached else { return };
        let address = watch.mailbox.address();
        if let Some(of_address) = self.by_address.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                self.by_address.remove(&address);
            }
        }
        self.count -= 1;
        if let Some(connection) = watch.mailbox.attached() {
            self.unset_attached(watch.number, connection.owner());
        }
        if let Some(ends) = detachment.ends {
            self.ends.remove(&(ends, watch.number));
        }
        let reason = watch.mailbox.given_up_reason().unwrap_or(reason);
        watch.mailbox.end(reason, is_answered);
    }

    /// The attached connections that have ended.
    pub(super) fn dead(&self) -> Vec<Mailbox> {
        let attached = self.attached.values().map(|attached| &attached.mailbox);
        attached.filter(|mailbox| mailbox.is_dead()).cloned().collect()
    }

    pub(super) fn set_attached(&mut self, number: u64, connection: &Mailbox) {
        let attached = self.attached.entry(connection.owner()).or_insert_with(|| Attached {
            mailbox: connection.clone(),
            watches: BTreeSet::new(),
        });
        attached.watches.insert(number);
    }

    pub(super) fn unset_attached(&mut self, number: u64, connection: Owner) {
        if let Some(attached) = self.attached.get_mut(&connection) {
            attached.watches.remove(&number);
            if attached.watches.is_empty() {
                self.attached.remove(&connection);
            }
        }
    }
}
