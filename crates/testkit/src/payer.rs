//! A wallet that pays: coins of every eligible kind, silent payments (BIP352) and plain ones, replacements.

mod coin;
mod sign;

use std::collections::{HashMap, VecDeque};

use bitcoin::absolute::LockTime;
use bitcoin::key::TweakedPublicKey;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut};
use sdk_relay_bip352::SilentPaymentAddress;
use sdk_relay_bip352::send::output_keys;

pub use self::coin::{Coin, InputKind};
use crate::node::Bitcoind;

/// Coinbases of [`Payer::funded`]: 200 BTC.
const COINBASES: usize = 4;
/// Coinbases of a node that payers use in turn, each worth 50 BTC up to height 149. For a dozen payers: a node of more
/// would have a chain that takes the relays of the last tests longer to index than a new node takes to start.
const STOCK: usize = 12 * COINBASES;
/// A coinbase can be spent after a hundred further blocks.
const MATURITY: u32 = 100;
/// Coins of each kind that [`Payer::funded`] makes.
const COINS_OF_A_KIND: usize = 25;
/// Value of each of these: enough for any test.
const COIN: Amount = Amount::from_sat(10_000_000);
/// Blocks above these coins: deeper than the reorganisations of tests.
const BURIED: u32 = 10;

/// Outputs of one transaction of [`Payer::split`]: 2,000 of 43 bytes stay below the node's 100 kvB for a standard
/// transaction.
const SPLIT_OUTPUTS: usize = 2000;

/// Satoshis per virtual byte, far above the node's minimum of 1.
const FEE_RATE: u64 = 10;
/// Fee factor of a replacement. BIP125 requires 1 sat/vB more.
const REPLACEMENT: u64 = 2;
/// Virtual bytes of the largest kind of input (P2PKH: 148) and output (P2TR: 43), and of the rest: an upper bound.
const VSIZE: (u64, u64, u64) = (150, 43, 12);
/// Below this an output is dust for some script; change that small goes to the fee.
const DUST: Amount = Amount::from_sat(1000);

/// Recipient of a payment.
#[derive(Clone, Debug)]
pub enum Recipient {
    /// A silent-payment address; each occurrence gets its own output.
    Silent(SilentPaymentAddress, Amount),
    /// Any script.
    Script(ScriptBuf, Amount),
}

impl From<(SilentPaymentAddress, Amount)> for Recipient {
    fn from((address, amount): (SilentPaymentAddress, Amount)) -> Self {
        Recipient::Silent(address, amount)
    }
}

impl From<(ScriptBuf, Amount)> for Recipient {
    fn from((script, amount): (ScriptBuf, Amount)) -> Self {
        Recipient::Script(script, amount)
    }
}

/// Confirmed coins and their keys. It knows only coins that it has created itself; the caller sends the signed
/// transactions.
#[derive(Debug)]
pub struct Payer {
    coins: HashMap<InputKind, VecDeque<Coin>>,
    spent: HashMap<OutPoint, Coin>,
    /// The rest of the coinbases, for further coins.
    treasury: Vec<Coin>,
}

impl Payer {
    /// A payer with 25 confirmed coins of each kind, worth 0.1 BTC each. Mines 115 blocks, or 11 on a node with a stock
    /// of coinbases.
    pub async fn funded(node: &Bitcoind) -> Payer {
        if !node.has_stock() {
            mine_coinbases(node, COINBASES).await;
        }
        let mut payer = Payer {
            coins: HashMap::new(),
            spent: HashMap::new(),
            treasury: node.with_stock(|stock| stock.drain(..COINBASES).collect()),
        };
        let wanted = InputKind::ALL.map(|kind| vec![kind; COINS_OF_A_KIND]).concat();
        payer.split_into(node, &wanted, COIN).await;
        node.mine(BURIED).await;
        payer
    }

    /// Adds `n` confirmed coins of a kind, worth `each`, that do not depend on each other. Mines one block.
    pub async fn split(&mut self, node: &Bitcoind, kind: InputKind, n: usize, each: Amount) {
        self.split_into(node, &vec![kind; n], each).await;
    }

    /// Remaining coins of a kind.
    pub fn coins(&self, kind: InputKind) -> usize {
        self.coins.get(&kind).map_or(0, VecDeque::len)
    }

    /// A signed transaction that spends one coin for each of `kinds`, pays the recipients in their order, with the
    /// change in a last P2WPKH output. It can be replaced (BIP125). Its change is not spent again.
    pub fn pay<R: Into<Recipient> + Clone>(&mut self, kinds: &[InputKind], to: &[R]) -> Transaction {
        let coins: Vec<_> = kinds.iter().map(|kind| self.take(*kind)).collect();
        let to: Vec<_> = to.iter().cloned().map(Into::into).collect();
        let fee = fee(coins.len(), to.len() + 1);
        self.build(&coins, &to, fee)
    }

    /// A transaction with the coins of `tx`, other recipients and twice its fee: which replaces `tx` in the node.
    pub fn replace<R: Into<Recipient> + Clone>(&mut self, tx: &Transaction, to: &[R]) -> Transaction {
        let coins: Vec<_> = tx
            .input
            .iter()
            .map(|input| self.spent[&input.previous_output].clone())
            .collect();
        let paid = sum(coins.iter().map(|coin| coin.txout.value)) - sum(tx.output.iter().map(|out| out.value));
        let to: Vec<_> = to.iter().cloned().map(Into::into).collect();
        let fee = (paid * REPLACEMENT).max(fee(coins.len(), to.len() + 1));
        self.build(&coins, &to, fee)
    }

