//! The wire form: names, nesting and order are held fast here, byte by byte.

use sdk_relay_protocol::*;

fn json(message: &ServerMessage) -> String {
    encode_text(message).unwrap()
}

#[test]
fn a_payment() {
    let payment = Payment {
        txid: "aa".into(),
        block_height: None,
        block_hash: None,
        amount: "0.001".into(),
        address: "sp1q".into(),
        confirmations: 0,
        timestamp: 1,
        fee: Some("0.00001".into()),
        size: 250,
        vout: 2,
        tweak: None,
        label: Some(1),
        watch_id: None,
        amount_sats: 100_000,
        fee_sats: Some(1000),
        replaced_by: None,
        historical: false,
    };
    let message = ServerMessage::Notification(Notification {
        event: Event::PaymentDetected(Box::new(payment)),
        timestamp: 2,
        event_id: Some(7),
    });
    let text = json(&message);
    assert_eq!(
        text,
        concat!(
            r#"{"type":"notification","notification_type":"payment_detected","data":{"txid":"aa","block_height":null,"#,
            r#""block_hash":null,"amount":"0.001","address":"sp1q","confirmations":0,"timestamp":1,"fee":"0.00001","#,
            r#""size":250,"vout":2,"tweak":null,"label":1,"watch_id":null,"amount_sats":100000,"fee_sats":1000},"#,
            r#""timestamp":2,"event_id":7}"#
        )
    );
    assert_eq!(serde_json::from_str::<ServerMessage>(&text).unwrap(), message);
}

#[test]
fn a_state_sync() {
    let message = ServerMessage::Sync(SyncMessage {
        sync_type: SyncType::StateSync,
        relay_id: "relay-1".into(),
        payload: SyncPayload::State(StatePayload {
            state: StateReport {
                uptime: 3600,
                version: API_VERSION.into(),
                network: "signet".into(),
                status: "healthy".into(),
                last_block: Some(12345),
                connections: 5,
                known_relays: 3,
                mesh_connections: 6,
                software_version: "0.1.0".into(),
            },
            gossip: None,
        }),
        timestamp: 1,
        message_id: "msg-123".into(),
    });
    let text = json(&message);
    assert_eq!(
        text,
        concat!(
            r#"{"type":"sync","sync_type":"StateSync","relay_id":"relay-1","payload":{"state":{"uptime":3600,"#,
            r#""version":"1.0.0","network":"signet","status":"healthy","last_block":12345,"connections":5,"#,
            r#""known_relays":3,"mesh_connections":6,"software_version":"0.1.0"}},"timestamp":1,"message_id":"msg-123"}"#
        )
    );
    assert_eq!(serde_json::from_str::<ServerMessage>(&text).unwrap(), message);
}

#[test]
fn an_error_and_a_close() {
    let message = ServerMessage::Error(ErrorMessage {
        code: ErrorCode::TooManyWatches,
        message: "no".into(),
        in_reply_to: None,
        timestamp: 1,
    });
    assert_eq!(
        json(&message),
        r#"{"type":"error","code":"too_many_watches","message":"no","in_reply_to":null,"timestamp":1}"#
    );
    assert_eq!(CloseCode::TryAgain.code(), 1013);
}

/// BlindBit's wallets read these by their names, as its documentation and its programs have them.
#[test]
fn blindbit_in_its_own_shapes() {
    use sdk_relay_protocol::blindbit::*;
    fn frozen<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(wire: &str) -> T {
        let read: T = serde_json::from_str(wire).unwrap();
        assert_eq!(encode_text(&read).unwrap(), wire);
        read
    }
    frozen::<BlindbitInfo>(
        r#"{"network":"signet","height":834761,"tweaks_only":false,"tweaks_full_basic":true,"tweaks_full_with_dust_filter":false,"tweaks_cut_through_with_dust_filter":false}"#,
    );
    frozen::<BlindbitBlockHeight>(r#"{"block_height":1}"#);
    frozen::<BlindbitBlockHash>(r#"{"block_hash":"aa"}"#);
    frozen::<BlindbitUtxo>(
        r#"{"txid":"aa","vout":1,"value":1000,"scriptpubkey":"5120","block_height":0,"block_hash":"bb","timestamp":5,"spent":false}"#,
    );
    frozen::<BlindbitSpentIndex>(r#"{"block_hash":"aa","data":["cc12527ee956138b"]}"#);
    frozen::<BlindbitFilter>(r#"{"block_hash":"aa","block_height":5,"data":"00","filter_type":4}"#);
    frozen::<ForwardTx>(r#"{"data":"00"}"#);
    const BLOCK: &str = r#"{"block_identifier":{"block_hash":"aa","block_height":5},"index":"#;
    frozen::<BlindbitTweaks>(&format!("{BLOCK}[\"02\"]}}"));
    frozen::<BlindbitOutputs>(&format!(
        r#"{BLOCK}[{{"txid":"aa","vout":1,"amount":7,"pubkey":"bb"}}]}}"#
    ));
    frozen::<BlindbitSpentOutputs>(&format!("{BLOCK}[\"1234\"]}}"));
    frozen::<BlindbitComputeIndex>(&format!(r#"{BLOCK}[{{"txid":"aa","tweak":"02","outputs":["12"]}}]}}"#));
    frozen::<BlindbitFullBlock>(&format!(
        r#"{BLOCK}[{{"txid":"aa","tweak":"02","inputs":["bb"],"utxos":[{{"vout":1,"amount":7,"pubkey":"cc"}}]}}]}}"#
    ));
    let nothing: BlindbitComputeIndex = serde_json::from_str(&format!("{BLOCK}null}}")).unwrap();
    assert!(nothing.index.is_empty(), "an Oracle writes null for an empty list");
}
