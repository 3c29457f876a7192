//! Counts bytes that the relay buffers for connections, with a bound per connection and one in total.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sdk_relay_scheduler::Owner;

/// Counts bytes of one kind.
#[derive(Debug)]
pub(super) struct Budget {
    /// Largest number of bytes of one connection.
    connection: usize,
    /// Largest number of bytes of all connections.
    all: usize,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    bytes: usize,
    connections: HashMap<Owner, Connection>,
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    bytes: usize,
}

/// Bytes of one connection; released on drop.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    owner: Owner,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(connection: usize, all: usize) -> Arc<Self> {
        Arc::new(Self {
            connection,
            all,
            counted: Mutex::default(),
        })
    }

    /// Starts counting for this connection. Over the total bound, connections of one address are summed.
    pub(super) fn enter(&self, owner: Owner, address: IpAddr) {
        self.lock().connections.insert(owner, Connection { address, bytes: 0 });
    }

    /// Stops counting for this connection. Its bytes are being freed.
    pub(super) fn leave(&self, owner: Owner) {
        self.lock().leave(owner);
    }

    /// Bytes of a connection; 0 if it is not counted.
    pub(super) fn bytes_of(&self, owner: Owner) -> usize {
        self.lock()
            .connections
            .get(&owner)
            .map_or(0, |connection| connection.bytes)
    }

    /// Adds bytes. Returns the connections to drop, which are no longer counted: this one if it exceeds its bound; over
    /// the total bound, the largest of the address with the most bytes.
    #[must_use]
    fn add(&self, owner: Owner, bytes: usize) -> Vec<Owner> {
        let mut counted = self.lock();
        let Some(connection) = counted.connections.get_mut(&owner) else {
            return Vec::new();
        };
        connection.bytes += bytes;
        let is_full = connection.bytes > self.connection;
        counted.bytes += bytes;
        let mut given_up = Vec::new();
        if is_full {
            counted.leave(owner);
            given_up.push(owner);
        }
        while counted.bytes > self.all
            && let Some(largest) = counted.largest()
        {
            counted.leave(largest);
            given_up.push(largest);
        }
        given_up
    }

    /// If there are more bytes than this: the largest connection of the address with the most.
    pub(super) fn largest_beyond(&self, most: usize) -> Option<Owner> {
        let counted = self.lock();
        if counted.bytes > most { counted.largest() } else { None }
    }

    fn give_back(&self, owner: Owner, bytes: usize) {
        let mut counted = self.lock();
        if let Some(connection) = counted.connections.get_mut(&owner) {
            connection.bytes -= bytes;
            counted.bytes -= bytes;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of all connections.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

impl Counted {
    /// The largest connection of the address with the most bytes.
    fn largest(&self) -> Option<Owner> {
        let mut by_address: HashMap<IpAddr, usize> = HashMap::new();
        for connection in self.connections.values() {
            *by_address.entry(connection.address).or_default() += connection.bytes;
        }
        let (address, _) = by_address.into_iter().max_by_key(|(_, bytes)| *bytes)?;
        let of_address = self.connections.iter().filter(|(_, c)| c.address == address);
        of_address.max_by_key(|(_, c)| c.bytes).map(|(owner, _)| *owner)
    }

    fn leave(&mut self, owner: Owner) {
        if let Some(connection) = self.connections.remove(&owner) {
            self.bytes -= connection.bytes;
        }
    }
}

impl Share {
    /// No bytes yet.
    pub(super) fn new(budget: &Arc<Budget>, owner: Owner) -> Self {
        Self {
            budget: Arc::clone(budget),
            owner,
            bytes: 0,
        }
    }

    /// Sets the number of bytes. Returns the connections to drop.
    #[must_use]
    pub(super) fn resize(&mut self, bytes: usize) -> Vec<Owner> {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes > before {
            return self.budget.add(self.owner, bytes - before);
        }
        if bytes < before {
            self.budget.give_back(self.owner, before - bytes);
        }
        Vec::new()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.owner, self.bytes);
    }
}
