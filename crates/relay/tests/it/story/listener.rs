//! A client that reconnects until it is dropped, and resumes after its last event.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sdk_relay_client::protocol::{API_VERSION, ClientMessage, Handshake, HandshakeStatus, ServerMessage};
use sdk_relay_client::{Disconnect, Notification, RawClient, Resume};
use tokio::task::JoinHandle;

/// Retry interval while the relay is down: short, so that it connects even to a relay that is killed soon.
const RETRY_AFTER: Duration = Duration::from_millis(5);

/// A raw connection that reconnects: the SDK client would hide duplicate events. It ends with this handle.
#[derive(Debug)]
pub(crate) struct Listener {
    received: Arc<Mutex<Received>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Received {
    events: Vec<Notification>,
    connections: usize,
}

impl Listener {
    /// Subscribes to notifications and tweaks at `url`, from the first event of the log.
    pub(crate) fn start(url: String) -> Listener {
        let received = Arc::<Mutex<Received>>::default();
        let record = Arc::clone(&received);
        let task = tokio::spawn(async move {
            loop {
                if let Ok(mut client) = RawClient::connect(&url).await {
                    // The relay was killed: there is no other reason to end.
                    let Err(end) = listen(&mut client, &record).await;
                    assert!(
                        matches!(&end, Disconnect::Lost(why) if !why.contains("invalid message")),
                        "{end}"
                    );
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        });
        Listener { received, task }
    }

    /// All events so far.
    pub(crate) fn received(&self) -> Vec<Notification> {
        self.received.lock().unwrap().events.clone()
    }

    /// Number of answered handshakes.
    pub(crate) fn connections(&self) -> usize {
        self.received.lock().unwrap().connections
    }

    /// Panics if the listener has, because of a wrong message.
    pub(crate) fn check(&self) {
        assert!(!self.task.is_finished(), "the listener failed: its panic is above");
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(client: &mut RawClient, record: &Mutex<Received>) -> Result<Infallible, Disconnect> {
    let last = record
        .lock()
        .unwrap()
        .events
        .last()
        .and_then(|n| n.event_id)
        .unwrap_or(0);
    let handshake = Handshake {
        client_id: "listener".to_owned(),
        version: API_VERSION.to_owned(),
        capabilities: vec!["notifications".to_owned(), "tweaks".to_owned()],
        resume_from: Some(last),
        ..Handshake::default()
    };
    client.send(&ClientMessage::Handshake(handshake)).await?;
    let ServerMessage::HandshakeResponse(response) = client.next_message().await? else {
        panic!("the first answer is to the handshake");
    };
    assert_eq!(response.status, HandshakeStatus::Accepted, "{response:?}");
    assert_eq!(response.resume, Some(Resume::Complete), "{response:?}");
    assert!(
        response.last_event_id >= last,
        "{last} was sent, and is not in the log: {response:?}"
    );
    record.lock().unwrap().connections += 1;
    loop {
        match client.next_message().await? {
            ServerMessage::Notification(notification) => record.lock().unwrap().events.push(notification),
            other => panic!("nothing else was asked for: {other:?}"),
        }
    }
}
