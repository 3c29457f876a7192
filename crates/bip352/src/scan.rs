//! Finds the outputs of a transaction that belong to a receiver (BIP352 "Scanning").

use bitcoin::Amount;
use bitcoin::secp256k1::{Parity, PublicKey, XOnlyPublicKey};

use crate::K_MAX;
use crate::curve::SECP;
use crate::input::{EligibleTx, TaprootOutput};
use crate::keys::{Label, Receiver};
use crate::shared_secret::SharedSecret;
use crate::spend::OutputTweak;

/// Cost of the steps of a scan, in units of 0.1 µs of one core (EPYC, libsecp256k1): `b·T`; `t_k·G` with the addition
/// of `B_spend`; the addition of one label's point; lifting an output's x coordinate (a square root); subtracting `P_k`
/// from a lifted output, for both of its parities.
const SECRET: u64 = 400;
const STEP: u64 = 300;
const ADD: u64 = 24;
const LIFT: u64 = 45;
const SUBTRACT: u64 = 48;

/// An output that is the receiver's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Index of the output in the transaction.
    pub vout: u32,
    /// Its x-only key.
    pub key: [u8; 32],
    /// Its value.
    pub amount: Amount,
    /// Its `k` in the sequence of outputs to this receiver, from 0.
    pub k: u32,
    /// The label that was paid, `None` for the unlabelled address; 0 is change.
    pub label: Option<u32>,
    /// The tweak that turns the spend secret into its secret key ([`crate::spend::secret_key`]).
    pub tweak: OutputTweak,
}

/// Every output of `tx` that is the receiver's, in the order of k; empty for nearly all transactions.
///
/// Outputs with the same key all belong to the receiver, and share their k: the same secret key spends them.
pub fn scan(receiver: &Receiver, tx: &EligibleTx) -> Vec<Match> {
    let mut search = Search::new(receiver, tx);
    search.advance(receiver, tx, u64::MAX)
}

/// Whether the receiver has at least one output of `tx`: the first step of [`scan`].
pub(crate) fn pays(receiver: &Receiver, tx: &EligibleTx) -> bool {
    let mut search = Search::new(receiver, tx);
    !search.advance(receiver, tx, 1).is_empty()
}

/// The scan of one transaction for one receiver, in steps: a transaction of 99 kvB can hold 2,300 outputs of one
/// receiver, and with many labels each of them costs hundreds of microseconds. With several wallets, the caller can
/// serve others in between.
///
/// Every call takes the same receiver and transaction.
pub struct Search {
    secret: Option<SharedSecret>,
    /// Indices of the outputs in the transaction, sorted by key, for cheap look-ups.
    order: Vec<usize>,
    /// Which of them are found, by index in the transaction.
    found: Vec<bool>,
    remaining: usize,
    /// The points of the outputs with an even y, by index in the transaction; computed at the first step that
    /// subtracts.
    lifted: Option<Vec<Option<PublicKey>>>,
    k: u32,
    spent: u64,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").finish_non_exhaustive()
    }
}

impl Search {
    /// A new scan. Computes the shared secret.
    pub fn new(receiver: &Receiver, tx: &EligibleTx) -> Self {
        let mut order: Vec<usize> = (0..tx.outputs.len()).collect();
        order.sort_unstable_by_key(|place| (tx.outputs.get(*place).map(|output| &output.key), *place));
        Self {
            secret: (!tx.outputs.is_empty()).then(|| SharedSecret::new(&tx.tweak, receiver.scan_secret())),
            found: vec![false; order.len()],
            remaining: order.len(),
            order,
            lifted: None,
            k: 0,
            spent: SECRET,
        }
    }

    /// Whether the scan is complete.
    pub fn is_done(&self) -> bool {
        self.secret.is_none()
    }

    /// Estimated cost so far, in units of 0.1 µs of a fast core.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// Continues for at least one step, and until `budget` (in units of [`Search::spent`]) is used up. Returns the
    /// matches of these steps, in the order of k.
    pub fn advance(&mut self, receiver: &Receiver, tx: &EligibleTx, budget: u64) -> Vec<Match> {
        let until = self.spent.saturating_add(budget);
        let mut matches = Vec::new();
        while !self.is_done() {
            let k = self.k;
            let Some((key, label, tweak)) = self.find(receiver, tx) else {
                self.secret = None;
                break;
            };
            for place in self.with_key(tx, &key) {
                let (Some(output), Some(found)) = (tx.outputs.get(place), self.found.get_mut(place)) else {
                    continue;
                };
                self.remaining -= usize::from(!std::mem::replace(found, true));
                matches.push(Match {
                    vout: output.vout,
                    key,
                    amount: output.amount,
                    k,
                    label,
                    tweak: tweak.clone(),
                });
            }
            self.k += 1;
            if self.remaining == 0 || self.k >= K_MAX {
                self.secret = None;
            } else if self.spent >= until {
                break;
            }
        }
        matches
    }

