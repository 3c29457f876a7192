//! Every example of `docs/API.md`, run against a relay on a real node, top to bottom.

use std::collections::{BTreeSet, HashMap};

use bitcoin::Amount;
use bitcoin::consensus::encode::serialize_hex;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use testkit::{
    Bitcoind, HttpReply, InputKind, Options, Payer, Recipient, RelayOptions, RelayProcess, eventually, http_get,
    http_send,
};
use tokio::time::timeout;

use crate::samples::page::{Act, Example, examples};
use crate::webhooks::receiver::Receiver;
use crate::webhooks::with_webhook;
use crate::wire::json::{Json, departures};
use crate::wire::{DEADLINE, Wire};

/// Top-level fields whose values are compared, not only their types: they follow from the request.
const EXACT: [&str; 8] = [
    "type",
    "status",
    "subscriptions",
    "message",
    "changes",
    "detail",
    "errors",
    "sync_types",
];
/// Fields that may be null where the example has a value, or vice versa.
const MAY_BE_NULL: [&str; 23] = [
    "estimates.sat_per_vbyte",
    "webhooks.failing_since",
    "webhooks.next_attempt",
    "webhook.failing_since",
    "webhook.next_attempt",
    "webhook.replay",
    "events.client_ms",
    "events.total_ms",
    "resume",
    "data.fee",
    "data.fee_sats",
    "data.block_height",
    "data.block_hash",
    "data.replaced_by",
    "payload.health.network_latency",
    "payload.health.last_error",
    "payload.metrics.avg_latency",
    "payload.metrics.success_rate",
    "sync_metrics.avg_latency",
    "sync_metrics.success_rate",
    "relays.metrics.avg_latency",
    "in_reply_to",
    "expires_at",
];

#[tokio::test]
async fn every_example_of_the_page_matches_the_relay() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/API.md")).unwrap();
    let all = examples(&page);
    let mut stage = Stage::new().await;
    // A restart ends the connection, so it is last.
    let (last, first): (Vec<_>, Vec<_>) = all
        .iter()
        .partition(|e| e.act == Act::Answer("POST /restart".to_owned()));
    for example in first {
        stage.run(example).await;
    }
    stage.nothing_is_without_example(&all).await;
    for example in last {
        stage.run(example).await;
    }
}

struct Stage {
    node: Bitcoind,
    payer: Payer,
    relay: RelayProcess,
    /// The endpoint of its webhook.
    endpoint: Receiver,
    own: String,
    client: Option<Wire>,
    /// The last body for each `METHOD path`.
    bodies: HashMap<String, Value>,
    sync_id: String,
    watch_id: String,
    /// Of the detached watch.
    watch_token: String,
    watch_address: String,
    other: Option<Wire>,
    /// A relay that is linked to this one.
    linked: Option<RelayProcess>,
    paid_in: Option<u32>,
    /// The newest event before the last triggered one: events repeated on a resume are older.
    before: u64,
}

impl Stage {
    async fn new() -> Stage {
        let node = Options {
            wallet: true,
            ..Options::default()
        };
        // Of its own: it gets a wallet.
        let node = Bitcoind::start(node).await;
        let payer = Payer::funded(&node).await;
        let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
            .node(&node)
            .in_mesh()
            .set("RELAY_ID", "relay-1")
            .set("DEV_MODE", "true")
            .set("BITCOIN_CORE__WALLET", "faucet")
            .set("WALLET__CONFIRM_AT", "1")
            // So that few payments fill the buffer of a detached watch.
            .set("LIMITS__DETACHED_MATCHES", "2")
            .set("LOG__LEVEL", "info");
        let endpoint = Receiver::start().await;
        let options = with_webhook(options, "SHOP", &endpoint.url);
        let relay = RelayProcess::start(options).await;
        let config = http_get(&format!("{}/config", relay.http_url())).await.json();
        let stage = Stage {
            own: config["silent_payment_address"].as_str().unwrap().to_owned(),
            node,
            payer,
            relay,
            endpoint,
            client: None,
            bodies: HashMap::new(),
            sync_id: String::new(),
            watch_id: String::new(),
            watch_token: String::new(),
            watch_address: String::new(),
            other: None,
            linked: None,
            paid_in: None,
            before: 0,
        };
        // Coins for the wallet that `/dev/pay` pays from: the first can be spent after a hundred blocks more.
        let mined = stage.http("POST", "/dev/mine", Some(&json!({"blocks": 101}))).await;
        assert_eq!(mined.status, 200, "{}", mined.text());
        eventually(DEADLINE, "the node's figures", async || {
            let metrics = http_get(&format!("{}/metrics", stage.relay.http_url())).await.json();
            let unknown = |part: &str| metrics[part].as_object().unwrap().values().any(Value::is_null);
            // From now on, only the examples cause events.
            let caught_up = metrics["relay_metrics"]["tip_height"] == stage.node.height().await;
            (caught_up && !unknown("bitcoin_metrics") && !unknown("system_metrics")).then_some(())
        })
        .await;
        stage
    }

