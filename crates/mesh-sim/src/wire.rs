//! The messages around the gossip, as a relay sends them.

use std::io::{self, Write};

use sdk_relay_protocol::mesh::Gossip;
use sdk_relay_protocol::{
    API_VERSION, ServerMessage, StatePayload, StateReport, SyncMessage, SyncPayload, SyncResponse, SyncType,
};

/// A request.
pub(crate) fn request(relay_id: &str, gossip: Box<Gossip>) -> ServerMessage {
    ServerMessage::Sync(SyncMessage {
        sync_type: SyncType::StateSync,
        relay_id: relay_id.to_owned(),
        payload: payload(gossip),
        timestamp: 1_700_000_000,
        message_id: "msg-0000000000000001".to_owned(),
    })
}

/// A response.
pub(crate) fn response(relay_id: &str, gossip: Box<Gossip>) -> ServerMessage {
    ServerMessage::SyncResponse(SyncResponse {
        sync_type: SyncType::StateSync,
        relay_id: relay_id.to_owned(),
        payload: payload(gossip),
        timestamp: 1_700_000_000,
        message_id: "msg-0000000000000001".to_owned(),
        in_reply_to: "msg-0000000000000001".to_owned(),
    })
}

fn payload(gossip: Box<Gossip>) -> SyncPayload {
    SyncPayload::State(StatePayload {
        state: StateReport {
            uptime: 360_000,
            version: API_VERSION.to_owned(),
            network: "mainnet".to_owned(),
            status: "healthy".to_owned(),
            last_block: Some(822_000),
            connections: 1000,
            known_relays: 1000,
            mesh_connections: 8,
            software_version: "0.1.0".to_owned(),
        },
        gossip: Some(gossip),
    })
}

/// The gossip of a message.
pub(crate) fn gossip(message: ServerMessage) -> Option<Box<Gossip>> {
    let payload = match message {
        ServerMessage::Sync(sync) => sync.payload,
        ServerMessage::SyncResponse(response) => response.payload,
        _ => return None,
    };
    match payload {
        SyncPayload::State(state) => state.gossip,
        _ => None,
    }
}

/// Bytes of the JSON.
pub(crate) fn length(value: &impl serde::Serialize) -> u64 {
    let mut count = Count(0);
    // The writer never fails, and these types have no maps with keys other than strings.
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => 0,
    }
}

struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
