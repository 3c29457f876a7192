//! Anti-entropy: tables whose digests differ are compared by the hashes of buckets.

use std::time::Duration;

use sdk_relay_mesh_table::LinkId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::NEWCOMER;

/// Comparisons of buckets per interval and link. Two tables that differ need one or two.
const MAX_COMPARES: u32 = 4;

/// Exchanges with different digests and nothing to announce before buckets are compared. Announcements in flight make
/// digests differ for a moment.
const MISMATCHES: u32 = 2;

/// Intervals between two comparisons while dials of unproven relays fail.
const COMPARED_EVERY: u32 = 2;

impl<K: Keys> Mesh<K> {
    /// Announces all rows in the buckets that differ.
    pub(crate) fn announce_differing(&mut self, now: Duration, id: LinkId, buckets: &[u64], digest: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        // A peer that sends invented hashes must not trigger all announcements again and again.
        link.compares += 1;
        if link.compares > MAX_COMPARES {
            return;
        }
        let differing = self.table.differing(buckets);
        link.compared = Some((self.table.digest(), digest));
        for slot in differing {
            if let Some(row) = self.table.row_mut(slot) {
                row.known_by &= !link.bit;
                link.pending.insert(slot);
            }
        }
        if !link.pending.is_empty() {
            link.send_soon(now, self.config.interval);
        }
    }

    /// If neither end has anything to announce and the digests differ, buckets are compared; once for each pair of
    /// digests, whatever the result.
    pub(crate) fn compare(&mut self, now: Duration, id: LinkId, relays: u16, announced: bool) {
        let own = self.table.digest();
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(theirs) = link.digest else { return };
        let no_room = (link.passing && !link.dialled && !link.peer_passing)
            || (link.peer_passing && link.dialled && !link.passing);
        if theirs == own || no_room || link.compared == Some((own, theirs)) {
            link.mismatches = 0;
            return;
        }
        // A new link is settled immediately: its ends have never compared.
        let first = link.compared.is_none();
        if first && (relays <= NEWCOMER || self.table.len() <= usize::from(NEWCOMER)) {
            link.compared = Some((own, theirs));
            link.pending.extend(self.table.iter().map(|(slot, _)| slot));
            return;
        }
        // While hostile peers invent relays, the link is never quiet, and evicted rows are not announced again.
        let due = self.unproven_failures > 0
            && link.pending.is_empty()
            && now.saturating_sub(link.compared_at) >= self.config.interval * COMPARED_EVERY;
        if first || (!announced && link.is_quiet()) {
            link.mismatches += 1;
        }
        if first || due || link.mismatches >= MISMATCHES {
            link.mismatches = 0;
            link.compared_at = now;
            link.compared = Some((own, theirs));
            link.send_buckets = true;
        }
    }
}