    async fn run(&mut self, example: &Example) {
        match &example.act {
            Act::Send => {
                let message = self.filled(example);
                self.send(message).await;
            }
            Act::Receive => self.receive(example).await,
            Act::Request(target) => {
                let body = self.filled(example);
                self.bodies.insert(target.clone(), body);
            }
            Act::Answer(target) => {
                let reply = self.request(target).await;
                assert_eq!(reply.status, 200, "line {}: {}", example.line, reply.text());
                if target == "POST /sync/force" {
                    self.sync_id = reply.json()["sync_id"].as_str().unwrap().to_owned();
                }
                compare(example, reply.text());
            }
            Act::Refused(target) => {
                let reply = self.request(target).await;
                assert!(
                    reply.status.is_client_error(),
                    "line {}: {}",
                    example.line,
                    reply.text()
                );
                assert_eq!(reply.headers["content-type"], "application/problem+json");
                compare(example, reply.text());
            }
        }
    }

    /// The JSON of the example, with omitted and unknown values filled in.
    fn filled(&mut self, example: &Example) -> Value {
        let mut text = example
            .text
            .replace("sprt1q…", &self.own)
            .replace("watch-1", &self.watch_id)
            .replace("4f6e…", &self.watch_token);
        if text.contains("0200…") {
            let to = [Recipient::Silent(self.own.parse().unwrap(), Amount::from_sat(100_000))];
            text = text.replace("0200…", &serialize_hex(&self.payer.pay(&[InputKind::P2wpkh], &to)));
        }
        assert!(!text.contains('…'), "line {}: {text}", example.line);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("line {}: {e}", example.line))
    }

    async fn send(&mut self, message: Value) {
        if message["type"] == "handshake" {
            self.client = Some(Wire::open(&self.relay.ws_url()).await);
        }
        self.client().send(message).await;
    }

    fn client(&mut self) -> &mut Wire {
        self.client.as_mut().expect("a handshake before")
    }

    async fn receive(&mut self, example: &Example) {
        let expected: Value = serde_json::from_str(&example.text).unwrap();
        let is_of_detached = expected.get("watch_seq").is_some();
        match (expected["type"].as_str(), expected["notification_type"].as_str()) {
            (_, Some(_)) if is_of_detached => self.pay_the_watch().await,
            (_, Some(kind)) => self.trigger(kind).await,
            (Some("watch_ended"), None) => self.attach_elsewhere().await,
            (Some("watch_gap"), None) => self.lose_a_match().await,
            _ => {}
        }
        let before = self.before;
        let same = |message: &Value| {
            let is_new = message["event_id"].as_u64().is_none_or(|id| id > before);
            let is_new = is_new && message.get("watch_seq").is_some() == is_of_detached;
            let kind = ["type", "notification_type", "sync_type"];
            is_new && kind.iter().all(|key| message[key] == expected[key])
        };
        // Reports come every few seconds: one deadline for the message, not one for each other message.
        let mut passed_over = Vec::new();
        let found = timeout(DEADLINE, async {
            loop {
                let text = self.client().receive_text().await;
                let message: Value = serde_json::from_str(&text).unwrap();
                if same(&message) {
                    break (message, text);
                }
                passed_over.push(text);
            }
        });
        let found = found.await;
        let (message, text) = found.unwrap_or_else(|_| {
            panic!(
                "docs/API.md, line {}: never came; what did: {passed_over:#?}",
                example.line
            );
        });
        if let Some(watch_id) = message["watch_id"].as_str() {
            self.watch_id = watch_id.to_owned();
        }
        if let Some(token) = message["watch_token"].as_str() {
            self.watch_token = token.to_owned();
            self.watch_address = message["address"].as_str().unwrap().to_owned();
        }
        compare(example, &text);
    }

    /// Pays the detached watch.
    async fn pay_the_watch(&mut self) {
        let to = [Recipient::Silent(
            self.watch_address.parse().unwrap(),
            Amount::from_sat(100_000),
        )];
        let tx = self.payer.pay(&[InputKind::P2wpkh], &to);
        self.node.send_raw(&tx).await;
    }

    fn attach(&self, after: u64) -> Value {
        json!({"type": "attach", "watch_id": self.watch_id, "watch_token": self.watch_token, "after": after})
    }

    /// Another connection attaches to the detached watch.
    async fn attach_elsewhere(&mut self) {
        let mut elsewhere = Wire::connect(&self.relay.ws_url(), &[]).await;
        let attached = elsewhere.request(self.attach(1)).await;
        assert_eq!(attached["type"], "attach_response", "{attached}");
        self.other = Some(elsewhere);
    }

    /// Nobody is attached while more is found than the buffer has room for; then the client attaches.
    async fn lose_a_match(&mut self) {
        self.other = None;
        let state = async |stage: &Self| {
            stage
                .http("GET", &format!("/watches/{}", stage.watch_id), None)
                .await
                .json()
        };
        eventually(DEADLINE, "the end of the other connection", async || {
            (state(self).await["attached"] == false).then_some(())
        })
        .await;
        for seq in 2..=4 {
            self.pay_the_watch().await;
            eventually(DEADLINE, "the next match", async || {
                (state(self).await["last_watch_seq"] == seq).then_some(())
            })
            .await;
        }
        let attach = self.attach(1);
        self.client().send(attach).await;
    }

    /// Triggers an event of this kind.
    async fn trigger(&mut self, kind: &str) {
        // They are sent together with the event of the example before them: the mined block has a payment by the node's
        // wallet, which spends one of its coins; the end of the block reverts the spend, and then the payment.
        let follows = [
            "payment_spent",
            "payment_confirmed",
            "payment_reverted",
            "block_disconnected",
        ];
        if !follows.contains(&kind) {
            let metrics = http_get(&format!("{}/metrics", self.relay.http_url())).await.json();
            self.before = metrics["relay_metrics"]["last_event_id"].as_u64().unwrap();
        }
        match kind {
            "payment_detected" => {
                let body = json!({"address": self.own, "amount": "0.001"});
                let paid = self.http("POST", "/dev/pay", Some(&body)).await;
                assert_eq!(paid.status, 200, "{}", paid.text());
            }
            "block_mined" | "tweaks" => drop(self.node.mine(1).await),
            "payment_spent_reverted" => self.node.invalidate(self.node.tip().await).await,
            kind if follows.contains(&kind) => {}
            "relay_connected" => {
                let handshake = json!({
                    "type": "handshake", "client_id": "relay-4", "version": "1.0.0", "capabilities": ["sync", "notifications"],
                    "role": "relay", "relay_id": "relay-4", "address": "relay-4.example.com:8090"
                });
                self.other = Some(Wire::connect_with(&self.relay.ws_url(), handshake).await.0);
            }
            "relay_disconnected" => drop(self.other.take()),
            other => panic!("nothing brings about {other}"),
        }
    }

    async fn request(&mut self, target: &str) -> HttpReply {
        let (method, path) = target.split_once(' ').unwrap();
        let mut path = path.replace("{sync_id}", &self.sync_id).replace("{name}", "shop");
        if target.ends_with("/webhooks") {
            // Everything that an example can show: its last message failed.
            self.endpoint.answers(|_| 500);
            self.node.mine(1).await;
            let url = format!("{}/webhooks", self.relay.http_url());
            eventually(DEADLINE, "a failure of the webhook", async || {
                (http_get(&url).await.json()["webhooks"][0]["state"] == "failing").then_some(())
            })
            .await;
            self.endpoint.answers(|_| 204);
        }
        if target.contains("{sync_id}") {
            let url = format!("{}{path}", self.relay.http_url());
            eventually(DEADLINE, "the end of the sync", async || {
                (http_get(&url).await.json()["status"] != "in_progress").then_some(())
            })
            .await;
        }
        if path.contains("{block_hash}") {
            path = path.replace("{block_hash}", &self.node.tip().await.to_string());
        }
        if path.contains("{txid}") {
            let to = [Recipient::Silent(self.own.parse().unwrap(), Amount::from_sat(100_000))];
            let tx = self.payer.pay(&[InputKind::P2wpkh], &to);
            self.node.send_raw(&tx).await;
            self.node.mine(1).await;
            path = path.replace("{txid}", &tx.compute_txid().to_string());
        }
        if path.contains("{relay_id}") {
            self.another_relay().await;
            path = path.replace("{relay_id}", "relay-2");
        }
        if path.contains("{height}") {
            path = path.replace("{height}", &self.a_block_with_a_payment().await.to_string());
        }
        if path.contains("{watch_id}") {
            path = path.replace("{watch_id}", &self.watch_id);
        }
        let body = self.bodies.remove(target);
        self.http(method, &path, body.as_ref()).await
    }

    /// Height of a block in the index with a payment from a taproot output, so that no list is empty.
    async fn a_block_with_a_payment(&mut self) -> u32 {
        if let Some(height) = self.paid_in {
            return height;
        }
        let to = [Recipient::Silent(self.own.parse().unwrap(), Amount::from_sat(100_000))];
        let tx = self.payer.pay(&[InputKind::P2tr], &to);
        self.node.send_raw(&tx).await;
        let hash = self.node.mine(1).await[0].to_string();
        let height = self.node.height().await;
        let url = format!("{}/blindbit/v1/block-hash/{height}", self.relay.http_url());
        eventually(DEADLINE, "the block in the index", async || {
            let reply = http_get(&url).await;
            (reply.status == 200 && reply.json()["block_hash"] == hash.as_str()).then_some(())
        })
        .await;
        self.paid_in = Some(height);
        height
    }

    /// Relay 2 links to this one, and both have the data that the page shows.
    async fn another_relay(&mut self) {
        let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
            .node(&self.node)
            .in_mesh()
            .set("RELAY_ID", "relay-2")
            .set("SYNC__INTERVAL", "1")
            .set("SYNC__HEALTH_INTERVAL", "1")
            .set("SYNC__METRICS_INTERVAL", "1")
            .set("MESH__PEERS", self.relay.ws_url());
        self.linked = Some(RelayProcess::start(options).await);
        let url = format!("{}/relays/relay-2", self.relay.http_url());
        eventually(DEADLINE, "all figures of the other relay", async || {
            let reply = http_get(&url).await;
            let known = |value: &Value| !value.is_null();
            (reply.status == 200 && {
                let relay = reply.json();
                ["address", "url", "latency", "uptime", "last_block"]
                    .iter()
                    .all(|field| known(&relay[*field]))
                    && relay["metrics"].as_object().unwrap().values().all(known)
            })
            .then_some(())
        })
        .await;
    }

    async fn http(&self, method: &str, path: &str, body: Option<&Value>) -> HttpReply {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.relay.http_url()));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        if path.starts_with("/watches/") {
            request = request.header("authorization", format!("Bearer {}", self.watch_token));
        }
        let body: Full<Bytes> = body.map(|body| Full::from(body.to_string())).unwrap_or_default();
        http_send(request.body(body).unwrap()).await
    }

    /// Everything in the descriptions of the relay has an example: every endpoint that answers JSON, every message.
    async fn nothing_is_without_example(&self, all: &[Example]) {
        let open = http_get(&format!("{}/openapi.json", self.relay.http_url()))
            .await
            .json();
        let described: BTreeSet<String> = open["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(move |m| format!("{} {path}", m.to_uppercase()))
            })
            // Two documents, two pages with the files of one, and two streams.
            .filter(|target| {
                let is_page = target.starts_with("GET /dashboard");
                !is_page
                    && !["/openapi.json", "/asyncapi.json", "/docs", "/events", "/ws"]
                        .iter()
                        .any(|p| target.ends_with(p))
            })
            // `dev_mode` is off by now; they are described only with it, and were run above.
            .chain(["POST /dev/mine".to_owned(), "POST /dev/pay".to_owned()])
            .collect();
        let shown: BTreeSet<String> = all
            .iter()
            .filter_map(|e| match &e.act {
                Act::Answer(target) => Some(target.split('?').next().unwrap().to_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(
            described.difference(&shown).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "without an example"
        );

        let asynchronous = http_get(&format!("{}/asyncapi.json", self.relay.http_url()))
            .await
            .json();
        let messages: BTreeSet<String> = asynchronous["components"]["messages"]
            .as_object()
            .unwrap()
            .keys()
            // They need a key: tested in `mesh.rs`.
            .filter(|m| !["client.relay_proof", "client.sync_response", "server.relay_challenge"].contains(&m.as_str()))
            .cloned()
            .collect();
        let kind = |e: &Example| {
            serde_json::from_str::<Value>(&e.text).unwrap_or(Value::Null)["type"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let shown: BTreeSet<String> = all
            .iter()
            .filter_map(|e| match e.act {
                Act::Send => Some(format!("client.{}", kind(e))),
                Act::Receive => Some(format!("server.{}", kind(e))),
                _ => None,
            })
            .collect();
        assert_eq!(
            messages.difference(&shown).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "without an example"
        );
    }
}

/// Panics if the example and the answer differ in fields, types or order, or in values that follow from the request.
fn compare(example: &Example, actual: &str) {
    let (shown, came) = (Json::parse(&example.text), Json::parse(actual));
    let mut wrong = departures(&shown, &came, &MAY_BE_NULL);
    wrong.extend(
        departures(&came, &shown, &MAY_BE_NULL)
            .into_iter()
            .map(|w| format!("on the page {w}")),
    );
    let (shown, came): (Value, Value) = (
        serde_json::from_str(&example.text).unwrap(),
        serde_json::from_str(actual).unwrap(),
    );
    for key in EXACT {
        if shown[key] != came[key] {
            wrong.push(format!("{key} is {}, not {}", came[key], shown[key]));
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/API.md, line {}: {wrong:#?}\nin {actual}",
        example.line
    );
}
