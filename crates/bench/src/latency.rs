//! `latency`: from `sendrawtransaction` to the message at the client, compared with a bare ZMQ subscriber;
//! start-to-ready time; resident memory.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bitcoin::{Amount, Transaction, Txid};
use sdk_relay_bip352::SilentPaymentAddress;
use sdk_relay_client::{Client, ClientEvent, Event, Events, Topic, Watch, protocol::SecretHex};
use serde_json::{Value, json};
use testkit::{Bitcoind, InputKind, Options, Payee, Payer, RelayOptions, RelayProcess, relay_exe};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::report::{Report, Table};
use crate::stats::{Samples, ms, thousandths};
use crate::zmq::RawTx;

/// Warm-up payments of each kind: until the ZMQ subscription takes effect, and connections and caches are warm.
const WARM_UP: usize = 20;
/// Timeout of a warm-up payment: the subscription may not be effective yet.
const WARM_UP_WAIT: Duration = Duration::from_secs(1);
/// Timeout, far above any expected value: the payment is lost, and the bench fails.
const LOST_AFTER: Duration = Duration::from_secs(30);
/// Starts whose median is reported.
const STARTS: usize = 5;
/// Value of a coin, and of a payment.
const COIN: Amount = Amount::from_sat(100_000);
const PAYMENT: Amount = Amount::from_sat(10_000);

/// Time from the node to the client, start, memory.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Payments to a watch, and as many to the relay's own wallet, one after another.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=5000))]
    payments: u16,
}

pub(crate) async fn run(arguments: Arguments) -> Result<Report> {
    let payments = usize::from(arguments.payments);
    let node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    payer
        .split(&node, InputKind::P2wpkh, 2 * (payments + WARM_UP), COIN)
        .await;

    let mut relay = RelayProcess::start(RelayOptions::new(relay_exe()).node(&node)).await;
    let starts = start_times(&mut relay).await?;

    let (client, events) = Client::builder(&relay.ws_url())
        .client_id("bench-latency")
        .topics([Topic::Notifications])
        .connect()
        .await?;
    let payee = Payee::new(&[]);
    client.watch(watch(&payee)).await?;
    let mut listeners = Listeners {
        zmq: RawTx::subscribe(&node.zmq_url()).await?,
        client: Payments::listen(events),
    };
    let wallet = client.relay().silent_payment_address.clone();
    let wallet = wallet.context("the relay has no wallet address")?.parse()?;
    let mut to = [Target::new("watch", payee.address()), Target::new("own wallet", wallet)];

    // Signed in advance: only the node and the relay work during the measurement.
    let mut prepared = Vec::new();
    for _ in 0..WARM_UP + payments {
        prepared.push(
            to.each_ref()
                .map(|t| payer.pay(&[InputKind::P2wpkh], &[(t.address, PAYMENT)])),
        );
    }
    let idle = relay.resident_bytes();
    let (warm_up, counted) = prepared.split_at(WARM_UP);
    for tx in warm_up.iter().flatten() {
        // The first ones may be missed; if the last ones are missed too, the first measured one fails.
        drop(timeout(WARM_UP_WAIT, listeners.measure(&node, tx)).await);
    }
    for txs in counted {
        for (target, tx) in to.iter_mut().zip(txs) {
            let measured = timeout(LOST_AFTER, listeners.measure(&node, tx)).await;
            target.add(measured.with_context(|| format!("a payment to the {} was not reported", target.name))??);
        }
    }
    let after = relay.resident_bytes();
    drop(client);
    relay.terminate().await;
    Report::of(&to, &starts, [idle, after])
}

/// Restarts the relay repeatedly on an up-to-date store; times in milliseconds, with the 10 ms resolution of polling
/// its log.
async fn start_times(relay: &mut RelayProcess) -> Result<Samples> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        relay.terminate().await;
        let start = Instant::now();
        relay.start_again().await;
        times.push(ms(start.elapsed()));
    }
    Samples::new(times).context("no start was measured")
}

fn watch(payee: &Payee) -> Watch {
    Watch::of_keys(SecretHex::new(payee.scan_hex()), payee.spend_public_key().to_string())
}

/// All receivers of a payment.
struct Listeners {
    zmq: RawTx,
    client: Payments,
}

