//! Bytes that the relay keeps for connections: counted, and bounded for each connection and for all together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sdk_relay_scheduler::Owner;

/// Counts bytes of one kind.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes of one connection at most.
    connection: usize,
    /// Bytes of all connections at most.
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

/// Bytes of one connection; dropping it gives them back.
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

    /// Counts for this connection from now on. Connections of one address count together where all have too much.
    pub(super) fn enter(&self, owner: Owner, address: IpAddr) {
        self.lock().connections.insert(owner, Connection { address, bytes: 0 });
    }

    /// Counts for this connection no longer. What it has is on its way to be freed.
    pub(super) fn leave(&self, owner: Owner) {
        self.lock().leave(owner);
    }

    /// Bytes of a connection; none where it is not counted.
    pub(super) fn bytes_of(&self, owner: Owner) -> usize {
        self.lock()
            .connections
            .get(&owner)
            .map_or(0, |connection| connection.bytes)
    }

    /// Counts bytes. Gives the connections that have to be given up for it, which are not counted any more: this one
    /// where it has too much, and where all have too much the largest of the address with the most bytes.
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

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

impl Counted {
    /// Of the address with the most bytes.
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

    /// Counts so many bytes from now on. Gives the connections that have to be given up for it.
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