    /// What a transaction of this payer spends, in the order of its inputs.
    pub fn prevouts(&self, tx: &Transaction) -> Vec<TxOut> {
        let coins = tx.input.iter().map(|input| &self.spent[&input.previous_output]);
        coins.map(|coin| coin.txout.clone()).collect()
    }

    fn take(&mut self, kind: InputKind) -> Coin {
        let coin = self.coins.get_mut(&kind).and_then(VecDeque::pop_front);
        coin.unwrap_or_else(|| panic!("no {kind:?} coin is left: create more with Payer::split"))
    }

    fn build(&mut self, coins: &[Coin], to: &[Recipient], fee: Amount) -> Transaction {
        let silent: Vec<_> = to.iter().filter_map(silent_address).collect();
        let inputs: Vec<_> = coins.iter().map(Coin::bip352_input).collect();
        let keys = match silent.is_empty() {
            true => Vec::new(),
            false => output_keys(&inputs, &silent).unwrap_or_else(|e| panic!("{e}")),
        };
        let mut keys = keys.into_iter();
        let mut output: Vec<_> = to
            .iter()
            .map(|recipient| match recipient {
                Recipient::Silent(_, value) => {
                    let key = TweakedPublicKey::dangerous_assume_tweaked(keys.next().expect("a key for each address"));
                    TxOut {
                        value: *value,
                        script_pubkey: ScriptBuf::new_p2tr_tweaked(key),
                    }
                }
                Recipient::Script(script, value) => TxOut {
                    value: *value,
                    script_pubkey: script.clone(),
                },
            })
            .collect();
        let (have, need) = (
            sum(coins.iter().map(|coin| coin.txout.value)),
            sum(output.iter().map(|out| out.value)) + fee,
        );
        let change = have
            .checked_sub(need)
            .unwrap_or_else(|| panic!("the coins are worth {have}, the payment needs {need}"));
        if change >= DUST {
            output.push(TxOut {
                value: change,
                script_pubkey: Coin::template(InputKind::P2wpkh).script_pubkey(),
            });
        }
        self.spent
            .extend(coins.iter().map(|coin| (coin.outpoint, coin.clone())));
        sign::signed(unsigned(coins, output), coins)
    }

    async fn split_into(&mut self, node: &Bitcoind, kinds: &[InputKind], each: Amount) {
        let mut txs = Vec::new();
        for kinds in kinds.chunks(SPLIT_OUTPUTS) {
            let need = each * kinds.len() as u64 + fee(1, kinds.len() + 1);
            let rich = self.treasury.iter().position(|coin| coin.txout.value >= need + DUST);
            let source = self
                .treasury
                .swap_remove(rich.unwrap_or_else(|| panic!("the treasury has no coin of {need}")));
            let change = Coin::template(InputKind::P2wpkh);
            let made: Vec<_> = kinds.iter().map(|kind| Coin::template(*kind)).collect();
            let mut output: Vec<_> = made.iter().map(|coin| coin.txout_of(each)).collect();
            output.push(change.txout_of(source.txout.value - need));
            let source = [source];
            let tx = sign::signed(unsigned(&source, output), &source);
            self.treasury.extend(change.find_in(&tx));
            for coin in &made {
                self.coins.entry(coin.kind).or_default().extend(coin.find_in(&tx));
            }
            txs.push(tx);
        }
        node.mine_with(&txs).await;
    }
}

impl Bitcoind {
    /// Mines coinbases for many payers, and the blocks after which they can be spent.
    pub(crate) async fn mine_stock(&self) {
        mine_coinbases(self, STOCK).await;
    }

    /// Whether there are coinbases for a payer.
    pub(crate) fn has_stock(&self) -> bool {
        self.with_stock(|stock| stock.len() >= COINBASES)
    }
}

async fn mine_coinbases(node: &Bitcoind, n: usize) {
    let coin = Coin::template(InputKind::P2wpkh);
    let script = coin.script_pubkey();
    let n = u32::try_from(n).expect("a small number");
    for hash in node.mine_to(n, &format!("raw({})", script.to_hex_string())).await {
        let block = node.block(hash).await;
        node.with_stock(|stock| stock.extend(coin.find_in(&block.txdata[0])));
    }
    node.mine(MATURITY).await;
}

fn unsigned(coins: &[Coin], output: Vec<TxOut>) -> Transaction {
    let input = coins.iter().map(|coin| TxIn {
        previous_output: coin.outpoint,
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        ..TxIn::default()
    });
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: input.collect(),
        output,
    }
}

fn silent_address(recipient: &Recipient) -> Option<SilentPaymentAddress> {
    match recipient {
        Recipient::Silent(address, _) => Some(*address),
        Recipient::Script(..) => None,
    }
}

fn fee(inputs: usize, outputs: usize) -> Amount {
    let (input, output, rest) = VSIZE;
    Amount::from_sat(FEE_RATE * (inputs as u64 * input + outputs as u64 * output + rest))
}

fn sum(amounts: impl Iterator<Item = Amount>) -> Amount {
    amounts.sum()
}
