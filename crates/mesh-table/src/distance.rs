//! The distance of a relay: over how many links it was announced. It limits what invented announcements can do: a peer
//! can introduce few relays as its own links, and everything else that it announces is farther away.

/// Distance of a relay that a peer announces as linked to it.
pub const NEAR: u8 = 2;

/// The maximum; also an unknown distance.
pub const FARTHEST: u8 = 15;

/// Relays that one peer may introduce as its own links. Three times the default of `max_links`; what a peer invents
/// beyond it is far for everybody.
pub const MAX_NEAR: usize = 24;

/// The distance from here of a relay that a peer announces at this distance from itself.
pub fn from_announced(announced: Option<u8>) -> u8 {
    announced.map_or(FARTHEST, |announced| announced.saturating_add(1).clamp(NEAR, FARTHEST))
}

/// Rows counted by distance.
#[derive(Clone, Default)]
pub struct Counts([u16; FARTHEST as usize + 1]);

impl Counts {
    /// One more at this distance.
    pub fn add(&mut self, distance: u8) {
        if let Some(count) = self.0.get_mut(usize::from(distance)) {
            *count += 1;
        }
    }

    /// One fewer at this distance.
    pub fn remove(&mut self, distance: u8) {
        if let Some(count) = self.0.get_mut(usize::from(distance)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Rows at this distance.
    pub fn at(&self, distance: u8) -> usize {
        self.0.get(usize::from(distance)).map_or(0, |count| usize::from(*count))
    }

    /// Rows at this distance or nearer.
    pub fn within(&self, distance: u8) -> usize {
        self.0
            .iter()
            .take(usize::from(distance) + 1)
            .map(|count| usize::from(*count))
            .sum()
    }

    /// All rows.
    pub fn all(&self) -> usize {
        self.within(FARTHEST)
    }
}

/// The quota of an introducer, and what it has used of it. Nearer rows replace farther ones.
#[derive(Clone)]
pub struct Allowance {
    quota: usize,
    used: Counts,
}

impl Allowance {
    /// A quota of so many rows.
    pub fn new(quota: usize, used: Counts) -> Self {
        Self { quota, used }
    }

    /// The distance at which one more row is accepted that the peer announces at `announced`; `None` if none is. If the
    /// peer has already introduced [`MAX_NEAR`] relays as its links, further ones count as [`FARTHEST`].
    pub fn distance(&self, announced: u8) -> Option<u8> {
        let distance = match announced <= NEAR && self.used.within(NEAR) >= MAX_NEAR {
            true => FARTHEST,
            false => announced,
        };
        (self.used.within(distance) < self.quota).then_some(distance)
    }

    /// Uses one.
    pub fn take(&mut self, distance: u8) {
        self.used.add(distance);
    }

    /// The farthest announcements are refused.
    pub fn is_used_up(&self) -> bool {
        self.used.all() >= self.quota
    }

    /// A row has to be removed.
    pub fn is_exceeded(&self) -> bool {
        self.used.all() > self.quota
    }
}
