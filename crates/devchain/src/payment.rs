//! Creates the transactions of the wallet.

use std::str::FromStr;

use bitcoin::absolute::LockTime;
use bitcoin::address::NetworkUnchecked;
use bitcoin::key::TweakedPublicKey;
use bitcoin::{Address, Amount, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, transaction};
use sdk_relay_bip352::send::{self, Input};
use sdk_relay_bip352::{Network as Prefix, SilentPaymentAddress};

use super::error::{BadAmount, PayError};
use super::ledger::{Entry, INCREMENTAL_FEE, Ledger, MATURITY};
use super::wallet::{Kind, Wallet};

/// Satoshis per virtual byte: twice the minimum.
const FEE_RATE: u64 = 2;
/// Fee factor of a replacement.
const REPLACEMENT: u64 = 2;
/// Inputs of one payment: below the size that nodes relay, whatever their kinds.
const MAX_INPUTS: usize = 500;
/// Change below this is left to the miner: it would be dust for some kind of output.
const LEAST_CHANGE: Amount = Amount::from_sat(1000);
/// Virtual bytes of a transaction without inputs and outputs, and of an output without its script, from above.
const BARE: u64 = 13;
const OUTPUT: u64 = 10;

/// Recipient of a payment.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Payee {
    Silent(SilentPaymentAddress),
    Script(ScriptBuf),
}

/// A coin that the wallet can spend in the next block.
#[derive(Clone, Debug)]
struct Spendable {
    outpoint: OutPoint,
    txout: TxOut,
    kind: Kind,
    /// Height of its block; for one in the mempool, that of the next block.
    height: u32,
}

impl Payee {
    /// Parses a silent-payment address or a Bitcoin address of regtest.
    pub(super) fn parse(address: &str) -> Result<Self, PayError> {
        let address = address.trim();
        let lower = address.to_ascii_lowercase();
        if ["sp1", "tsp1", "sprt1"].iter().any(|prefix| lower.starts_with(prefix)) {
            let silent: SilentPaymentAddress = address
                .parse()
                .map_err(|e: sdk_relay_bip352::AddressError| PayError::Address(e.to_string()))?;
            return match silent.network {
                Prefix::Regtest => Ok(Self::Silent(silent)),
                Prefix::Main => Err(PayError::WrongNetwork("the main chain")),
                Prefix::Test => Err(PayError::WrongNetwork("a testnet or signet")),
            };
        }
        let unchecked = Address::<NetworkUnchecked>::from_str(address)
            .map_err(|e| PayError::Address(format!("neither a silent-payment address nor a Bitcoin address ({e})")))?;
        if unchecked.is_valid_for_network(Network::Bitcoin) {
            return Err(PayError::WrongNetwork("the main chain"));
        }
        match unchecked.require_network(Network::Regtest) {
            Ok(address) => Ok(Self::Script(address.script_pubkey())),
            Err(_) => Err(PayError::WrongNetwork("a testnet or signet")),
        }
    }

    /// A script of the size of the output script.
    fn sample(&self) -> ScriptBuf {
        match self {
            Self::Silent(address) => silent_script(address.spend.x_only_public_key().0),
            Self::Script(script) => script.clone(),
        }
    }
}

/// Pays `amount`, with the change back to the wallet. The payment is output 0.
pub(super) fn pay(ledger: &Ledger, wallet: &Wallet, payee: &Payee, amount: Amount) -> Result<Transaction, PayError> {
    let sample = payee.sample();
    let least = sample.minimal_non_dust();
    if amount == Amount::ZERO {
        return Err(PayError::Amount(BadAmount::Zero));
    }
    if amount < least {
        return Err(PayError::Amount(BadAmount::Dust { least }));
    }
    let outputs = BARE + 2 * OUTPUT + sample.len() as u64 + wallet.script(Kind::P2tr).len() as u64;
    let (coins, fee) = choose(spendable(ledger, wallet), amount, outputs)?;
    let script_pubkey = match payee {
        Payee::Script(script) => script.clone(),
        Payee::Silent(address) => {
            let inputs: Vec<_> = coins
                .iter()
                .map(|coin| Input {
                    outpoint: coin.outpoint,
                    key: wallet.input_key(&coin.txout.script_pubkey),
                })
                .collect();
            let keys = send::output_keys(&inputs, &[*address]).map_err(|e| PayError::Underivable(e.to_string()))?;
            let key = keys.first().ok_or_else(|| PayError::Underivable("no key".into()))?;
            silent_script(*key)
        }
    };
    let mut output = vec![TxOut {
        value: amount,
        script_pubkey,
    }];
    let have: Amount = coins.iter().map(|coin| coin.txout.value).sum();
    let change = have.checked_sub(amount + fee).unwrap_or_default();
    if let Some(first) = coins.first().filter(|_| change >= LEAST_CHANGE) {
        output.push(TxOut {
            value: change,
            script_pubkey: wallet.script(first.kind),
        });
    }
    let prevouts: Vec<_> = coins.iter().map(|coin| coin.txout.clone()).collect();
    let unsigned = unsigned(coins.iter().map(|coin| coin.outpoint), output);
    // Every coin was found by its script, so the wallet has its key.
    wallet
        .sign(unsigned, &prevouts)
        .ok_or_else(|| PayError::Underivable("a coin has no key".into()))
}

