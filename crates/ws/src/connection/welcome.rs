//! The answers to a handshake and to a change of topics.

use sdk_relay_protocol::{
    API_VERSION, CloseCode, HandshakeResponse, HandshakeStatus, ServerMessage, SubscribeResponse, Topic,
};
use sdk_relay_service::CAPABILITIES;
use sdk_relay_telemetry::SOFTWARE_VERSION;
use sdk_relay_telemetry::clock::unix_now;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::begin::Begin;
use super::super::socket::Socket;
use super::{Connection, End, Step, failed};

impl Connection {
    pub(super) async fn welcome<S>(&mut self, socket: &mut Socket<S>, begin: Begin) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let position = begin
            .position(&self.handles.hub)
            .await
            .map_err(|error| failed(&error))?;
        let last_event_id = position.last_event_id(*self.head.borrow());
        let response = HandshakeResponse {
            resume: position.resume,
            resumed_after: position.resumed_after,
            last_event_id,
            ..self.handshake_response(HandshakeStatus::Accepted, None)
        };
        self.cursor = Some(position.cursor.held_by(self.mail.barrier()));
        self.behind.set(true);
        self.send(socket, &ServerMessage::HandshakeResponse(response)).await?;
        self.first_reports(socket, self.session.topics().iter().collect()).await
    }

    pub(super) async fn reject<S>(&mut self, socket: &mut Socket<S>, reason: String, code: CloseCode) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // A rejected client learns nothing about the wallet or other relays.
        let response = HandshakeResponse {
            silent_payment_address: None,
            relays: Vec::new(),
            ..self.handshake_response(HandshakeStatus::Rejected, Some(reason.clone()))
        };
        self.send(socket, &ServerMessage::HandshakeResponse(response)).await?;
        Err(End::Close(code, reason))
    }

    pub(super) fn handshake_response(&mut self, status: HandshakeStatus, reason: Option<String>) -> HandshakeResponse {
        HandshakeResponse {
            status,
            relay_id: self.handles.identity.relay_id.clone(),
            version: API_VERSION.to_owned(),
            capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
            timestamp: unix_now(),
            reason,
            connection_id: Some(self.name()),
            network: self.handles.settings.now().network.name().to_owned(),
            last_event_id: *self.head.borrow(),
            silent_payment_address: self.handles.identity.address.clone(),
            software_version: SOFTWARE_VERSION.to_owned(),
            resume: None,
            resumed_after: None,
            mac: self.mac.clone(),
            relays: self.handles.mesh.around().others.clone(),
            unknown_capabilities: self.session.unknown_capabilities(),
        }
    }

    pub(super) fn topics(&self, status: &str) -> SubscribeResponse {
        SubscribeResponse {
            status: status.to_owned(),
            subscriptions: self.session.topics().iter().collect(),
            relay_id: self.handles.identity.relay_id.clone(),
            timestamp: unix_now(),
        }
    }

    /// The first report of each topic that has reports, sent at once (docs/API.md, "Subscribe to topics").
    pub(super) async fn first_reports<S>(&mut self, socket: &mut Socket<S>, added: Vec<Topic>) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for topic in added {
            if let Some(frame) = self.handles.syncs.report(&*self.handles.host, topic) {
                self.send_frame(socket, &frame).await?;
            }
        }
        Ok(())
    }
}
