//! Names that two keys claim: settled by dialling.

use std::collections::BTreeMap;
use std::time::Duration;

use sdk_relay_mesh_table::{Claim, LinkId, Slot};

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::MAX_CLAIMS;

impl<K: Keys> Mesh<K> {
    /// Another key claims the name of a relay that is known from hearsay only: it is dialled, and loses the name if it
    /// does not answer. The claim is kept until then.
    pub(crate) fn contest(&mut self, now: Duration, slot: Slot, claim: Option<Claim>) {
        let Some(row) = self.table.row_mut(slot) else { return };
        if row.is_hearsay() && row.link().is_none() {
            let local = row.local();
            local.contested = true;
            local.claim = local.claim.take().or(claim);
            self.table.contested.insert(slot);
            self.settle_claims(now);
        }
    }

    /// A peer sent an entry with another key for a name. A few claims per link are kept, the nearest: each costs a
    /// dial, and claims can be invented.
    pub(crate) fn claim(&mut self, now: Duration, slot: Slot, claim: Claim) {
        let open = self.claims().into_iter().filter(|(_, link, _)| *link == claim.link);
        let open: Vec<(Slot, u8)> = open.map(|(slot, _, distance)| (slot, distance)).collect();
        if open.len() >= MAX_CLAIMS {
            let farthest = open.into_iter().max_by_key(|(_, distance)| *distance);
            let Some((farthest, _)) = farthest.filter(|(_, distance)| *distance > claim.distance) else {
                return;
            };
            self.uncontest(farthest);
        }
        self.contest(now, slot, Some(claim));
    }

    /// The name is no longer contested.
    pub(crate) fn uncontest(&mut self, slot: Slot) {
        if self.table.contested.remove(&slot)
            && let Some(local) = self.table.row_mut(slot).and_then(|row| row.local.as_mut())
        {
            (local.contested, local.claim) = (false, None);
        }
    }

    /// Open claims: contested row, link of the claim, and distance.
    pub(crate) fn claims(&self) -> Vec<(Slot, LinkId, u8)> {
        let claims = self.table.contested.iter().filter_map(|slot| {
            let claim = self.table.row(*slot)?.local.as_ref()?.claim.as_ref()?;
            Some((*slot, claim.link, claim.distance))
        });
        claims.collect()
    }

    /// A relay from hearsay whose name another key claims.
    pub(crate) fn is_contested(&self, slot: Slot) -> bool {
        self.table.row(slot).is_some_and(|row| {
            let contested = row.local.as_ref().is_some_and(|local| local.contested);
            contested && row.is_hearsay() && row.link().is_none()
        })
    }

    /// Dials relays whose names are contested, up to [`MAX_CONTESTED_DIALS`](crate::limits::MAX_CONTESTED_DIALS): first
    /// for relays that connected to claim their names, then for links of whose claims none was dialled for an interval,
    /// then one claim of each link, a second of each, and so on, the nearest first. So near claims are settled early,
    /// and no number of them delays the claims of another link for long.
    pub(crate) fn settle_claims(&mut self, now: Duration) {
        let mut contested: Vec<(usize, u8, Slot, Option<LinkId>)> = Vec::new();
        for slot in &self.table.contested {
            let row = self.table.row(*slot).filter(|row| row.is_hearsay());
            let local = row.and_then(|row| row.local.as_ref());
            if local.is_some_and(|local| local.contested && local.claim.is_none()) {
                contested.push((0, 0, *slot, None));
            }
        }
        let mut claims = self.claims();
        claims.sort_by_key(|(_, _, distance)| *distance);
        let mut of_link: BTreeMap<LinkId, usize> = BTreeMap::new();
        for (slot, link, distance) in claims {
            let turn = of_link.entry(link).or_default();
            *turn += 1;
            let dialled = self.links.get(&link).map_or(now, |link| link.claim_dialled);
            let waited = *turn == 1 && now.saturating_sub(dialled) >= self.config.interval;
            contested.push((if waited { 0 } else { *turn }, distance, slot, Some(link)));
        }
        contested.sort_unstable();
        for (_, _, slot, link) in contested {
            if self.dial_row(now, slot, true)
                && let Some(link) = link.and_then(|id| self.links.get_mut(&id))
            {
                link.claim_dialled = now;
            }
        }
    }

    /// The claims of a link end with it: the claimed entries could not be learned any more, and would block the claims
    /// of other links. The other links are asked for the names instead.
    pub(crate) fn drop_claims(&mut self, now: Duration, id: LinkId) {
        let claims = self.claims().into_iter().filter(|(_, link, _)| *link == id);
        let slots: Vec<Slot> = claims.map(|(slot, ..)| slot).collect();
        for slot in slots {
            self.uncontest(slot);
            if let Some(row) = self.table.row(slot) {
                let (name, distance) = (row.entry.relay_id.clone(), self.distance(slot, row));
                self.ask_all(now, &name, distance);
            }
        }
    }
}