/// Spends the inputs of `old` back to the wallet, at a higher fee. `None` if one of them does not belong to the wallet.
pub(super) fn take_back(ledger: &Ledger, wallet: &Wallet, old: &Entry) -> Option<Transaction> {
    let kinds = old
        .prevouts
        .iter()
        .map(|prevout| wallet.kind_of(&prevout.script_pubkey));
    let kinds: Vec<Kind> = kinds.collect::<Option<_>>()?;
    // The fees of its descendants have to be paid as well.
    let evicted = ledger.descendants(old.tx.compute_txid());
    let paid: Amount = evicted
        .iter()
        .filter_map(|txid| ledger.mempool.get(txid))
        .map(|e| e.fee)
        .sum();
    let script = wallet.script(*kinds.first()?);
    let vsize = BARE + OUTPUT + script.len() as u64 + kinds.iter().map(|kind| kind.vsize()).sum::<u64>();
    let fee = paid * REPLACEMENT + Amount::from_sat(vsize * INCREMENTAL_FEE);
    let have: Amount = old.prevouts.iter().map(|prevout| prevout.value).sum();
    let output = TxOut {
        value: have.checked_sub(fee).unwrap_or_default(),
        script_pubkey: script,
    };
    let outpoints = old.tx.input.iter().map(|input| input.previous_output);
    wallet.sign(unsigned(outpoints, vec![output]), &old.prevouts)
}

/// Balance of coins that can be spent in the next block.
pub(super) fn balance(ledger: &Ledger, wallet: &Wallet) -> Amount {
    spendable(ledger, wallet).iter().map(|coin| coin.txout.value).sum()
}

/// The wallet's mature, unspent coins, oldest first.
fn spendable(ledger: &Ledger, wallet: &Wallet) -> Vec<Spendable> {
    let next = ledger.tip().height + 1;
    let confirmed = ledger
        .coins()
        .filter(|(_, coin)| !coin.coinbase || next - coin.height >= MATURITY)
        .map(|(outpoint, coin)| (*outpoint, &coin.txout, coin.height));
    let waiting = ledger.mempool.in_order().flat_map(|(txid, entry)| {
        let outputs = (0..).zip(&entry.tx.output);
        outputs.map(move |(vout, txout)| (OutPoint { txid: *txid, vout }, txout, next))
    });
    let mut coins: Vec<_> = confirmed
        .chain(waiting)
        .filter(|(outpoint, ..)| ledger.mempool.spender(outpoint).is_none())
        .filter_map(|(outpoint, txout, height)| {
            Some(Spendable {
                outpoint,
                kind: wallet.kind_of(&txout.script_pubkey)?,
                txout: txout.clone(),
                height,
            })
        })
        .collect();
    coins.sort_unstable_by_key(|coin| (coin.height, coin.outpoint));
    coins
}

/// Coins worth `amount` and the fee: the oldest one that is enough, else the largest together. `rest` is the
/// transaction's virtual size without inputs.
fn choose(mut coins: Vec<Spendable>, amount: Amount, rest: u64) -> Result<(Vec<Spendable>, Amount), PayError> {
    let fee = |coins: &[Spendable]| {
        Amount::from_sat((rest + coins.iter().map(|coin| coin.kind.vsize()).sum::<u64>()) * FEE_RATE)
    };
    let enough = |coins: &[Spendable]| {
        let have: Amount = coins.iter().map(|coin| coin.txout.value).sum();
        amount.checked_add(fee(coins)).is_some_and(|need| have >= need)
    };
    if let Some(one) = coins.iter().position(|coin| enough(std::slice::from_ref(coin))) {
        let chosen = vec![coins.swap_remove(one)];
        let fee = fee(&chosen);
        return Ok((chosen, fee));
    }
    coins.sort_by_key(|coin| std::cmp::Reverse(coin.txout.value));
    coins.truncate(MAX_INPUTS);
    // Ignore coins that cost more in fees than their value.
    coins.retain(|coin| coin.txout.value.to_sat() > coin.kind.vsize() * FEE_RATE);
    let most: Amount = coins.iter().map(|coin| coin.txout.value).sum();
    let available = most.checked_sub(fee(&coins)).unwrap_or_default();
    let count = (1..=coins.len()).find(|n| coins.get(..*n).is_some_and(enough));
    let count = count.ok_or(PayError::Amount(BadAmount::TooLarge { available }))?;
    coins.truncate(count);
    let fee = fee(&coins);
    Ok((coins, fee))
}

fn unsigned(outpoints: impl Iterator<Item = OutPoint>, output: Vec<TxOut>) -> Transaction {
    let input = outpoints.map(|previous_output| TxIn {
        previous_output,
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        ..TxIn::default()
    });
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: input.collect(),
        output,
    }
}

fn silent_script(key: bitcoin::XOnlyPublicKey) -> ScriptBuf {
    // BIP352 derives the output's key itself: there is no script path to commit to.
    ScriptBuf::new_p2tr_tweaked(TweakedPublicKey::dangerous_assume_tweaked(key))
}
