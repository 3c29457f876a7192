use std::time::Duration;

use bitcoin::OutPoint;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use sdk_relay_detect::{FoundOutput, PaymentMessage};
use sdk_relay_protocol::{Notification, Payment, PaymentSpent, WatchProgress};
use serde_json::json;

use super::*;
use crate::ask::OfBackend;
use crate::order::{EarlierBlocks, Subscribed};
use crate::request::{Line, parse};

const SCAN: &str = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
const SPEND: &str = "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";
const WATCH: &str = "watch-1";
const ADDRESS: &str = "sprt1q";

fn options() -> Options {
    Options {
        takes_keys: true,
        max_labels: 1_000,
        max_subscriptions: 100,
        has_backend: false,
        is_positional: false,
        timeouts: Timeouts::default(),
    }
}

fn step(session: &mut Session, method: &str, params: Value) -> Step {
    let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    match parse(line.as_bytes()) {
        Ok(Line::One(call)) => session.call(call),
        other => panic!("{other:?}"),
    }
}

fn result(session: &mut Session, method: &str, params: Value) -> Result<Value, RpcError> {
    match step(session, method, params) {
        Step::Done(outcome) => outcome.map(|text| serde_json::from_str(&text).unwrap()),
        Step::Ask(ask) => panic!("{ask:?}"),
    }
}

fn ask(session: &mut Session, method: &str, params: Value) -> Ask {
    match step(session, method, params) {
        Step::Ask(ask) => ask,
        Step::Done(outcome) => panic!("{outcome:?}"),
    }
}

fn outpoint(n: u8) -> OutPoint {
    OutPoint::new(Txid::from_byte_array([n; 32]), 0)
}

fn key() -> PublicKey {
    SecretKey::from_slice(&[1; 32]).unwrap().public_key(&Secp256k1::new())
}

fn payment(height: Option<u32>) -> Payment {
    Payment {
        txid: String::new(),
        block_height: height,
        block_hash: None,
        amount: String::new(),
        address: String::new(),
        confirmations: u32::from(height.is_some()),
        timestamp: 0,
        fee: None,
        size: 0,
        vout: 0,
        tweak: None,
        label: None,
        watch_id: Some(WATCH.to_owned()),
        amount_sats: 1_000,
        fee_sats: Some(200),
        public_key: None,
        spent_by: None,
        spent_height: None,
        replaced_by: None,
        historical: false,
    }
}

fn message(n: u8, event: Event) -> WatchMessage {
    let is_detected = matches!(event, Event::PaymentDetected(_));
    WatchMessage::Payment(Box::new(PaymentMessage {
        outpoint: outpoint(n),
        notification: Notification {
            event,
            timestamp: 0,
            event_id: None,
            watch_seq: None,
        },
        found: is_detected.then(|| FoundOutput {
            tweak_key: key(),
            key: [n; 32],
        }),
    }))
}

fn detected(n: u8, height: Option<u32>) -> WatchMessage {
    message(n, Event::PaymentDetected(Box::new(payment(height))))
}

fn reverted(n: u8, height: Option<u32>) -> WatchMessage {
    message(n, Event::PaymentReverted(Box::new(payment(height))))
}

fn progress(share: f64) -> WatchMessage {
    WatchMessage::Progress(Box::new(WatchProgress {
        watch_id: WATCH.to_owned(),
        progress: share,
        height: 0,
        missing: Vec::new(),
        timestamp: 0,
    }))
}

/// The same message of another watch.
fn of_watch(watch_id: &str, message: WatchMessage) -> WatchMessage {
    match message {
        WatchMessage::Payment(mut message) => {
            message.notification.event.set_watch_id(watch_id.to_owned());
            WatchMessage::Payment(message)
        }
        WatchMessage::Progress(mut progress) => {
            progress.watch_id = watch_id.to_owned();
            WatchMessage::Progress(progress)
        }
        other => panic!("{other:?}"),
    }
}

fn mempool_scanned(watch_id: &str) -> WatchMessage {
    WatchMessage::MempoolScanned {
        watch_id: watch_id.to_owned(),
    }
}

fn settled(watch_id: &str) -> WatchMessage {
    WatchMessage::Settled {
        watch_id: watch_id.to_owned(),
    }
}

/// A session with a subscription whose answer was written now.
fn subscribed(options: Options) -> Session {
    let mut session = Session::new(options);
    subscribe_again(&mut session, WATCH, 7);
    session
}

