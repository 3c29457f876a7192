//! Commands that wait for detection, concurrently with the rest of the connection.
//!
//! They are processed in sequence, so that the answers are in the order of the requests. Detection may be busy, its
//! store may fail, its node may be unreachable: none of that delays the connection's pings, its close, or its other
//! messages.
//!
//! What all clients wait for together (permits for computations with keys, the search of a first block) is used in
//! tasks of their own: the connection may wait for a client that does not read. The command to detection is not: its
//! answer has to be there before the first message of the watch.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use sdk_relay_backfill::Heights;
use sdk_relay_bip352::wipe_stack_below;
use sdk_relay_detect::{AttachOrder, Detach, DetachedState, Mailbox, Registered, WatchOrder, WatchRefused};
use sdk_relay_platform::blocking;
use sdk_relay_protocol::{Attach, ErrorCode, Event, Refusal, SecretHex, Unwatch, Watch};
use sdk_relay_service::{FirstBlockError, FirstBlocks};
use sdk_relay_transport::{SpawnConnection, spawn_work};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::detach::{attach_refusal, check_attach, detached_seconds};
use super::super::session::refusal;
use super::super::watch::{From, Keys, Limits, RequestedHistory, below, check_sizes, keys};
use crate::handles::Handles;

/// Maximum number of queued commands per connection: more than the default maximum of watches, so that a client can
/// request all of them at once. Each takes at most 2 KB, as an oversized `watch` is queued as its refusal: 256 KB in
/// all.
const COMMANDS_WAITING: usize = 128;

/// A queued command.
#[derive(Debug)]
pub(super) enum Command {
    Watch(Watch),
    /// At most as many as the connection has watches.
    Unwatch(Unwatch),
    Attach(Attach),
    /// A `watch` that is refused, queued to keep the order of the answers.
    Refuse(Refusal),
    Log(Event),
}

/// A completed command with its answer.
#[derive(Debug)]
pub(super) enum Done {
    Watched {
        registered: Registered,
        address: String,
        /// First block of the requested history.
        from_height: Option<u32>,
        /// Of a detached watch.
        token: Option<SecretHex>,
        in_reply_to: Option<String>,
    },
    Attached {
        watch_id: String,
        state: DetachedState,
        in_reply_to: Option<String>,
    },
    Refused(Refusal),
    Unwatched(Unwatch),
    /// The watch will end, but has not ended yet.
    NotUnwatched(Refusal),
    Logged,
}

/// The commands that wait, in the order of the requests.
#[derive(Debug, Default)]
struct Queue(VecDeque<Command>);

impl Queue {
    /// Only `watch` and `attach` are bounded here: see [`Command`] for the others.
    fn push(&mut self, command: Command, max_labels: usize) -> Result<(), Refusal> {
        let bounded = match &command {
            Command::Watch(watch) => Some(&watch.message_id),
            Command::Attach(attach) => Some(&attach.message_id),
            Command::Unwatch(_) | Command::Refuse(_) | Command::Log(_) => None,
        };
        if let Some(message_id) = bounded
            && self.0.len() >= COMMANDS_WAITING
        {
            let message = format!(
                "{COMMANDS_WAITING} commands of this connection have no answer yet: wait for some of the answers"
            );
            return Err(refusal(ErrorCode::RateLimited, &message, message_id.clone()));
        }
        let command = match command {
            // It may take a megabyte, so only its refusal is queued.
            Command::Watch(watch) => {
                check_sizes(&watch, max_labels).map_or_else(Command::Refuse, |()| Command::Watch(watch))
            }
            Command::Attach(attach) => check_attach(&attach).map_or_else(Command::Refuse, |()| Command::Attach(attach)),
            other => other,
        };
        self.0.push_back(command);
        Ok(())
    }
}

type Running = Pin<Box<dyn Future<Output = Done> + Send>>;

/// The queued commands of one connection.
pub(super) struct Pending {
    handles: Arc<Handles>,
    mailbox: Mailbox,
    waiting: Queue,
    running: Option<Running>,
    runs_log: bool,
    /// Ends the tasks of the commands with the connection.
    cut: DropGuard,
}

impl Pending {
    pub(super) fn new(handles: Arc<Handles>, mailbox: Mailbox) -> Self {
        Self {
            handles,
            mailbox,
            waiting: Queue::default(),
            running: None,
            runs_log: false,
            cut: CancellationToken::new().drop_guard(),
        }
    }

    /// Queues a command, unless too many are queued.
    pub(super) fn push(&mut self, command: Command) -> Result<(), Refusal> {
        let max_labels = self.handles.settings.now().max_labels_per_watch;
        self.waiting.push(command, max_labels)
    }

