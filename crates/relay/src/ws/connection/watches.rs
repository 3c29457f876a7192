//! Watches come and go.

use sdk_relay_protocol::{ErrorCode, ServerMessage, Unwatch, UnwatchResponse, Watch, WatchResponse};
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::session::refusal;
use super::super::socket::Socket;
use super::super::watch::keys;
use super::{Connection, Step, WATCH_EVERY};
use crate::clock::unix_now;
use crate::detect::{Registered, WatchOrder};

impl Connection {
    pub(super) async fn watch<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        watch: Watch,
    ) -> Step {
        if self.watches.as_ref().is_some_and(|limit| limit.check().is_err()) {
            let message = format!("a new watch every {} s: wait a moment", WATCH_EVERY.as_secs());
            return self
                .refuse(socket, refusal(ErrorCode::RateLimited, &message, watch.message_id))
                .await;
        }
        let network = self.cx.config().network.silent_payment();
        let keys = match keys(
            &watch,
            network,
            self.cx.config().max_labels_per_watch,
            self.cx.index.is_some(),
        ) {
            Ok(keys) => keys,
            Err(refusal) => return self.refuse(socket, refusal).await,
        };
        let address = keys.addresses.get(&None).cloned().unwrap_or_default();
        let order = WatchOrder {
            receiver: keys.receiver,
            addresses: keys.addresses,
            mailbox: self.mailbox.clone(),
            history: keys.history,
        };
        match self.cx.detection.watch(order).await {
            Ok(Registered { watch_id, history }) => {
                self.session.watching(watch_id.clone());
                let response = WatchResponse {
                    status: "watching".to_owned(),
                    watch_id,
                    address,
                    history: Some(history.state),
                    start_height: history.start_height,
                    missing: history.missing,
                    in_reply_to: watch.message_id,
                    timestamp: unix_now(),
                };
                self.send(socket, &ServerMessage::WatchResponse(response)).await
            }
            Err(refused) => {
                let refusal = refusal(ErrorCode::Unavailable, &refused.to_string(), watch.message_id);
                self.refuse(socket, refusal).await
            }
        }
    }

    pub(super) async fn unwatch<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut Socket<S>,
        unwatch: Unwatch,
    ) -> Step {
        self.cx.detection.unwatch(unwatch.watch_id.clone()).await;
        let response = UnwatchResponse {
            status: "unwatched".to_owned(),
            watch_id: unwatch.watch_id,
            in_reply_to: unwatch.message_id,
            timestamp: unix_now(),
        };
        self.send(socket, &ServerMessage::UnwatchResponse(response)).await
    }
}