fn subscribe_again(session: &mut Session, watch_id: &str, start_height: u32) -> String {
    subscribe_with(session, watch_id, start_height, EarlierBlocks::Unscanned)
}

fn subscribe_with(session: &mut Session, watch_id: &str, start_height: u32, earlier: EarlierBlocks) -> String {
    let subscribed = Subscribed {
        address: ADDRESS.to_owned(),
        labels: vec![0],
        start_height,
        earlier,
        watch_id: watch_id.to_owned(),
    };
    let object = session.answered(Answer::Subscribed(Box::new(subscribed))).unwrap();
    session.written(Instant::now());
    object
}

#[test]
fn versions() {
    let mut session = Session::new(options());
    let name = server_name();
    for (params, agreed) in [
        (json!(["Sparrow", ["1.3", "1.4.2"]]), "1.4.2"),
        (json!(["Sparrow", "1.4"]), "1.4"),
        (json!(["a", ["1.4", "1.4.1"]]), "1.4.1"),
        (json!(["a", ["1.4", "2.0"]]), "1.4.2"),
        (json!({"client_name": "a", "protocol_version": "1.4.0"}), "1.4"),
        (json!([]), "1.4.2"),
    ] {
        let answer = result(&mut session, "server.version", params.clone()).unwrap();
        assert_eq!(answer, json!([name, agreed]), "{params}");
    }
    for (params, code) in [
        (json!(["a", "1.3"]), 1),
        (json!(["a", ["1.5", "1.6"]]), 1),
        (json!(["a", "x"]), -32_602),
        (json!(["a", ["1.4"]]), -32_602),
        (json!([5, "1.4"]), -32_602),
    ] {
        assert_eq!(result(&mut session, "server.version", params).unwrap_err().code, code);
    }
    // Sparrow decides by the name whether it sends batches.
    let name = name.to_lowercase();
    assert!(
        !["frigate", "electrs", "fulcrum", "electrumx"]
            .iter()
            .any(|other| name.starts_with(other))
    );
}

#[test]
fn what_is_answered_at_once() {
    let mut session = Session::new(options());
    for (method, answer) in [
        ("server.ping", Value::Null),
        ("server.donation_address", json!("")),
        ("server.peers.subscribe", json!([])),
        ("mempool.get_fee_histogram", json!([])),
    ] {
        assert_eq!(result(&mut session, method, json!([])), Ok(answer), "{method}");
        assert_eq!(result(&mut session, method, json!([1])).unwrap_err().code, -32_602);
    }
    let banner = result(&mut session, "server.banner", json!([])).unwrap();
    assert!(banner.as_str().unwrap().contains("scan keys"), "{banner}");
    let unknown = result(&mut session, "blockchain.tweaks.subscribe", json!([])).unwrap_err();
    assert!(
        unknown.code == -32_601 && unknown.message.contains("blockchain.silentpayments.*"),
        "{unknown:?}"
    );
}

#[test]
fn what_the_node_is_asked() {
    let mut session = Session::new(options());
    assert!(session.new_tip("{}").is_none());
    assert!(matches!(
        ask(&mut session, "blockchain.headers.subscribe", json!([])),
        Ask::Tip
    ));
    assert!(session.new_tip("{}").is_none(), "not before the answer");
    let tip = r#"{"height":1,"hex":"00"}"#;
    assert_eq!(session.answered(Answer::Tip(tip.to_owned())).as_deref(), Ok(tip));
    assert!(session.new_tip(tip).is_none(), "it is known");
    let next = r#"{"height":2,"hex":"00"}"#;
    assert_eq!(
        session.new_tip(next).unwrap(),
        r#"{"jsonrpc":"2.0","method":"blockchain.headers.subscribe","params":[{"height":2,"hex":"00"}]}"#
    );
    assert!(matches!(
        ask(&mut session, "blockchain.block.header", json!([5])),
        Ask::Header(5)
    ));
    assert!(matches!(
        ask(&mut session, "blockchain.block.headers", json!([5, 1_000_000])),
        Ask::Headers {
            start: 5,
            count: MAX_HEADERS
        }
    ));
    let proof = result(&mut session, "blockchain.block.header", json!([5, 10])).unwrap_err();
    assert!(proof.message.starts_with("cp_height"), "{proof:?}");
    assert!(matches!(
        ask(&mut session, "blockchain.estimatefee", json!([3])),
        Ask::Estimate(3)
    ));
    assert!(matches!(
        ask(&mut session, "blockchain.relayfee", json!([])),
        Ask::RelayFee
    ));
    assert!(matches!(
        ask(&mut session, "server.features", json!([])),
        Ask::Features { silent: true }
    ));
    let wrong = result(&mut session, "blockchain.transaction.broadcast", json!(["00"])).unwrap_err();
    assert!(wrong.message.starts_with("raw_tx"), "{wrong:?}");
}