/// Milliseconds from just before the RPC call.
#[derive(Clone, Copy)]
struct Measured {
    zmq: f64,
    client: f64,
}

impl Listeners {
    async fn measure(&mut self, node: &Bitcoind, tx: &Transaction) -> Result<Measured> {
        let txid = tx.compute_txid();
        let sent = Instant::now();
        let (_, zmq, client) = tokio::join!(node.send_raw(tx), self.zmq.arrival(txid), self.client.arrival(txid));
        Ok(Measured {
            zmq: ms(zmq?.duration_since(sent)),
            client: ms(client?.duration_since(sent)),
        })
    }
}

/// The client's `payment_detected`.
struct Payments {
    arrivals: mpsc::Receiver<(String, Instant)>,
}

impl Payments {
    /// Its task ends with the client's events.
    fn listen(mut events: Events) -> Self {
        let (sender, arrivals) = mpsc::channel(1024);
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let at = Instant::now();
                if let ClientEvent::Notification(n) = event
                    && let Event::PaymentDetected(payment) = n.event
                    && sender.send((payment.txid, at)).await.is_err()
                {
                    break;
                }
            }
        });
        Self { arrivals }
    }

    async fn arrival(&mut self, txid: Txid) -> Result<Instant> {
        let txid = txid.to_string();
        while let Some((seen, at)) = self.arrivals.recv().await {
            if seen == txid {
                return Ok(at);
            }
        }
        bail!("the client ended")
    }
}

/// A payee.
struct Target {
    name: &'static str,
    address: SilentPaymentAddress,
    measured: Vec<Measured>,
}

impl Target {
    fn new(name: &'static str, address: SilentPaymentAddress) -> Self {
        Self {
            name,
            address,
            measured: Vec::new(),
        }
    }

    fn add(&mut self, measured: Measured) {
        self.measured.push(measured);
    }

    fn samples(&self, of: impl Fn(&Measured) -> f64) -> Result<Samples> {
        Samples::new(self.measured.iter().map(of).collect()).context("nothing was measured")
    }
}

impl Report {
    fn of(targets: &[Target], starts: &Samples, [idle, after]: [u64; 2]) -> Result<Self> {
        let mut table = Table::new(["milliseconds", "p50", "p90", "p99", "max"]);
        let mut figures = serde_json::Map::new();
        let mut payments = 0;
        for target in targets {
            let zmq = target.samples(|m| m.zmq)?;
            let client = target.samples(|m| m.client)?;
            let later = target.samples(|m| m.client - m.zmq)?;
            for (name, samples) in [("bare ZMQ", &zmq), ("client", &client), ("client after ZMQ", &later)] {
                table = table.row(&format!("{}: {name}", target.name), &samples.summary(), 2);
            }
            payments = later.len();
            figures.insert(target.name.replace(' ', "_"), latencies(&zmq, &client, &later));
        }
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let rest = Table::new(["", "measured", "aim"])
            .row("start to ready, ms (median of 5)", &[starts.percentile(50), 500.0], 0)
            .row("resident memory with one client, MB", &[mb(idle), 30.0], 1)
            .row("the same after all payments, MB", &[mb(after), 30.0], 1);
        figures.insert("bench".into(), "latency".into());
        figures.insert("payments_each".into(), payments.into());
        figures.insert("start_to_ready_ms".into(), starts.json());
        let memory = json!({"one_client": thousandths(mb(idle)), "after_payments": thousandths(mb(after))});
        figures.insert("resident_mb".into(), memory);
        let title = format!(
            "{payments} payments each to a watch and to the relay's own wallet, one after another, on {} cores: \
             from sendrawtransaction until the message arrives",
            std::thread::available_parallelism()?
        );
        Ok(Self {
            title,
            tables: vec![table, rest],
            json: Value::Object(figures),
        })
    }
}

fn latencies(zmq: &Samples, client: &Samples, later: &Samples) -> Value {
    json!({
        "zmq_ms": zmq.json(),
        "client_ms": client.json(),
        "client_after_zmq_ms": later.json(),
        "p99_client_minus_p99_zmq_ms": thousandths(client.percentile(99) - zmq.percentile(99)),
    })
}
