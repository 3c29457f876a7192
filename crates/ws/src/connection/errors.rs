//! Answers and counts the client's errors.

use sdk_relay_protocol::{ErrorMessage, Refusal, ServerMessage};
use sdk_relay_telemetry::clock::unix_now;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::session::Action;
use super::super::socket::Socket;
use super::{Connection, End, Step};

impl Connection {
    pub(super) async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        refusal: Refusal,
    ) -> Step {
        match self.session.refuse(refusal) {
            Action::RefuseAndClose(refusal, code) => {
                let reason = format!("too many errors in a row; the last: {}", refusal.message);
                self.send_error(socket, refusal).await?;
                Err(End::Close(code, reason))
            }
            Action::Refuse(refusal) => self.send_error(socket, refusal).await,
            _ => Ok(()),
        }
    }

    pub(super) async fn send_error<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        refusal: Refusal,
    ) -> Step {
        self.handles.traffic.watching.error_replies.inc();
        let Refusal {
            code,
            message,
            in_reply_to,
        } = refusal;
        let error = ErrorMessage {
            code,
            message,
            in_reply_to,
            timestamp: unix_now(),
        };
        self.send(socket, &ServerMessage::Error(error)).await
    }
}
