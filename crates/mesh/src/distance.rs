//! How far a relay is: over how many links' words it is known. The distance bounds what lies can do: a peer can have only a few relays taken for its own links,
//! and what it tells of others is farther than that.

use crate::limits::MAX_NEAR;

/// A relay that a peer tells of as linked to it.
pub(crate) const NEAR: u8 = 2;

/// As far as that, or unknown.
pub(crate) const FARTHEST: u8 = 15;

/// What the other end of a link says is as far from it is one farther from here.
pub(crate) fn told(claimed: Option<u8>) -> u8 {
    claimed.map_or(FARTHEST, |claimed| claimed.saturating_add(1).clamp(NEAR, FARTHEST))
}

/// Rows by distance.
#[derive(Clone, Default)]
pub(crate) struct Counts([u16; FARTHEST as usize + 1]);

impl Counts {
    pub(crate) fn add(&mut self, distance: u8) {
        if let Some(count) = self.0.get_mut(usize::from(distance)) {
            *count += 1;
        }
    }

    pub(crate) fn remove(&mut self, distance: u8) {
        if let Some(count) = self.0.get_mut(usize::from(distance)) {
            *count = count.saturating_sub(1);
        }
    }

    pub(crate) fn at(&self, distance: u8) -> usize {
        self.0.get(usize::from(distance)).map_or(0, |count| usize::from(*count))
    }

    /// As far as this, and nearer.
    pub(crate) fn within(&self, distance: u8) -> usize {
        self.0
            .iter()
            .take(usize::from(distance) + 1)
            .map(|count| usize::from(*count))
            .sum()
    }

    pub(crate) fn all(&self) -> usize {
        self.within(FARTHEST)
    }
}

/// What a peer may introduce: so many, the nearer ones in place of the farther ones.
#[derive(Clone)]
pub(crate) struct Allowance {
    quota: usize,
    used: Counts,
}

impl Allowance {
    pub(crate) fn new(quota: usize, used: Counts) -> Self {
        Self { quota, used }
    }

    /// The distance at which one more is taken that the peer says is as far as this; `None`: none is. Where the peer has introduced as many of its links as one
    /// has, further ones are as far as what nobody knows.
    pub(crate) fn distance(&self, told: u8) -> Option<u8> {
        let distance = match told <= NEAR && self.used.within(NEAR) >= MAX_NEAR {
            true => FARTHEST,
            false => told,
        };
        (self.used.within(distance) < self.quota).then_some(distance)
    }

    /// One is taken.
    pub(crate) fn take(&mut self, distance: u8) {
        self.used.add(distance);
    }

    /// Something is refused.
    pub(crate) fn is_used_up(&self) -> bool {
        self.used.all() >= self.quota
    }

    /// Others make way for what was taken last.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.used.all() > self.quota
    }
}
