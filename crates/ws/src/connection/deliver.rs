//! Unsolicited messages: events, payments to the client's watches, histories, reports.

use futures_util::FutureExt;
use sdk_relay_detect::WatchMessage;
use sdk_relay_events::{Frame, Next, Report};
use sdk_relay_protocol::{CloseCode, Topic};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast::error::RecvError;

use super::super::socket::{Socket, WriteFailed};
use super::pending::Done;
use super::{Connection, End, Step, failed};

impl Connection {
    /// Sends the next events.
    pub(super) async fn advance<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>) -> Step {
        let Some(cursor) = self.cursor.as_mut() else {
            return Ok(());
        };
        match self.handles.hub.next(cursor, self.session.topics()).await {
            Ok(Next::UpToDate) => self.behind.set(false),
            Ok(Next::Frames(frames)) => {
                self.behind.set(true);
                // A connection with watches waits for its scans: its times would tell of them.
                let is_timed = cursor.is_live() && !self.session.has_watches();
                // An event passes the barrier once everything before it is scanned for this client's watches and the
                // payments found are in the mailbox. They are sent first, so that a client that receives a block has
                // already received the payments in it.
                self.feed_mail(socket).await?;
                for frame in &frames {
                    socket.feed(frame).await?;
                }
                socket.flush().await?;
                if is_timed {
                    self.time_delivery(&frames);
                }
                self.handles.traffic.messages_sent.inc_by(frames.len() as u64);
                self.handles.traffic.notifications_sent.inc_by(frames.len() as u64);
            }
            Ok(Next::Lagged) => return Err(End::from(WriteFailed::Slow)),
            Ok(Next::Hole) => {
                let reason = "blocks could not be followed, because the node has pruned them: connect again and resume";
                return Err(End::Close(CloseCode::TryAgain, reason.to_owned()));
            }
            Err(error) => return Err(failed(&error)),
        }
        Ok(())
    }

    fn time_delivery(&self, frames: &[Frame]) {
        let first = frames.iter().find_map(Frame::event_id);
        let last = frames.iter().rev().find_map(Frame::event_id);
        if let (Some(first), Some(last)) = (first, last) {
            self.handles.timings.delivered(first, last);
        }
    }

    /// Sends payments to the client's watches: this one, and those queued after it.
    pub(super) async fn deliver<S>(&mut self, socket: &mut Socket<S>, message: Option<WatchMessage>) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let message = message.ok_or_else(|| {
            let reason = self.mail.why_given_up();
            reason.map_or(End::from(WriteFailed::Slow), |reason| {
                End::Close(CloseCode::TryAgain, reason.to_owned())
            })
        })?;
        self.feed_message(socket, message).await?;
        self.feed_mail(socket).await?;
        Ok(socket.flush().await?)
    }

    /// Feeds the queued payments to the client's watches to the socket, without a flush.
    pub(super) async fn feed_mail<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut Socket<S>) -> Step {
        while let Some(message) = self.mail.try_next() {
            self.feed_message(socket, message).await?;
        }
        Ok(())
    }

    /// Feeds a message of the mailbox to the socket, after the answers to completed commands. Detection answers a
    /// `watch` before it puts a payment of that watch into the mailbox, so the answer is available before any message
    /// of the watch. The answer to an `unwatch` follows the message, as it may belong to that watch.
    async fn feed_message<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        message: WatchMessage,
    ) -> Step {
        let mut last = None;
        // Unconstrained: with tokio's cooperative budget used up, the future would be pending although a command is
        // done.
        while let Some(done) = tokio::task::unconstrained(self.pending.next()).now_or_never() {
            if matches!(done, Done::Unwatched(_)) {
                // Later commands have not begun.
                last = Some(done);
                break;
            }
            self.done(socket, done).await?;
        }
        self.feed_watch_message(socket, message).await?;
        match last {
            Some(done) => self.done(socket, done).await,
            None => Ok(()),
        }
    }

    pub(super) async fn feed_watch_message<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        message: WatchMessage,
    ) -> Step {
        if let WatchMessage::Ended(ended) = &message {
            self.session.not_watching_any_more(&ended.watch_id);
        }
        match message.into_server_message() {
            Some(message) => self.feed_frame(socket, &Frame::encode(&message)).await,
            None => Ok(()),
        }
    }

    pub(super) async fn feed_frame<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        frame: &Frame,
    ) -> Step {
        socket.feed(frame).await?;
        self.count_sent(frame);
        if !frame.is_private() {
            self.handles.traffic.notifications_sent.inc();
        }
        Ok(())
    }

    /// Sends a part of the history of the topic `tweaks`.
    pub(super) async fn send_history<S>(&mut self, socket: &mut Socket<S>, frames: Option<Vec<Frame>>) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(frames) = frames.filter(|_| self.session.topics().contains(Topic::Tweaks)) else {
            self.tweaks_history = None;
            return Ok(());
        };
        for frame in &frames {
            self.feed_frame(socket, frame).await?;
        }
        Ok(socket.flush().await?)
    }

    pub(super) async fn pass_on<S>(&mut self, socket: &mut Socket<S>, report: Result<Report, RecvError>) -> Step
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match report {
            Ok(report) if self.session.topics().contains(report.topic) => self.send_frame(socket, &report.frame).await,
            // A missed report is replaced by the next one of its topic.
            _ => Ok(()),
        }
    }
}