#[test]
fn keys_do_not_cross_a_connection_that_others_can_read() {
    let mut session = Session::new(Options {
        takes_keys: false,
        ..options()
    });
    for method in [SUBSCRIBE, UNSUBSCRIBE] {
        let refused = result(&mut session, method, json!([SCAN, SPEND])).unwrap_err();
        assert!(
            refused.message.contains("electrum.tls_listen") && refused.message.contains("electrum.allow_plaintext"),
            "{refused:?}"
        );
        assert!(!refused.message.contains(SCAN));
    }
    // A wallet does not send its keys to a server without this feature.
    assert!(matches!(
        ask(&mut session, "server.features", json!([])),
        Ask::Features { silent: false }
    ));
    let banner = result(&mut session, "server.banner", json!([])).unwrap();
    assert!(banner.as_str().unwrap().contains("connect to the TLS port"), "{banner}");
}

#[test]
fn the_parameters_of_a_subscription() {
    let mut session = Session::new(options());
    for params in [
        json!([SCAN, SPEND]),
        json!([SCAN, SPEND, 882_000, [1, 2]]),
        json!({"scan_private_key": SCAN, "spend_public_key": SPEND, "start": "1-2", "labels": []}),
    ] {
        let Ask::Subscribe(order) = ask(&mut session, SUBSCRIBE, params) else {
            panic!("a subscription")
        };
        assert_eq!((order.keys.scan.expose(), order.keys.spend.as_str()), (SCAN, SPEND));
    }
    let labels: Vec<u32> = (0..=1_000).collect();
    assert!(matches!(
        ask(&mut session, SUBSCRIBE, json!([SCAN, SPEND, 0, labels])),
        Ask::Subscribe(_)
    ));
    let labels: Vec<u32> = (0..1_002).collect();
    for (params, name) in [
        (json!([]), "scan_private_key"),
        (json!([SCAN]), "spend_public_key"),
        (json!([SCAN, SPEND, "soon"]), "start"),
        (json!([SCAN, SPEND, 0, 5]), "labels"),
        (json!([SCAN, SPEND, 0, [-1]]), "labels"),
        (
            json!([SCAN, SPEND, 0, labels]),
            "labels: expected at most 1000 (electrum.labels_per_subscription)",
        ),
    ] {
        let error = result(&mut session, SUBSCRIBE, params).unwrap_err();
        assert!(error.code == -32_602 && error.message.starts_with(name), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn subscriptions_of_a_connection_have_a_rate() {
    let mut session = Session::new(options());
    let subscribe = |session: &mut Session| step(session, SUBSCRIBE, json!([SCAN, SPEND]));
    for _ in 0..options().max_subscriptions {
        assert!(matches!(subscribe(&mut session), Step::Ask(_)));
    }
    assert!(
        matches!(subscribe(&mut session), Step::Done(Err(error)) if error.message.contains("(electrum.subscriptions_per_connection): one in 10 s"))
    );
    tokio::time::advance(SUBSCRIPTION_INTERVAL).await;
    assert!(matches!(subscribe(&mut session), Step::Ask(_)));
}

#[tokio::test(start_paused = true)]
async fn a_found_output_is_answered_for_and_its_changes_are_notified() {
    let mut session = subscribed(options());
    let script = ScriptHash::of_key(&[1; 32]).to_string();
    assert!(
        matches!(ask(&mut session, SCRIPTS, json!([script])), Ask::Script { .. }),
        "the scan may find it"
    );
    session.mail(progress(0.0));
    session.mail(progress(1.0));
    session.mail(detected(1, None));
    assert_eq!(
        session.due(Instant::now()),
        Vec::<String>::new(),
        "nothing within 250 ms"
    );
    tokio::time::advance(Duration::from_millis(250)).await;
    assert_eq!(
        session.due(Instant::now()).len(),
        3,
        "the first, the end of the history, the payment"
    );
    let status = result(&mut session, SCRIPTS, json!([script])).unwrap();
    assert!(status.is_string(), "{status}");
    let mempool = result(&mut session, "blockchain.scripthash.get_mempool", json!([script])).unwrap();
    assert_eq!(
        mempool,
        json!([{"height": 0, "tx_hash": outpoint(1).txid.to_string(), "fee": 200}])
    );
    // It confirms: the script changes, and no payment is reported again.
    session.mail(detected(1, Some(9)));
    let lines = session.due(Instant::now());
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let changed: Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&changed["method"], &changed["params"][0]),
        (&json!(SCRIPTS), &json!(script))
    );
    assert_ne!(changed["params"][1], status);
    assert_eq!(session.place(1), Some(Place::Block(9)));
    // Its block is disconnected, and another block has it: the client is not told that it is gone.
    session.mail(reverted(1, Some(9)));
    assert_eq!(session.due(Instant::now()), Vec::<String>::new());
    session.mail(detected(1, Some(9)));
    for _ in 0..2 {
        let lines = session.due(Instant::now());
        assert!(!lines.iter().any(|line| line.contains(SCRIPTS)), "{lines:?}");
        tokio::time::advance(options().timeouts.reorganisation).await;
    }
    // It is empty again, and the client asks for that itself: nothing is left to be notified.
    session.mail(reverted(1, Some(9)));
    assert_eq!(session.due(Instant::now()), Vec::<String>::new());
    assert!(session.next().is_some());
    let status = result(&mut session, SCRIPTS, json!([script])).unwrap();
    assert_eq!(status, Value::Null);
    assert_eq!(session.due(Instant::now()), Vec::<String>::new());
    assert!(session.next().is_none_or(|next| next > Instant::now()));
    session.mail(detected(1, Some(9)));
    session.due(Instant::now());
    // It does not come back.
    session.mail(reverted(1, Some(9)));
    assert_eq!(session.due(Instant::now()), Vec::<String>::new());
    tokio::time::advance(session.next().unwrap() - Instant::now()).await;
    let lines = session.due(Instant::now());
    assert!(
        lines.len() == 1 && lines[0].ends_with(&format!(r#"["{script}",null]}}"#)),
        "{lines:?}"
    );
    let ended = result(&mut session, "blockchain.scripthash.unsubscribe", json!([script])).unwrap();
    assert_eq!(ended, json!(true));
    session.mail(detected(1, Some(10)));
    let lines = session.due(Instant::now());
    assert!(lines.len() == 1 && lines[0].contains(r#""height":10"#), "{lines:?}");
}

/// The end of a reorganisation is known: a client whose payment is gone needs not wait.
#[tokio::test(start_paused = true)]
async fn a_script_is_notified_as_empty_at_the_end_of_a_reorganisation() {
    let mut session = subscribed(options());
    session.mail(progress(1.0));
    for n in [1, 2, 3] {
        session.mail(detected(n, Some(9)));
    }
    session.mail(detected(4, None));
    tokio::time::advance(Duration::from_millis(250)).await;
    session.due(Instant::now());
    let [gone, back, other, evicted] = [1, 2, 3, 4].map(|n| ScriptHash::of_key(&[n; 32]).to_string());
    for script in [&gone, &back, &other, &evicted] {
        assert!(result(&mut session, SCRIPTS, json!([script])).unwrap().is_string());
    }
    let notified = |session: &mut Session| {
        let lines = session.due(Instant::now());
        lines
            .into_iter()
            .filter(|line| line.contains(SCRIPTS))
            .collect::<Vec<_>>()
    };
    for n in [1, 2] {
        session.mail(reverted(n, Some(9)));
    }
    session.mail(reverted(4, None));
    assert_eq!(notified(&mut session), Vec::<String>::new());
    // Far longer than a payment of the mempool is waited for.
    tokio::time::advance(options().timeouts.settle).await;
    let lines = notified(&mut session);
    assert!(lines.len() == 1 && lines[0].contains(&evicted), "{lines:?}");
    session.mail(detected(2, Some(9)));
    assert_eq!(notified(&mut session), Vec::<String>::new());
    session.mail(settled("another"));
    assert_eq!(notified(&mut session), Vec::<String>::new());
    session.mail(settled(WATCH));
    let lines = notified(&mut session);
    assert!(
        lines.len() == 1 && lines[0].ends_with(&format!(r#"["{gone}",null]}}"#)),
        "{lines:?}"
    );
    // The next reorganisation has an end of its own; without it, the time counts.
    session.mail(reverted(3, Some(9)));
    assert_eq!(notified(&mut session), Vec::<String>::new());
    tokio::time::advance(options().timeouts.reorganisation).await;
    let lines = notified(&mut session);
    assert!(lines.len() == 1 && lines[0].contains(&other), "{lines:?}");
}

impl Session {
    fn place(&self, n: u8) -> Option<Place> {
        self.outputs.transaction(outpoint(n).txid)
    }
}

#[tokio::test(start_paused = true)]
async fn a_widened_subscription_sends_everything_again_and_the_old_watch_is_silent() {
    let mut session = subscribed(options());
    session.mail(progress(1.0));
    session.mail(detected(1, Some(9)));
    session.mail(detected(2, Some(9)));
    tokio::time::advance(Duration::from_millis(250)).await;
    session.due(Instant::now());
    let object = subscribe_again(&mut session, "watch-2", 3);
    assert_eq!(object, r#"{"address":"sprt1q","labels":[0],"start_height":3}"#);
    session.mail(detected(3, Some(9)));
    // The outputs are known until the new scan is complete.
    assert!(session.place(1).is_some() && session.place(3).is_none());
    let of_new = |message| of_watch("watch-2", message);
    session.mail(of_new(detected(1, Some(9))));
    session.mail(of_new(progress(1.0)));
    tokio::time::advance(Duration::from_millis(250)).await;
    let lines = session.due(Instant::now());
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains(&object)), "{lines:?}");
    assert!(session.place(1).is_some() && session.place(2).is_none());
    assert_eq!(session.subscriptions.len(), session.by_watch.len());
}

#[tokio::test(start_paused = true)]
async fn an_ended_subscription_sends_nothing_and_its_scripts_go_nowhere() {
    let mut session = subscribed(Options {
        has_backend: true,
        ..options()
    });
    session.mail(detected(1, Some(9)));
    let ended = session.answered(Answer::Unsubscribed {
        address: ADDRESS.to_owned(),
    });
    assert_eq!(ended, Ok(r#""sprt1q""#.to_owned()));
    session.mail(detected(2, Some(9)));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!((session.due(Instant::now()), session.next()), (vec![], None));
    let script = ScriptHash::of_key(&[1; 32]).to_string();
    let refused = result(&mut session, "blockchain.scripthash.get_history", json!([script])).unwrap_err();
    assert!(refused.message.contains("not followed any more"), "{refused:?}");
}

/// Also what was held back, in case that the payment came back.
#[tokio::test(start_paused = true)]
async fn no_script_of_an_ended_subscription_is_notified() {
    let mut session = subscribed(options());
    session.mail(progress(1.0));
    for n in [1, 2] {
        session.mail(detected(n, Some(9)));
    }
    tokio::time::advance(Duration::from_millis(250)).await;
    session.due(Instant::now());
    let [held, changed] = [1, 2].map(|n| ScriptHash::of_key(&[n; 32]).to_string());
    for script in [&held, &changed] {
        assert!(result(&mut session, SCRIPTS, json!([script])).unwrap().is_string());
    }
    session.mail(reverted(1, Some(9)));
    assert_eq!(session.due(Instant::now()), Vec::<String>::new());
    session.mail(message(2, Event::PaymentSpent(spent_by(2, 3, Some(10)))));
    drop(session.answered(Answer::Unsubscribed {
        address: ADDRESS.to_owned(),
    }));
    assert_eq!(session.due(Instant::now()), Vec::<String>::new());
    tokio::time::advance(options().timeouts.reorganisation).await;
    assert_eq!((session.due(Instant::now()), session.next()), (vec![], None));
}

#[test]
fn the_backend_is_asked_about_other_scripts_and_transactions_only() {
    let mut session = subscribed(Options {
        has_backend: true,
        ..options()
    });
    session.mail(detected(1, Some(9)));
    let [found, other] = [1, 2].map(|n| ScriptHash::of_key(&[n; 32]));
    for method in [
        "get_history",
        "get_mempool",
        "get_balance",
        "listunspent",
        "subscribe",
        "unsubscribe",
    ] {
        let method = format!("blockchain.scripthash.{method}");
        assert!(result(&mut session, &method, json!([found.to_string()])).is_ok());
        match ask(&mut session, &method, json!([other.to_string()])) {
            Ask::Backend(call) => assert_eq!((call.method, call.params), (&*method, vec![json!(other.to_string())])),
            ask => panic!("{ask:?}"),
        }
    }
    assert!(session.backend_changed(other, None).is_none(), "it was unsubscribed");
    drop(step(&mut session, SCRIPTS, json!([other.to_string()])));
    assert!(
        session
            .backend_changed(other, None)
            .unwrap()
            .ends_with(&format!(r#"["{other}",null]}}"#))
    );
    assert!(session.backend_changed(found, None).is_none());
    assert_eq!(
        result(&mut session, "blockchain.scripthash.other", json!([]))
            .unwrap_err()
            .code,
        -32_601
    );
    let (own, another) = (outpoint(1).txid.to_string(), outpoint(2).txid.to_string());
    assert!(matches!(
        ask(&mut session, "blockchain.transaction.get", json!([own])),
        Ask::Transaction {
            found: Some(Place::Block(9)),
            ..
        }
    ));
    assert!(matches!(
        ask(&mut session, "blockchain.transaction.get", json!([another])),
        Ask::Transaction { found: None, .. }
    ));
    assert!(matches!(
        ask(&mut session, "blockchain.transaction.get", json!([another, true])),
        Ask::Backend(_)
    ));
    let refused = result(&mut session, "blockchain.transaction.get", json!([own, true])).unwrap_err();
    assert!(refused.message.starts_with("verbose"), "{refused:?}");
}

#[test]
fn subscriptions_to_scripts_are_bounded() {
    let mut session = Session::new(Options {
        has_backend: true,
        ..options()
    });
    let script = |n: usize| format!("{n:064x}");
    for n in 0..1_000 {
        assert!(matches!(step(&mut session, SCRIPTS, json!([script(n)])), Step::Ask(_)));
    }
    let refused = result(&mut session, SCRIPTS, json!([script(1_000)])).unwrap_err();
    assert!(
        refused.code == -32_602 && refused.message.contains("1000"),
        "{refused:?}"
    );
    // The backend has accepted one, and refused another.
    let refused = RpcError::refused("too many");
    for (n, outcome) in [(1, Ok("null".to_owned())), (2, Err(refused))] {
        let of_backend = OfBackend {
            script: script(n).parse().unwrap(),
            is_subscribed: outcome.is_ok(),
            outcome: outcome.clone(),
        };
        assert_eq!(session.answered(Answer::OfBackend(of_backend)), outcome);
    }
    let subscribe = |session: &mut Session, n: usize| step(session, SCRIPTS, json!([script(n)]));
    assert!(matches!(subscribe(&mut session, 1_000), Step::Ask(_)));
    assert!(matches!(subscribe(&mut session, 1_001), Step::Done(Err(_))));
    // Those that there are do not become more.
    for n in [1, 3, 1_000] {
        assert!(matches!(subscribe(&mut session, n), Step::Ask(_)), "{n}");
    }
    // A second request is refused for one that is subscribed: it stays.
    let of_backend = OfBackend {
        script: script(1).parse().unwrap(),
        is_subscribed: false,
        outcome: Err(RpcError::refused("busy")),
    };
    drop(session.answered(Answer::OfBackend(of_backend)));
    assert!(matches!(subscribe(&mut session, 1_001), Step::Done(Err(_))));
    drop(step(
        &mut session,
        "blockchain.scripthash.unsubscribe",
        json!([script(0)]),
    ));
    assert!(matches!(subscribe(&mut session, 1_001), Step::Ask(_)));
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_comes_back_is_answered_for_its_old_outputs() {
    const EARLIER: &str = "watch-0";
    let mut session = subscribed(options());
    let scans = session.scans();
    session.mail(progress(1.0));
    tokio::time::advance(Duration::from_millis(250)).await;
    session.due(Instant::now());
    assert!(!session.wants_earlier_scans(), "nothing has asked for it");
    let [old, none] = [5, 6].map(|n| ScriptHash::of_key(&[n; 32]));
    let history = "blockchain.scripthash.get_history";
    let Ask::Script { method, script } = ask(&mut session, history, json!([old.to_string()])) else {
        panic!("a scan")
    };
    assert!(session.wants_earlier_scans());
    assert_eq!((method, script, scans.borrow().pending), (history, old, 1));
    let registered = crate::order::EarlierScans {
        registered: vec![(ADDRESS.to_owned(), EARLIER.to_owned())],
        failure: None,
    };
    assert!(session.answered(Answer::EarlierScans(registered)).is_ok());
    assert!(!session.wants_earlier_scans());
    session.mail(of_watch(EARLIER, detected(5, Some(3))));
    assert!(scans.borrow().found.contains(&old));
    let expected = format!(r#"[{{"height":3,"tx_hash":"{}"}}]"#, outpoint(5).txid);
    assert_eq!(session.answered(Answer::Script { method, script }), Ok(expected));
    // It is not reported: the client has asked for later blocks. Other scripts wait for the end of the scan.
    assert_eq!(session.due(Instant::now()), Vec::<String>::new());
    assert!(matches!(
        ask(&mut session, history, json!([none.to_string()])),
        Ask::Script { .. }
    ));
    session.mail(of_watch(EARLIER, progress(1.0)));
    assert_eq!(scans.borrow().pending, 0);
    let unknown = result(&mut session, history, json!([none.to_string()])).unwrap_err();
    assert!(unknown.message.contains("electrum.backend"), "{unknown:?}");
    // A live payment is reported once, although both watches find it.
    session.mail(detected(7, None));
    session.mail(of_watch(EARLIER, detected(7, None)));
    assert_eq!(session.due(Instant::now()).len(), 1);
    drop(session.answered(Answer::Unsubscribed {
        address: ADDRESS.to_owned(),
    }));
    assert!(session.by_watch.is_empty() && session.subscriptions.is_empty());
}

/// The old outputs of a wallet that comes back, of which some clients subscribe again to what they have subscribed to.
#[tokio::test(start_paused = true)]
async fn a_widened_subscription_keeps_the_old_outputs_of_a_returning_wallet() {
    const EARLIER: &str = "watch-0";
    let mut session = subscribed(options());
    session.mail(progress(1.0));
    let old = ScriptHash::of_key(&[5; 32]).to_string();
    drop(ask(&mut session, SCRIPTS, json!([old])));
    let registered = crate::order::EarlierScans {
        registered: vec![(ADDRESS.to_owned(), EARLIER.to_owned())],
        failure: None,
    };
    drop(session.answered(Answer::EarlierScans(registered)));
    session.mail(of_watch(EARLIER, detected(5, Some(3))));
    session.mail(of_watch(EARLIER, progress(1.0)));
    // In the mempool, and in a block that the next watch scans.
    session.mail(detected(6, None));
    session.mail(detected(7, Some(9)));
    let known = result(&mut session, SCRIPTS, json!([old])).unwrap();
    assert!(known.is_string());
    tokio::time::advance(Duration::from_millis(250)).await;
    session.due(Instant::now());

    subscribe_with(&mut session, "watch-2", 7, EarlierBlocks::Watched);
    let new = |message| of_watch("watch-2", message);
    // The watch that it replaces has reported the end of an output before it was ended.
    session.mail(reverted(7, Some(9)));
    assert_eq!(session.place(7), None);
    session.mail(new(progress(1.0)));
    assert_eq!(result(&mut session, SCRIPTS, json!([old])).unwrap(), known);
    assert_eq!(
        session.place(6),
        Some(Place::Mempool),
        "its mempool is scanned after the history"
    );
    // The watch of the earlier blocks goes on: a reorganisation, and what spends an old output.
    session.mail(of_watch(
        EARLIER,
        message(5, Event::PaymentSpent(spent_by(5, 8, Some(10)))),
    ));
    assert_eq!(session.outputs.transaction(outpoint(8).txid), Some(Place::Block(10)));
    let lines = session.due(Instant::now());
    assert!(lines.iter().any(|line| line.contains(&old)), "{lines:?}");
    // Found again, and gone, by the next block.
    session.mail(new(detected(6, None)));
    session.mail(mempool_scanned("watch-2"));
    assert_eq!(session.place(6), Some(Place::Mempool));

    // With another label the earlier blocks are scanned again.
    subscribe_with(&mut session, "watch-3", 7, EarlierBlocks::Unscanned);
    session.mail(of_watch("watch-3", progress(1.0)));
    // A new tip says nothing about the scan of the mempool.
    drop(session.new_tip(r#"{"height":11,"hex":"00"}"#));
    session.mail(mempool_scanned(EARLIER));
    assert_eq!(session.place(6), Some(Place::Mempool));
    session.mail(mempool_scanned("watch-3"));
    assert_eq!(
        session.place(6),
        None,
        "it has left the mempool between the two watches"
    );
    assert_eq!(session.place(5), Some(Place::Block(3)));
    session.mail(of_watch(EARLIER, reverted(5, Some(3))));
    assert_eq!(session.place(5), None, "the watch before goes on");
    session.mail(of_watch(EARLIER, detected(5, Some(4))));
    drop(ask(
        &mut session,
        "blockchain.scripthash.get_history",
        json!(["00".repeat(32)]),
    ));
    assert!(session.wants_earlier_scans());
    let registered = crate::order::EarlierScans {
        registered: vec![(ADDRESS.to_owned(), "watch-4".to_owned())],
        failure: None,
    };
    drop(session.answered(Answer::EarlierScans(registered)));
    session.mail(of_watch("watch-4", progress(1.0)));
    assert_eq!(session.place(5), None, "the new scan has not found it");
    assert_eq!(session.by_watch.len(), 2);
}

fn spent_by(n: u8, by: u8, height: Option<u32>) -> Box<PaymentSpent> {
    Box::new(PaymentSpent {
        txid: outpoint(n).txid.to_string(),
        vout: 0,
        amount: String::new(),
        amount_sats: 1_000,
        address: String::new(),
        label: None,
        spent_by: Some(outpoint(by).txid.to_string()),
        vin: Some(0),
        block_height: height,
        block_hash: None,
        confirmations: u32::from(height.is_some()),
        timestamp: 0,
        fee_sats: height.is_none().then_some(300),
        watch_id: Some(WATCH.to_owned()),
        replaced_by: None,
    })
}

#[tokio::test(start_paused = true)]
async fn what_spends_an_output_is_told_by_its_script_only() {
    let mut session = subscribed(options());
    session.mail(progress(1.0));
    session.mail(detected(1, Some(9)));
    tokio::time::advance(Duration::from_millis(250)).await;
    session.due(Instant::now());
    let script = ScriptHash::of_key(&[1; 32]).to_string();
    let paid = result(&mut session, SCRIPTS, json!([script])).unwrap();
    let changed = |session: &mut Session, event: Event| {
        session.mail(message(1, event));
        let lines = session.due(Instant::now());
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let changed: Value = serde_json::from_str(line).unwrap();
        assert_eq!(changed["params"][0], json!(script));
        changed["params"][1].clone()
    };
    let waiting = changed(&mut session, Event::PaymentSpent(spent_by(1, 2, None)));
    assert_eq!(session.outputs.transaction(outpoint(2).txid), Some(Place::Mempool));
    // Clients refuse an entry of the mempool without a fee.
    for method in ["get_history", "get_mempool"] {
        let method = format!("blockchain.scripthash.{method}");
        let entries = result(&mut session, &method, json!([script])).unwrap();
        let last = entries.as_array().and_then(|entries| entries.last()).cloned();
        let spending = json!({"height": 0, "tx_hash": outpoint(2).txid.to_string(), "fee": 300});
        assert_eq!(last, Some(spending), "{method}");
    }
    let confirmed = changed(&mut session, Event::PaymentSpent(spent_by(1, 2, Some(10))));
    assert!(paid != waiting && waiting != confirmed);
    let reverted = changed(&mut session, Event::PaymentSpentReverted(spent_by(1, 2, Some(10))));
    assert_eq!(reverted, paid);
    let mut old = payment(Some(8));
    old.spent_by = Some(outpoint(4).txid.to_string());
    old.spent_height = Some(9);
    session.mail(message(3, Event::PaymentDetected(Box::new(old))));
    let history = "blockchain.scripthash.get_history";
    let history = result(&mut session, history, json!([ScriptHash::of_key(&[3; 32]).to_string()])).unwrap();
    let [found, spender] = [3, 4].map(|n| outpoint(n).txid.to_string());
    assert_eq!(
        history,
        json!([{"height": 8, "tx_hash": found}, {"height": 9, "tx_hash": spender}])
    );
}
