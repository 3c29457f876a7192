//! A node, a payer, and their actions around a relay.

use std::time::Duration;

use bitcoin::{Amount, ScriptBuf};
use sdk_relay_bip352::SilentPaymentAddress;
use serde_json::json;
use testkit::{
    Bitcoind, InputKind, Options, Payee, Payer, Recipient, RelayOptions, RelayProcess, eventually, http_get,
};

use super::listener::Listener;
use super::{Sent, World, fold};
use crate::stage::{unowned_script, watching};

/// Long enough for a busy machine; ends a hanging test.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Records the actions on the chain and the mempool of the node, to compare them with the reported events.
pub(crate) struct Scene {
    pub(crate) node: Bitcoind,
    pub(crate) payer: Payer,
    /// The initial state of a relay that starts now.
    pub(crate) start: World,
    pub(crate) sent: Vec<Sent>,
    address: Option<SilentPaymentAddress>,
    /// The keys of the relay's wallet, if the test has them: the relay can then not spend from it.
    pub(crate) wallet: Option<Payee>,
}

impl Scene {
    /// A node with a payer that has coins of every kind.
    pub(crate) async fn new(options: Options) -> Scene {
        // Of its own: most tests restart it.
        let node = Bitcoind::start(options).await;
        let payer = Payer::funded(&node).await;
        let start = World::at_start(&node).await;
        Scene {
            node,
            payer,
            start,
            sent: Vec::new(),
            address: None,
            wallet: None,
        }
    }

    /// A relay that follows the node; always at the same ports.
    pub(crate) fn relay(&self) -> RelayOptions {
        let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
            .node(&self.node)
            .fixed_ports();
        match &self.wallet {
            Some(wallet) => watching(options, wallet),
            None => options,
        }
    }

    /// Sets the wallet to pay.
    pub(crate) async fn meet(&mut self, relay: &RelayProcess) {
        let config = http_get(&format!("{}/config", relay.http_url())).await.json();
        let address = config["silent_payment_address"].as_str().expect("an address");
        self.address = Some(address.parse().unwrap());
    }

    /// Creates a transaction that pays these amounts to the wallet of the relay, in one output each. It is not
    /// broadcast.
    pub(crate) fn payment(&mut self, kinds: &[InputKind], amounts: &[u64]) -> Sent {
        let to: Vec<_> = amounts.iter().map(|sats| self.relays(*sats)).collect();
        Sent::new(self.payer.pay(kinds, &to), amounts)
    }

    /// Pays the relay's wallet: the payment is in the node's mempool.
    pub(crate) async fn pay(&mut self, kinds: &[InputKind], amounts: &[u64]) -> Sent {
        let payment = self.payment(kinds, amounts);
        self.node.send_raw(&payment.tx).await;
        self.sent.push(payment.clone());
        payment
    }

    /// Spends outputs of the relay's wallet, whose keys the test has. The transaction is not broadcast.
    pub(crate) fn spend(&self, of: &Sent, vout: u32, fee: Amount) -> Sent {
        let wallet = self.wallet.as_ref().expect("the keys of the wallet");
        let received = wallet.received(&of.tx, &self.payer.prevouts(&of.tx));
        let output = received.into_iter().filter(|(outpoint, ..)| outpoint.vout == vout);
        let output: Vec<_> = output.collect();
        Sent::spending(wallet.spend_with_fee(&output, unowned_script(), fee))
    }

    /// Pays in a block directly: the payment is never in a mempool.
    pub(crate) async fn pay_into_a_block(&mut self, kinds: &[InputKind], amounts: &[u64]) {
        let payment = self.payment(kinds, amounts);
        self.node.mine_with(std::slice::from_ref(&payment.tx)).await;
        self.sent.push(payment);
    }

    /// Replaces a payment of the mempool by another; without amounts, by one without payments.
    pub(crate) async fn replace(&mut self, old: &Sent, amounts: &[u64]) -> Sent {
        let unpaid = vec![Recipient::Script(ScriptBuf::new_op_return([]), Amount::ZERO)];
        let to = match amounts {
            [] => unpaid,
            some => some.iter().map(|sats| self.relays(*sats)).collect(),
        };
        let new = Sent::new(self.payer.replace(&old.tx, &to), amounts);
        self.node.send_raw(&new.tx).await;
        self.sent.push(new.clone());
        new
    }

    /// Invalidates the last `depth` blocks. The next block that is mined is on another branch.
    pub(crate) async fn forget(&self, depth: u32) {
        let lowest = self.node.height().await + 1 - depth;
        self.node.invalidate(self.node.hash_at(lowest).await).await;
    }

    /// A mix: 2 payments that confirm, 1 unconfirmed, 1 replaced, 1 directly in a block, a reorganisation.
    pub(crate) async fn mixed_activity(&mut self) {
        self.pay(&[InputKind::P2wpkh], &[1_000, 2_000]).await;
        let replaced = self.pay(&[InputKind::P2tr], &[3_000]).await;
        self.replace(&replaced, &[4_000]).await;
        self.node.mine(1).await;
        self.pay_into_a_block(&[InputKind::P2pkh, InputKind::P2tr], &[5_000])
            .await;
        self.forget(1).await;
        self.node.mine(2).await;
        self.pay(&[InputKind::P2shP2wpkh], &[6_000]).await;
    }

    /// Waits until the node has loaded its saved mempool.
    pub(crate) async fn mempool_loaded(&self) {
        eventually(DEADLINE, "the node's mempool", async || {
            let info = self.node.rpc().call("getmempoolinfo", json!([])).await.unwrap();
            info["loaded"].as_bool()?.then_some(())
        })
        .await;
    }

    /// The state of the node.
    pub(crate) async fn truth(&self) -> World {
        World::of(&self.node, self.start.lowest(), &self.sent).await
    }

    /// Waits until the state of the listener equals that of the node; returns it.
    pub(crate) async fn agrees(&self, listener: &Listener) -> World {
        let truth = self.truth().await;
        eventually(DEADLINE, format!("the reported state is {truth:#?}"), async || {
            listener.check();
            (fold(&self.start, &listener.received()) == truth).then_some(())
        })
        .await;
        truth
    }

    fn relays(&self, sats: u64) -> Recipient {
        let address = self.address.expect("the relay's address: meet it first");
        Recipient::Silent(address, Amount::from_sat(sats))
    }
}