    /// The next completed command. Cancel safe.
    pub(super) async fn next(&mut self) -> Done {
        loop {
            if let Some(running) = &mut self.running {
                let done = running.await;
                self.running = None;
                return done;
            }
            let Some(command) = self.waiting.0.pop_front() else {
                return std::future::pending().await;
            };
            self.runs_log = matches!(command, Command::Log(_));
            let cut = self.cut.token().clone();
            self.running = Some(Box::pin(run(
                Arc::clone(&self.handles),
                self.mailbox.clone(),
                cut,
                command,
            )));
        }
    }

    /// After the end of the connection: events are still written to the log, new watches are dropped.
    pub(super) async fn log_remaining(self) {
        if let Some(running) = self.running.filter(|_| self.runs_log) {
            running.await;
        }
        for command in self.waiting.0 {
            if let Command::Log(event) = command {
                self.handles.detection.log(event).await;
            }
        }
    }
}

async fn run(handles: Arc<Handles>, mailbox: Mailbox, cut: CancellationToken, command: Command) -> Done {
    match command {
        Command::Watch(watch) => order(&handles, mailbox, cut, watch).await.unwrap_or_else(Done::Refused),
        Command::Unwatch(unwatch) => {
            if handles.detection.unwatch(unwatch.watch_id.clone()).await {
                return Done::Unwatched(unwatch);
            }
            let message = "the watch ends as soon as the relay can write events again (GET /health may say why)";
            Done::NotUnwatched(refusal(ErrorCode::Unavailable, message, unwatch.message_id))
        }
        Command::Attach(attach) => attach_to(&handles, mailbox, attach).await,
        Command::Refuse(refusal) => Done::Refused(refusal),
        Command::Log(event) => {
            handles.detection.log(event).await;
            Done::Logged
        }
    }
}

async fn order(
    handles: &Arc<Handles>,
    mailbox: Mailbox,
    cut: CancellationToken,
    watch: Watch,
) -> Result<Done, Refusal> {
    let in_reply_to = watch.message_id.clone();
    let confirm_at = watch.confirm_at.clone().unwrap_or_default();
    let detached = detached_seconds(&watch, handles.settings.now().detached.longest)?;
    let prepared = prepare(Arc::clone(handles), mailbox.address(), watch);
    let prepared = owned(&*handles.spawner, cut, prepared).await;
    let Prepared {
        receiver,
        addresses,
        history,
    } = prepared.unwrap_or_else(|| Err(unchecked(in_reply_to.clone())))?;
    let address = addresses.get(&None).cloned().unwrap_or_default();
    let order = WatchOrder {
        receiver,
        addresses,
        mailbox,
        history,
        confirm_at,
    };
    let registered = match detached {
        Some(seconds) => {
            let wakers = Vec::new();
            let registered = handles
                .detection
                .watch_detached(order, Detach { seconds, wakers })
                .await;
            registered.map(|(registered, token)| (registered, Some(token.to_hex())))
        }
        None => handles
            .detection
            .watch(order)
            .await
            .map(|registered| (registered, None)),
    };
    match registered {
        Ok((registered, token)) => Ok(Done::Watched {
            registered,
            address,
            from_height: history.map(|heights| heights.from),
            token,
            in_reply_to,
        }),
        Err(refused) => {
            let code = match refused {
                WatchRefused::DetachedOfAddress => ErrorCode::TooManyWatches,
                WatchRefused::Full
                | WatchRefused::DetachedFull
                | WatchRefused::Busy
                | WatchRefused::Stalled
                | WatchRefused::Ending => ErrorCode::Unavailable,
            };
            Err(refusal(code, &refused.to_string(), in_reply_to))
        }
    }
}

async fn attach_to(handles: &Handles, mailbox: Mailbox, attach: Attach) -> Done {
    let Attach {
        watch_id,
        watch_token,
        after,
        message_id,
    } = attach;
    let order = AttachOrder {
        watch_id: watch_id.clone(),
        token: watch_token,
        after,
        mailbox,
    };
    match handles.detection.attach(order).await {
        Ok(state) => Done::Attached {
            watch_id,
            state,
            in_reply_to: message_id,
        },
        Err(refused) => Done::Refused(attach_refusal(&refused, message_id)),
    }
}

/// Runs work as a task that goes on while the connection waits for its client, and that ends with the connection.
/// `None`: it has panicked.
async fn owned<T: Send + 'static>(
    spawner: &dyn SpawnConnection,
    cut: CancellationToken,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    spawn_work(spawner, cut, work).await.ok()
}

/// What a watch is registered with.
struct Prepared {
    receiver: sdk_relay_bip352::Prepared,
    addresses: HashMap<Option<u32>, String>,
    history: Option<Heights>,
}

