//! BlindBit's shapes, against samples of its own documentation and programs.

use sdk_relay_protocol::*;

/// BlindBit's wallets read these by their names, as its documentation and its programs have them.
#[test]
fn blindbit_in_its_own_format() {
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
