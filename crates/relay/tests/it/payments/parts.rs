//! A block whose tweaks would exceed the message limit of common clients: it is sent in parts, live, on resuming, and
//! as history.

use std::time::Duration;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Amount, ScriptBuf, WitnessProgram, WitnessVersion};
use sdk_relay_client::protocol::{ClientMessage, LARGEST_MESSAGE, ServerMessage, Subscribe, Tweaks};
use sdk_relay_client::{Client, ClientEvent, Event, Frame, RawClient, Topic};
use testkit::InputKind::P2tr;
use testkit::{Options, Payee, PooledNode, Recipient, eventually, http_get};
use tokio::time::timeout;

use crate::payments::tweaks::found;
use crate::stage::{Stage, silent};
use crate::support::DEADLINE;
use crate::support::recorder::Recorder;

/// Outputs of the one large transaction: 1.2 MB of tweaks message.
const OUTPUTS: usize = 10_000;
/// Of these the payee has the first, one in the middle, and the last.
const PAID: [usize; 3] = [0, OUTPUTS / 2, OUTPUTS - 1];
/// Longer than it takes to index a block of one transaction.
const INDEXED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn no_message_of_a_large_block_exceeds_the_client_limit() {
    // Of its own: the histories of other tests do not expect such a block.
    let node = PooledNode::own(Options::default()).await;
    let mut stage = Stage::on(node, |relay| relay).await;
    let payee = Payee::new(&[]);
    let url = stage.relay.ws_url();
    let mut recorder = Recorder::open(&stage.relay, &["notifications", "tweaks"], None).await;
    let began = recorder.relay.last_event_id;
    let (client, mut events) = Client::builder(&url).topics([Topic::Tweaks]).connect().await.unwrap();

    let to: Vec<_> = (0..OUTPUTS).map(|n| recipient(n, &payee)).collect();
    let tx = stage.payer.pay(&[P2tr], &to);
    let block = stage.node.mine_with(std::slice::from_ref(&tx)).await.to_string();

    // Live: parts with consecutive numbers and event ids.
    recorder.until_tweaks(&block).await;
    assert!(recorder.texts.iter().all(|text| text.len() <= LARGEST_MESSAGE));
    let parts = parts(&recorder);
    assert!(parts.len() >= 3, "{} parts", parts.len());
    for (n, (id, part, _)) in (0u32..).zip(&parts) {
        assert_eq!((part.part as usize, part.parts as usize), (n as usize + 1, parts.len()));
        assert_eq!((*id, &part.block_hash), (parts[0].0 + u64::from(n), &block));
        assert_eq!(part.transactions[0].continues, part.part < part.parts);
    }
    is_whole(parts.iter().map(|(_, part, _)| part.clone()), &payee);

    // A client that resumes inside the block receives the rest of it, byte for byte.
    for (n, (id, ..)) in parts.iter().enumerate().take(parts.len() - 1) {
        let mut late = Recorder::open(&stage.relay, &["notifications", "tweaks"], Some(*id)).await;
        late.until_tweaks(&block).await;
        let left: Vec<_> = parts[n + 1..].iter().map(|(.., text)| text.clone()).collect();
        assert_eq!(late.texts, left);
    }

    // The client joins them, and its position in the log is never inside a block.
    let received = timeout(DEADLINE, events.recv()).await.expect("the block in time");
    let Some(ClientEvent::Notification(received)) = received else {
        panic!("{received:?}")
    };
    let Event::Tweaks(whole) = received.event else {
        panic!("another topic")
    };
    assert_eq!((whole.part, whole.parts), (1, 1));
    is_whole([whole], &payee);
    assert_eq!(received.event_id, parts.last().map(|(id, ..)| *id));
    assert_eq!(Some(client.last_event_id()), received.event_id);
    assert!(client.last_event_id() > began + 3);

    let history = history(&stage, &block).await;
    assert_eq!(history.len(), parts.len());
    is_whole(history, &payee);
}

fn recipient(n: usize, payee: &Payee) -> Recipient {
    const SATS: u64 = 330;
    if PAID.contains(&n) {
        return silent(payee.address(), SATS);
    }
    // Half of these are not points on the curve: unspendable, but must be sent to all.
    let key = sha256::Hash::hash(&n.to_le_bytes()).to_byte_array();
    let program = WitnessProgram::new(WitnessVersion::V1, &key).unwrap();
    Recipient::Script(ScriptBuf::new_witness_program(&program), Amount::from_sat(SATS))
}

/// Each part with its event id and its text.
fn parts(recorder: &Recorder) -> Vec<(u64, Tweaks, String)> {
    let pairs = recorder.notifications.iter().zip(&recorder.texts);
    let parts = pairs.filter_map(|(received, text)| match &received.event {
        Event::Tweaks(part) => Some((received.event_id?, part.clone(), text.clone())),
        _ => None,
    });
    parts.collect()
}

/// Checks that the parts form the block of the large transaction, and that a scan finds its payments.
fn is_whole(parts: impl IntoIterator<Item = Tweaks>, payee: &Payee) {
    let mut parts = parts.into_iter();
    let mut whole = parts.next().unwrap();
    parts.for_each(|part| whole.append(part));
    assert_eq!(whole.transactions.len(), 1);
    let tx = &whole.transactions[0];
    let vouts: Vec<_> = tx.outputs.iter().map(|output| output.vout as usize).collect();
    assert_eq!(vouts, (0..OUTPUTS).collect::<Vec<_>>());
    let paid: Vec<_> = found(payee, tx).iter().map(|found| found.1 as usize).collect();
    assert_eq!(paid, PAID);
}

/// The parts of the block in the history of the topic.
async fn history(stage: &Stage, block: &str) -> Vec<Tweaks> {
    let height = stage.node.height().await;
    let index = format!("{}/blindbit/v1/block-hash/{height}", stage.relay.http_url());
    eventually(INDEXED, "the block in the index", async || {
        (http_get(&index).await.status == 200).then_some(())
    })
    .await;
    let mut raw = RawClient::connect(&stage.relay.ws_url()).await.unwrap();
    let handshake = r#"{"type":"handshake","client_id":"late","version":"1.0.0","capabilities":[]}"#;
    raw.send_text(handshake).await.unwrap();
    let subscribe = Subscribe {
        subscriptions: vec![Topic::Tweaks],
        from_height: Some(height - 1),
        client_id: None,
        timestamp: None,
    };
    raw.send(&ClientMessage::Subscribe(subscribe)).await.unwrap();
    let mut parts = Vec::new();
    loop {
        let next = timeout(DEADLINE, raw.next()).await.expect("a message in time").unwrap();
        let Frame::Text(text) = next else { continue };
        assert!(text.len() <= LARGEST_MESSAGE, "{} bytes", text.len());
        let ServerMessage::Notification(received) = serde_json::from_str(&text).unwrap() else {
            continue;
        };
        let Event::Tweaks(part) = received.event else {
            panic!("another topic")
        };
        assert!(part.historical && received.event_id.is_none());
        if part.block_hash == block {
            let last = part.part == part.parts;
            parts.push(part);
            if last {
                return parts;
            }
        }
    }
}
