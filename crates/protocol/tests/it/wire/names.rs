//! Names and codes: each enumeration's values as they are on the wire.

use sdk_relay_protocol::http::*;
use sdk_relay_protocol::mesh::RelayStatus;
use sdk_relay_protocol::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::PartialSchema;

use super::{Sample, names_of};

/// The values that the schema lists, each read and written again.
fn sample<T: PartialSchema + Serialize + DeserializeOwned>(name: &str) -> Sample {
    let read = |value: String| serde_json::from_value::<T>(value.into()).unwrap();
    let values: Vec<T> = names_of::<T>().into_iter().map(read).collect();
    assert!(!values.is_empty(), "{name}");
    Sample::new("names", name, &values)
}

macro_rules! names {
    ($($kind:ident)*) => { vec![$(sample::<$kind>(stringify!($kind))),*] };
}

pub(super) fn samples() -> Vec<Sample> {
    let mut samples = names! {
        ErrorCode Role HandshakeStatus Resume Topic SyncType HistoryState MissingReason EndReason RelayStatus LogLevel RelayHealth
        Link SyncOutcome SyncDirection ForcedState
    };
    let close_codes = [
        CloseCode::Normal,
        CloseCode::GoingAway,
        CloseCode::Protocol,
        CloseCode::Unsupported,
        CloseCode::Policy,
        CloseCode::TooBig,
        CloseCode::Server,
        CloseCode::Restart,
        CloseCode::TryAgain,
    ];
    samples.push(Sample::new("names", "CloseCode", &close_codes.map(CloseCode::code)));
    samples
}

#[test]
fn every_name_and_code() {
    for sample in samples() {
        sample.assert();
    }
}
