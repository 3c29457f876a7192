//! Registers and ends watches.

use sdk_relay_detect::{DetachedState, Registered};
use sdk_relay_events::Frame;
use sdk_relay_protocol::{
    Attach, AttachResponse, EndReason, ErrorCode, ServerMessage, Unwatch, UnwatchResponse, Watch, WatchEnded,
    WatchResponse,
};
use sdk_relay_telemetry::clock::unix_now;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::session::refusal;
use super::super::socket::Socket;
use super::pending::{Command, Done};
use super::{Connection, Step, WATCH_INTERVAL};

impl Connection {
    pub(super) async fn watch<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        watch: Watch,
    ) -> Step {
        if self.watches.as_ref().is_some_and(|limit| limit.check().is_err()) {
            let message = format!(
                "too many watches in a short time: one new watch every {} s is allowed; wait, then send it again",
                WATCH_INTERVAL.as_secs()
            );
            self.session.not_watching();
            return self
                .refuse(socket, refusal(ErrorCode::RateLimited, &message, watch.message_id))
                .await;
        }
        match self.pending.push(Command::Watch(watch)) {
            Ok(()) => Ok(()),
            Err(refusal) => {
                self.session.not_watching();
                self.refuse(socket, refusal).await
            }
        }
    }

    pub(super) async fn attach<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        attach: Attach,
    ) -> Step {
        match self.pending.push(Command::Attach(attach)) {
            Ok(()) => Ok(()),
            Err(refusal) => {
                self.session.not_watching();
                self.refuse(socket, refusal).await
            }
        }
    }

    pub(super) async fn unwatch<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        unwatch: Unwatch,
    ) -> Step {
        match self.pending.push(Command::Unwatch(unwatch)) {
            Ok(()) => Ok(()),
            Err(refusal) => self.refuse(socket, refusal).await,
        }
    }

    /// Answers a completed command.
    pub(super) async fn done<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>, done: Done) -> Step {
        match done {
            Done::Watched {
                registered: Registered { watch_id, history },
                address,
                from_height,
                token,
                in_reply_to,
            } => {
                self.session.watching(watch_id.clone(), token.is_some());
                let response = WatchResponse {
                    status: "watching".to_owned(),
                    watch_id,
                    address,
                    history: Some(history.state),
                    from_height,
                    start_height: history.start_height,
                    missing: history.missing,
                    watch_token: token,
                    in_reply_to,
                    timestamp: unix_now(),
                };
                self.send(socket, &ServerMessage::WatchResponse(response)).await
            }
            Done::Attached {
                watch_id,
                state,
                in_reply_to,
            } => {
                self.session.watching(watch_id.clone(), true);
                let response = attached(watch_id, &state, in_reply_to);
                self.send(socket, &ServerMessage::AttachResponse(response)).await
            }
            Done::Refused(refusal) => {
                self.session.not_watching();
                if refusal.code == ErrorCode::NotFound {
                    // No mistake of the client: an app that comes back may have many watches that have ended.
                    return self.send_error(socket, refusal).await;
                }
                self.refuse(socket, refusal).await
            }
            Done::NotUnwatched(refusal) => self.send_error(socket, refusal).await,
            Done::Unwatched(unwatch) => {
                // Detection has ended the watch: its last payments are in the mailbox, and none may be sent after the
                // answer.
                while let Some(message) = self.mail.try_next() {
                    self.feed_watch_message(socket, message).await?;
                }
                let response = UnwatchResponse {
                    status: "unwatched".to_owned(),
                    watch_id: unwatch.watch_id,
                    in_reply_to: unwatch.message_id,
                    timestamp: unix_now(),
                };
                self.send(socket, &ServerMessage::UnwatchResponse(response)).await
            }
            Done::Logged => Ok(()),
        }
    }
}

impl Connection {
    /// The relay stops or restarts, and the detached watches of this connection end with it: tells the client, so that
    /// it watches again, and does not look for them.
    pub(super) async fn end_detached<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>) -> Step {
        let ended: Vec<String> = self.session.detached().map(str::to_owned).collect();
        // What was found before is sent first: nobody can ask for it later.
        self.feed_mail(socket).await?;
        for watch_id in ended {
            let ended = WatchEnded {
                watch_id,
                reason: EndReason::RelayStopped,
                timestamp: unix_now(),
            };
            self.feed_frame(socket, &Frame::encode(&ServerMessage::WatchEnded(ended)))
                .await?;
        }
        Ok(socket.flush().await?)
    }
}

fn attached(watch_id: String, state: &DetachedState, in_reply_to: Option<String>) -> AttachResponse {
    AttachResponse {
        status: "attached".to_owned(),
        watch_id,
        first_watch_seq: state.first_seq,
        last_watch_seq: state.last_seq,
        history: state.history,
        height: state.height,
        in_reply_to,
        timestamp: unix_now(),
    }
}
