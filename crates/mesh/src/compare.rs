//! Anti-entropy: tables whose digests differ are compared by the hashes of buckets.

use std::time::Duration;

use sdk_relay_mesh_table::LinkId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::NEWCOMER;

/// Comparisons of parts that a link may ask for per interval. Two ends that differ settle it in one or two.
const MAX_COMPARES: u32 = 4;

/// Exchanges with different digests and nothing to tell, until parts are compared. News under way makes digests differ for a moment.
const MISMATCHES: u32 = 2;

/// Intervals between two comparisons, while relays do not answer that nobody here has heard from.
const COMPARED_EVERY: u32 = 2;

impl<K: Keys> Mesh<K> {
    /// The other end has other things in some parts: all of them are told.
    pub(crate) fn tell_differing(&mut self, now: Duration, id: LinkId, buckets: &[u64], digest: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        // Who sends made-up parts would be told everything again and again.
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
            link.soon(now, self.config.interval);
        }
    }

    /// Where both ends have nothing to tell and yet differ, parts are compared; once for each such pair, whatever comes of it.
    pub(crate) fn compare(&mut self, now: Duration, id: LinkId, relays: u16, told: bool) {
        let own = self.table.digest();
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(theirs) = link.digest else { return };
        let no_room = (link.passing && !link.dialled && !link.peer_passing)
            || (link.peer_passing && link.dialled && !link.passing);
        if theirs == own || no_room || link.compared == Some((own, theirs)) {
            link.mismatches = 0;
            return;
        }
        // Over a new link it is settled at once: the ends have never compared.
        let first = link.compared.is_none();
        if first && (relays <= NEWCOMER || self.table.len() <= usize::from(NEWCOMER)) {
            link.compared = Some((own, theirs));
            link.pending.extend(self.table.iter().map(|(slot, _)| slot));
            return;
        }
        // While relays are invented it is never quiet, and what had to make way is not told again.
        let due = self.misses > 0
            && link.pending.is_empty()
            && now.saturating_sub(link.compared_at) >= self.config.interval * COMPARED_EVERY;
        if first || (!told && link.is_quiet()) {
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