    /// The key, label and tweak of the receiver's k-th output. `None` when there is none, or in the cases of negligible
    /// probability in which BIP352 stops.
    fn find(&mut self, receiver: &Receiver, tx: &EligibleTx) -> Option<([u8; 32], Option<u32>, OutputTweak)> {
        self.spent += STEP;
        let t_k = self.secret.as_ref()?.output_tweak(self.k)?;
        let p_k = receiver.spend_public_key().add_exp_tweak(&SECP, &t_k.into()).ok()?;
        let key = x_only(&p_k);
        if self.first_with_key(tx, &key).is_some() {
            return Some((key, None, OutputTweak::from_bytes(t_k.secret_bytes())));
        }
        // The cheaper method: adding the points of the labels to `P_k`, or subtracting `P_k` from the remaining
        // outputs. The outputs are lifted once for all later steps.
        let lifting = if self.lifted.is_none() { LIFT } else { 0 };
        let adding = receiver.label_points().len() as u64 * ADD;
        let subtracting = self.remaining as u64 * (SUBTRACT + lifting);
        let (key, label) = if adding <= subtracting {
            self.spent += adding;
            self.labelled_by_addition(receiver, tx, &p_k)?
        } else {
            self.spent += subtracting;
            self.labelled_by_subtraction(receiver, tx, &p_k)?
        };
        let tweak = label.add_to(t_k)?;
        Some((key, Some(label.number), OutputTweak::from_bytes(tweak.secret_bytes())))
    }

    /// The first output that is `P_k` plus a label's point. Comparing only x coordinates covers both parities of the
    /// output.
    fn labelled_by_addition<'r>(
        &self,
        receiver: &'r Receiver,
        tx: &EligibleTx,
        p_k: &PublicKey,
    ) -> Option<([u8; 32], &'r Label)> {
        let candidates = receiver.label_points().iter().filter_map(|label| {
            let key = x_only(&p_k.combine(&label.point).ok()?);
            Some((self.first_with_key(tx, &key)?, key, label))
        });
        candidates
            .min_by_key(|(place, ..)| *place)
            .map(|(_, key, label)| (key, label))
    }

    /// The same result for many labels: the first output for which output minus `P_k` is the point of a label. Outputs
    /// off the curve, and already found ones, are skipped.
    fn labelled_by_subtraction<'r>(
        &mut self,
        receiver: &'r Receiver,
        tx: &EligibleTx,
        p_k: &PublicKey,
    ) -> Option<([u8; 32], &'r Label)> {
        let minus_p_k = p_k.negate(&SECP);
        let found = &self.found;
        let lifted = self.lifted.get_or_insert_with(|| {
            let lift = |output: &TaprootOutput| XOnlyPublicKey::from_slice(&output.key).ok();
            let left = tx
                .outputs
                .iter()
                .zip(found)
                .map(|(o, found)| if *found { None } else { lift(o) });
            left.map(|point| point.map(|p| p.public_key(Parity::Even))).collect()
        });
        let left = tx
            .outputs
            .iter()
            .zip(lifted.iter())
            .zip(found)
            .filter(|(_, found)| !**found);
        left.filter_map(|((output, point), _)| Some((output, point.as_ref()?)))
            .find_map(|(output, even)| {
                // The x-only key of the output does not give its parity, so both are tried.
                let label = [*even, even.negate(&SECP)]
                    .into_iter()
                    .find_map(|point| receiver.label_at(&point.combine(&minus_p_k).ok()?))?;
                Some((output.key, label))
            })
    }

    fn first_with_key(&self, tx: &EligibleTx, key: &[u8; 32]) -> Option<usize> {
        self.with_key(tx, key).next()
    }

    /// The indices of the outputs with this key, in order.
    fn with_key(&self, tx: &EligibleTx, key: &[u8; 32]) -> impl Iterator<Item = usize> + use<> {
        let key_at = |place: &usize| tx.outputs.get(*place).map(|output| &output.key);
        let first = self.order.partition_point(|place| key_at(place) < Some(key));
        let same = self
            .order
            .iter()
            .skip(first)
            .take_while(|place| key_at(place) == Some(key));
        same.copied().collect::<Vec<_>>().into_iter()
    }
}

fn x_only(point: &PublicKey) -> [u8; 32] {
    point.x_only_public_key().0.serialize()
}

#[cfg(test)]
mod tests;
