//! Random histories keep the invariants.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Pay {
        sats: u64,
        silent: bool,
    },
    Replace(prop::sample::Index),
    Mine(u32),
    Reorg(u32),
    /// The n-th transaction of the chain or the mempool once more, as it is or damaged.
    Broadcast {
        which: prop::sample::Index,
        damaged: bool,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prop_oneof![330..10_000_000u64, 1_000_000_000..40_000_000_000u64], any::<bool>())
            .prop_map(|(sats, silent)| Step::Pay { sats, silent }),
        1 => any::<prop::sample::Index>().prop_map(Step::Replace),
        3 => (1..4u32).prop_map(Step::Mine),
        2 => (1..8u32).prop_map(Step::Reorg),
        2 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(which, damaged)| Step::Broadcast { which, damaged }),
        1 => Just(Step::Reopen),
    ]
}

/// All transactions ever sent, so that they can be sent again.
struct History {
    dir: TempDir,
    /// Empty only while the file is opened again.
    chain: Option<Arc<DevChain>>,
    sent: Vec<Transaction>,
}

impl History {
    fn run(mut self, steps: &[Step]) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for step in steps {
            match step {
                Step::Pay { sats, silent } => {
                    // Too much is a fair answer; anything else is not.
                    let address = match silent {
                        true => any_address(),
                        false => self.own_address(),
                    };
                    match self.chain().pay(&address, Amount::from_sat(*sats)) {
                        Ok(txid) => self.remember(txid),
                        Err(PayError::Amount(BadAmount::TooLarge { .. })) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                Step::Replace(which) => {
                    let txids: Vec<_> = self
                        .chain()
                        .state()
                        .ledger
                        .mempool
                        .in_order()
                        .map(|(txid, _)| *txid)
                        .collect();
                    if !txids.is_empty() {
                        match self.chain().replace(txids[which.index(txids.len())]) {
                            Ok(txid) => self.remember(txid),
                            // An output of some hundred satoshis cannot bear the fee.
                            Err(ReplaceError::Refused(
                                Rejection::Dust | Rejection::InBelowOut | Rejection::InsufficientFee,
                            )) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
                Step::Mine(n) => _ = self.chain().mine(*n).unwrap(),
                Step::Reorg(depth) => _ = self.chain().reorg(*depth).unwrap(),
                Step::Broadcast { which, damaged } if !self.sent.is_empty() => {
                    let mut tx = self.sent[which.index(self.sent.len())].clone();
                    if *damaged {
                        tx.output[0].value -= Amount::from_sat(1);
                    }
                    let taken = runtime.block_on(self.chain().broadcast(&tx));
                    assert!(
                        !(*damaged && taken.is_ok()),
                        "a signature for another transaction was accepted"
                    );
                }
                Step::Broadcast { .. } => {}
                Step::Reopen => self.reopen(),
            }
            self.check();
        }
        self.reopen();
        // In every state, all unconfirmed transactions can be mined.
        self.chain().mine(1).unwrap();
        assert_eq!(self.chain().state().ledger.mempool.len(), 0);
        self.check();
        self.reopen();
    }

    fn chain(&self) -> &DevChain {
        self.chain.as_deref().unwrap()
    }

    fn own_address(&self) -> String {
        let script = self.chain().state().wallet.script(wallet::Kind::P2pkh);
        bitcoin::Address::from_script(&script, bitcoin::Network::Regtest)
            .unwrap()
            .to_string()
    }

    fn remember(&mut self, txid: Txid) {
        let tx = self.chain().state().ledger.mempool.get(&txid).unwrap().tx.clone();
        self.sent.push(tx);
    }

    fn reopen(&mut self) {
        let before = self.chain().state().ledger.clone();
        let wallet = self.chain().state().wallet.payout(0);
        // The lock is released with the last handle.
        drop(self.chain.take());
        self.chain = Some(DevChain::open(self.dir.path()).unwrap());
        assert_eq!(self.chain().state().ledger, before);
        assert_eq!(self.chain().state().wallet.payout(0), wallet);
    }

    fn check(&self) {
        let state = self.chain().state();
        let (ledger, mempool) = (&state.ledger, &state.ledger.mempool);
        // No coins are lost or created: fees go to the coinbase, and no output is unspendable.
        let total: Amount = ledger.coins().map(|(_, coin)| coin.txout.value).sum();
        assert_eq!(total, (1..=ledger.tip().height).map(block::subsidy).sum());
        let mut seen = HashSet::new();
        let mut spent = HashSet::new();
        let (mut count, mut vsize) = (0, 0);
        for (txid, entry) in mempool.in_order() {
            for (input, prevout) in entry.tx.input.iter().zip(&entry.prevouts) {
                let outpoint = input.previous_output;
                assert!(spent.insert(outpoint), "two transactions spend {outpoint}");
                assert_eq!(mempool.spender(&outpoint), Some(*txid));
                assert_eq!(&ledger.coin(&outpoint).unwrap().txout, prevout);
                let confirmed = ledger.coins().any(|(coin, _)| *coin == outpoint);
                assert!(confirmed || seen.contains(&outpoint.txid), "a child before its parent");
            }
            seen.insert(*txid);
            count += 1;
            vsize += entry.tx.vsize() as u64;
        }
        assert_eq!((count, vsize), (mempool.len(), mempool.vsize()));
        // The chain is consistent, and every block can be read back.
        let tip = ledger.tip();
        let stored = state.stored(tip.hash).unwrap();
        assert_eq!(stored.block.block_hash(), tip.hash);
        assert!(stored.block.check_merkle_root() && stored.block.check_witness_commitment());
        assert_eq!(ledger.hash_at(tip.height - 1), Some(stored.block.header.prev_blockhash));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_keeps_the_money_the_order_and_the_file(steps in prop::collection::vec(step(), 1..30)) {
        let (dir, chain) = new_chain();
        History { dir, chain: Some(chain), sent: Vec::new() }.run(&steps);
    }
}
