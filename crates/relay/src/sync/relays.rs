//! Relays that are connected to this one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Comings and goings of relays that are told and logged, at once and then per interval. Relays are few and stay; without a bound anybody
/// could push every other event out of the log by connecting again and again.
const TOLD_AT_ONCE: u32 = 20;
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// Relays that are connected, by connection.
#[derive(Debug)]
pub struct Relays {
    connected: Mutex<HashMap<u64, String>>,
    told: Option<DefaultDirectRateLimiter>,
}

impl Default for Relays {
    fn default() -> Self {
        let quota = Quota::with_period(TOLD_EVERY)
            .map(|q| q.allow_burst(std::num::NonZeroU32::new(TOLD_AT_ONCE).unwrap_or(std::num::NonZeroU32::MIN)));
        Self {
            connected: Mutex::default(),
            told: quota.map(RateLimiter::direct),
        }
    }
}

/// Whether a text can name a relay.
pub fn is_relay_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

impl Relays {
    /// A relay connected. False when too many have come and gone lately for this one to be told.
    pub fn joined(&self, connection: u64, relay_id: String) -> bool {
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(connection, relay_id);
        let told = self.told.as_ref().is_none_or(|t| t.check().is_ok());
        if !told {
            tracing::warn!("relays connect too often: their coming and going is not told for a while");
        }
        told
    }

    /// Its connection ended.
    pub fn gone(&self, connection: u64) {
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&connection);
    }

    /// Links to other relays now.
    pub fn links(&self) -> u64 {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Relays known, this one included.
    pub fn known(&self) -> u64 {
        let connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        let names: std::collections::HashSet<&String> = connected.values().collect();
        names.len() as u64 + 1
    }
}
