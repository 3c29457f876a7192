//! Which outputs of a transaction are a receiver's (BIP352 "Scanning").

use bitcoin::Amount;
use bitcoin::secp256k1::{Parity, PublicKey, XOnlyPublicKey};

use crate::K_MAX;
use crate::curve::SECP;
use crate::input::{EligibleTx, TaprootOutput};
use crate::keys::{Label, Receiver};
use crate::shared_secret::SharedSecret;
use crate::spend::OutputTweak;

/// Up to so many labels for each output it is cheaper to add the labels' points to `P_k` than to subtract `P_k` from the outputs.
/// Adding costs one point addition for each label (2.4 µs); subtracting costs a square root and two additions for each output (9 µs).
const LABELS_PER_OUTPUT: usize = 4;

/// An output that is the receiver's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Index of the output in the transaction.
    pub vout: u32,
    /// Its x-only key.
    pub key: [u8; 32],
    /// Its value.
    pub amount: Amount,
    /// Its place in the sender's count for this receiver, from 0.
    pub k: u32,
    /// The label that was paid, `None` for the unlabelled address; 0 is change.
    pub label: Option<u32>,
    /// What makes its secret key from the spend secret ([`crate::spend::secret_key`]).
    pub tweak: OutputTweak,
}

/// Every output of `tx` that is the receiver's, in the order of k; empty for nearly all transactions.
///
/// Outputs that carry the same key are the receiver's together and share their k: whoever can spend one can spend all.
pub fn scan(receiver: &Receiver, tx: &EligibleTx) -> Vec<Match> {
    let mut matches = Vec::new();
    if tx.outputs.is_empty() {
        return matches;
    }
    let secret = SharedSecret::new(&tx.tweak, receiver.scan_secret());
    let outputs = Outputs::new(&tx.outputs);
    for k in 0..K_MAX {
        let Some((key, label, tweak)) = find(receiver, &outputs, &secret, k) else {
            break;
        };
        matches.extend(outputs.with_key(&key).map(|(_, output)| Match {
            vout: output.vout,
            key,
            amount: output.amount,
            k,
            label,
            tweak: tweak.clone(),
        }));
        if matches.len() >= tx.outputs.len() {
            break;
        }
    }
    matches
}

/// The key, label and tweak of the receiver's k-th output. `None` when there is none, or in the cases of negligible probability in which
/// BIP352 stops.
fn find(
    receiver: &Receiver,
    outputs: &Outputs<'_>,
    secret: &SharedSecret,
    k: u32,
) -> Option<([u8; 32], Option<u32>, OutputTweak)> {
    let t_k = secret.output_tweak(k)?;
    let p_k = receiver.spend_public_key().add_exp_tweak(&SECP, &t_k.into()).ok()?;
    let key = x_only(&p_k);
    if outputs.contains(&key) {
        return Some((key, None, OutputTweak::from_bytes(t_k.secret_bytes())));
    }
    let (key, label) = if receiver.label_points().len() <= LABELS_PER_OUTPUT * outputs.0.len() {
        labelled_by_addition(receiver, outputs, &p_k)?
    } else {
        labelled_by_subtraction(receiver, outputs, &p_k)?
    };
    let tweak = label.add_to(t_k)?;
    Some((key, Some(label.number), OutputTweak::from_bytes(tweak.secret_bytes())))
}

/// The first output that is `P_k` plus a label's point. Comparing x coordinates alone answers for both parities of the output.
fn labelled_by_addition<'r>(
    receiver: &'r Receiver,
    outputs: &Outputs<'_>,
    p_k: &PublicKey,
) -> Option<([u8; 32], &'r Label)> {
    let candidates = receiver.label_points().iter().filter_map(|label| {
        let key = x_only(&p_k.combine(&label.point).ok()?);
        let (position, _) = outputs.with_key(&key).next()?;
        Some((position, key, label))
    });
    candidates
        .min_by_key(|(position, ..)| *position)
        .map(|(_, key, label)| (key, label))
}

/// The same answer for many labels: the first output which, less `P_k`, is a label's point. Outputs off the curve are nobody's.
fn labelled_by_subtraction<'r>(
    receiver: &'r Receiver,
    outputs: &Outputs<'_>,
    p_k: &PublicKey,
) -> Option<([u8; 32], &'r Label)> {
    let minus_p_k = p_k.negate(&SECP);
    let candidates = outputs.0.iter().filter_map(|(position, output)| {
        let lifted = XOnlyPublicKey::from_slice(&output.key).ok()?;
        let label = [Parity::Even, Parity::Odd].into_iter().find_map(|parity| {
            // The output's x-only key says nothing of its parity, so that both are tried.
            receiver.label_at(&lifted.public_key(parity).combine(&minus_p_k).ok()?)
        })?;
        Some((*position, output.key, label))
    });
    candidates
        .min_by_key(|(position, ..)| *position)
        .map(|(_, key, label)| (key, label))
}

/// A transaction's outputs ordered by key, each with its place in the transaction, so that a look-up stays cheap however many there are.
struct Outputs<'a>(Vec<(usize, &'a TaprootOutput)>);

impl<'a> Outputs<'a> {
    fn new(outputs: &'a [TaprootOutput]) -> Self {
        let mut outputs: Vec<_> = outputs.iter().enumerate().collect();
        outputs.sort_unstable_by_key(|(position, output)| (&output.key, *position));
        Self(outputs)
    }

    fn contains(&self, key: &[u8; 32]) -> bool {
        self.0.binary_search_by(|(_, output)| output.key.cmp(key)).is_ok()
    }

    /// In the transaction's order.
    fn with_key(&self, key: &[u8; 32]) -> impl Iterator<Item = (usize, &'a TaprootOutput)> + '_ {
        let first = self.0.partition_point(|(_, output)| output.key < *key);
        let key = *key;
        self.0
            .iter()
            .skip(first)
            .copied()
            .take_while(move |(_, output)| output.key == key)
    }
}

fn x_only(point: &PublicKey) -> [u8; 32] {
    point.x_only_public_key().0.serialize()
}

#[cfg(test)]
mod tests;