async fn prepare(handles: Arc<Handles>, client: IpAddr, watch: Watch) -> Result<Prepared, Refusal> {
    let in_reply_to = watch.message_id.clone();
    let network = handles.settings.now().network.silent_payment();
    let limits = Limits {
        labels: handles.settings.now().max_labels_per_watch,
        has_index: handles.index.is_some(),
    };
    let scanner = handles.detection.scanner().clone();
    let turn = handles.key_work.turn(client).await;
    // A hundred labels take about 10 ms, which is too long for the threads of the async runtime.
    let keys = blocking::spawn(move || {
        let keys = keys(&watch, network, limits, &scanner);
        drop(watch);
        // The pool keeps the thread, and with it the remains of the key on its stack.
        wipe_stack_below();
        drop(turn);
        keys
    });
    let keys = keys.await;
    let Keys {
        receiver,
        addresses,
        history,
    } = keys.unwrap_or_else(|_| Err(unchecked(in_reply_to.clone())))?;
    let history = match history {
        Some(requested) => Some(heights(&handles.first_blocks, requested, in_reply_to).await?),
        None => None,
    };
    Ok(Prepared {
        receiver,
        addresses,
        history,
    })
}

fn unchecked(in_reply_to: Option<String>) -> Refusal {
    let message = "the keys could not be checked: please report this bug";
    refusal(ErrorCode::Internal, message, in_reply_to)
}

/// The blocks of a history. Where it begins at a time, the node is asked for the first block.
async fn heights(
    first_blocks: &FirstBlocks,
    requested: RequestedHistory,
    in_reply_to: Option<String>,
) -> Result<Heights, Refusal> {
    let from = match requested.from {
        From::Height(height) => height,
        From::Time(time) => match first_blocks.since(time.0).await {
            Ok(block) => block.height,
            Err(error) => {
                let code = match error {
                    FirstBlockError::Future { .. } => ErrorCode::InvalidField,
                    FirstBlockError::Source(_) | FirstBlockError::TooLong => ErrorCode::Unavailable,
                };
                return Err(refusal(code, &format!("from_time: {error}"), in_reply_to));
            }
        },
    };
    match requested.to {
        Some(to) if to < from => Err(refusal(ErrorCode::InvalidField, &below(from), in_reply_to)),
        to => Ok(Heights { from, to }),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use sdk_relay_transport::AddressPermits;

    use super::*;

    fn watch(labels: u32) -> Command {
        let message = serde_json::json!({
            "scan_private_key": "01".repeat(32),
            "spend_public_key": "02".repeat(33),
            "labels": (0..labels).collect::<Vec<_>>(),
            "message_id": "w",
        });
        Command::Watch(serde_json::from_value(message).unwrap())
    }

    #[test]
    fn a_watch_over_the_limit_is_refused_and_the_end_of_a_watch_is_queued() {
        let mut queue = Queue::default();
        for _ in 0..COMMANDS_WAITING {
            queue.push(watch(1), 10).unwrap();
        }
        let refused = queue.push(watch(1), 10).unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimited);
        assert_eq!(refused.in_reply_to.as_deref(), Some("w"));
        assert!(refused.message.contains("128 commands"), "{}", refused.message);
        let end = serde_json::from_str(r#"{"watch_id": "1"}"#).unwrap();
        queue.push(Command::Unwatch(end), 10).unwrap();
        assert_eq!(queue.0.len(), COMMANDS_WAITING + 1);
        queue.0.pop_front();
        queue.0.pop_front();
        queue.push(watch(1), 10).unwrap();
    }

    #[test]
    fn a_watch_that_is_too_large_is_queued_as_its_refusal() {
        let mut queue = Queue::default();
        queue.push(watch(11), 10).unwrap();
        assert!(
            matches!(&queue.0[0], Command::Refuse(refused) if refused.message.contains("labels")),
            "{queue:?}"
        );
    }

    #[derive(Debug)]
    struct Tasks;

    impl SpawnConnection for Tasks {
        fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
            tokio::spawn(task);
        }
    }

    /// A connection whose client does not read waits in a write, and polls no command.
    #[tokio::test]
    async fn a_command_gives_back_what_others_wait_for_although_its_connection_waits() {
        let permits = Arc::new(AddressPermits::new(1, 1));
        let (held, address) = (Arc::clone(&permits), IpAddr::from([192, 0, 2, 1]));
        let turn = permits.acquire(address, 1).await;
        let cut = CancellationToken::new();
        let command = owned(&Tasks, cut.clone(), async move { drop(held.acquire(address, 1).await) });
        let mut command = Box::pin(command);
        assert!(command.as_mut().now_or_never().is_none(), "it waits for the turn");
        tokio::task::yield_now().await;
        drop(turn);
        drop(permits.acquire(address, 1).await.unwrap());
        assert_eq!(command.await, Some(()));
        // With the connection it ends.
        let held = Arc::clone(&permits);
        let command = owned(&Tasks, cut.clone(), async move {
            let _turn = held.acquire(address, 1).await;
            std::future::pending::<()>().await;
        });
        assert!(Box::pin(command).as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
        assert!(permits.try_acquire(address, 1).is_none());
        cut.cancel();
        drop(permits.acquire(address, 1).await.unwrap());
    }
}
