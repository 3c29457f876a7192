//! Peers that are relays: those that prove their identity become links of the mesh.

use sdk_relay_mesh_net::{KnownRelay, LinkStep};
use sdk_relay_protocol::{CloseCode, Event, RelayConnected, RelayProof};
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::begin::Begin;
use super::super::socket::Socket;
use super::pending::Command;
use super::{Connection, End, Step};

impl Connection {
    /// Checks a relay's proof: if it is valid, the connection becomes a link of the mesh.
    pub(super) async fn prove<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        proof: &RelayProof,
    ) -> Step {
        let Some((listener, since)) = self.proving.take() else {
            return self
                .reject(
                    socket,
                    "unexpected relay_proof: the handshake had no identity".to_owned(),
                    CloseCode::Protocol,
                )
                .await;
        };
        let (peer, mac) = match self.handles.mesh.verify(listener, proof) {
            Ok(proven) => proven,
            Err(reason) => return self.reject(socket, reason, CloseCode::Policy).await,
        };
        let Some(handshake) = self.session.proven() else {
            return Err(End::Close(
                CloseCode::Server,
                "the state of the handshake is inconsistent".to_owned(),
            ));
        };
        self.mac = mac;
        let latency = since.elapsed();
        self.welcome(socket, Begin::Now).await?;
        let version = handshake.version.chars().take(32).collect();
        let from = self.client.ip();
        self.link = Some(self.handles.mesh.joined(&peer, from, latency, KnownRelay { version }));
        Ok(())
    }

    pub(super) async fn link_step<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        step: LinkStep,
    ) -> Step {
        match step {
            LinkStep::Send(frame) => self.send_frame(socket, &frame).await,
            LinkStep::Close(why) => Err(End::Close(CloseCode::Normal, why.to_owned())),
        }
    }

    pub(super) fn relay_joined(&mut self, relay: RelayConnected) {
        // Only watches can be refused.
        if self.handles.mesh.may_announce_unproven()
            && self
                .pending
                .push(Command::Log(Event::RelayConnected(relay.clone())))
                .is_ok()
        {
            self.relay = Some(relay);
        }
    }
}
