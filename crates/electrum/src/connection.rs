//! The task of one connection, which alone uses its socket.
//!
//! It has no queue of output: while the client does not read, the task waits in a write, takes nothing from its mailbox
//! (so that scans wait), and reads no requests. The write timeout of the stream ends it.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use sdk_relay_detect::{LedgerShare, MailboxReceiver, WatchMessage};
use sdk_relay_transport::{FinalWrites, Shutdown, network_of, shutdown_requested};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::backend::{Backend, Changed};
use crate::error::RpcError;
use crate::handles::Handles;
use crate::limits::{LINES_IN_WORK, MAX_LINE};
use crate::lines::{Lines, Read};
use crate::pace::Pace;
use crate::reply::answer;
use crate::request::{Line, Refused, parse};
use crate::session::{Options, Session};
use crate::subscribe::Extents;
use crate::work::{Context, Finished, Work};

/// A client that has connected.
pub(crate) struct Arrival {
    pub(crate) client: std::net::IpAddr,
    /// Whether scan keys may cross the connection.
    pub(crate) takes_keys: bool,
    pub(crate) final_writes: FinalWrites,
}

/// Why a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client has disconnected, or does not read.
    Gone,
    /// The relay closes it; the client gets the reason.
    Close(RpcError),
}

type Running = Pin<Box<dyn Future<Output = Finished> + Send>>;
type Parsed = Result<Line, Refused>;
/// What runs the connection to the backend.
type BackendDriver = Pin<Box<dyn Future<Output = ()> + Send>>;
type BackendLink = (BackendDriver, mpsc::Receiver<Changed>);

struct Connection<S> {
    handles: Arc<Handles>,
    lines: Lines<S>,
    session: Session,
    context: Context,
    mail: MailboxReceiver,
    /// Memory of what its watches have found.
    found: LedgerShare,
    pace: Pace,
    tip: watch::Receiver<Option<crate::tip::Tip>>,
    /// The connection to the backend, and its notifications.
    backend: Option<BackendLink>,
    works: FuturesUnordered<Running>,
    /// A line that waits for its rate.
    delayed: Option<(Instant, Parsed)>,
    /// A line that changes watches and waits for another one that does.
    waiting: Option<Work>,
    changes_watches: bool,
    has_watched: bool,
    /// The client sends no more.
    has_ended: bool,
    last_request: Instant,
}

/// Serves a client until either side closes the connection.
pub(crate) async fn serve<S>(handles: Arc<Handles>, stream: S, arrival: Arrival, mut ending: Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _gauge = Gauged::new(&handles);
    let final_writes = arrival.final_writes.clone();
    let within = handles.timeouts.close;
    let mut connection = Connection::new(handles, stream, &arrival);
    let end = connection.run(&mut ending).await;
    if connection.has_watched {
        connection.handles.detection.leave(&connection.context.mailbox);
    }
    if let End::Close(error) = end {
        tracing::debug!(client = %arrival.client, reason = error.message, "closing an Electrum connection");
        close(connection.lines, final_writes, error, within).await;
    }
}

/// Ends a connection with the reason.
pub(crate) async fn close<S>(
    mut lines: Lines<S>,
    final_writes: FinalWrites,
    error: RpcError,
    within: std::time::Duration,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    final_writes.begin();
    let closing = async {
        lines.write(&[answer(None, &Err(error))]).await?;
        lines.shut_down().await
    };
    // The client may have disconnected, or not read.
    drop(timeout(within, closing).await);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(handles: Arc<Handles>, stream: S, arrival: &Arrival) -> Self {
        let settings = handles.settings.now();
        let timeouts = handles.timeouts;
        let (mailbox, mail) = handles.detection.mailbox(network_of(arrival.client));
        let address = settings.electrum.backend.clone();
        let (handle, backend) = address
            .map(|address| {
                let (handle, driver, changes) = Backend::new(address, timeouts.backend);
                let driver: BackendDriver = Box::pin(driver.run());
                (handle, (driver, changes))
            })
            .unzip();
        let options = Options {
            takes_keys: arrival.takes_keys,
            has_backend: handle.is_some(),
            is_positional: settings.electrum.positional_notifications,
            timeouts,
        };
        let session = Session::new(options);
        Self {
            lines: Lines::new(stream, Arc::clone(&handles.input)),
            found: mailbox.ledger_share(),
            mail,
            context: Context {
                handles: Arc::clone(&handles),
                mailbox,
                extents: Extents::default(),
                backend: handle,
                scans: session.scans(),
            },
            session,
            pace: Pace::of_requests(),
            tip: handles.tip.clone(),
            backend,
            works: FuturesUnordered::new(),
            delayed: None,
            waiting: None,
            changes_watches: false,
            has_watched: false,
            has_ended: false,
            last_request: Instant::now(),
            handles,
        }
    }

    async fn run(&mut self, ending: &mut Shutdown) -> End {
        let idle = self.handles.timeouts.idle;
        loop {
            let is_at_rest = self.delayed.is_none() && self.waiting.is_none();
            if self.has_ended && is_at_rest && self.works.is_empty() {
                return End::Gone;
            }
            let reads = self.works.len() < LINES_IN_WORK && is_at_rest && !self.has_ended;
            let takes_mail = !self.changes_watches && self.session.takes_mail();
            let next = self.session.next();
            let delayed = self.delayed.as_ref().map(|(at, _)| *at);
            let step = tokio::select! {
                _ = shutdown_requested(ending) => {
                    Err(End::Close(RpcError::unavailable("the relay is shutting down or restarting: connect again")))
                }
                Some(finished) = self.works.next() => self.finished(finished).await,
                read = self.lines.next(), if reads => self.received(read),
                () = at(delayed) => {
                    let line = self.delayed.take();
                    line.into_iter().for_each(|(_, line)| self.begin(line));
                    Ok(())
                }
                message = self.mail.next(), if takes_mail => self.deliver(message),
                Ok(()) = self.tip.changed() => self.new_tip().await,
                changed = backend_changed(&mut self.backend) => {
                    let line = self.session.backend_changed(changed.script, changed.status.as_deref());
                    self.write(line.as_slice()).await
                }
                () = at(next) => Ok(()),
                () = sleep_until(self.last_request + idle) => {
                    let message = format!("no request within {} s: send server.ping now and then", idle.as_secs());
                    Err(End::Close(RpcError::refused(message)))
                }
            };
            if let Err(end) = step {
                return end;
            }
            if self.session.wants_earlier_scans() && !self.changes_watches {
                self.changes_watches = true;
                let work = Work::earlier_scans();
                self.works.push(Box::pin(work.run(self.context.clone())));
            }
            let due = self.session.due(Instant::now());
            if let Err(end) = self.write(&due).await {
                return end;
            }
        }
    }

    async fn write(&mut self, lines: &[String]) -> Result<(), End> {
        if lines.is_empty() {
            return Ok(());
        }
        self.lines.write(lines).await.map_err(|_| End::Gone)
    }

    fn received(&mut self, read: Read) -> Result<(), End> {
        let line = match read {
            Read::Line(line) => line,
            Read::TooLong => {
                let message = format!("the line is longer than {MAX_LINE} bytes");
                return Err(End::Close(RpcError::invalid(message)));
            }
            Read::Late => {
                let within = self.handles.input.deadline().as_secs();
                let message = format!("the line was not complete within {within} s");
                return Err(End::Close(RpcError::invalid(message)));
            }
            Read::Evicted => {
                let message = "the memory for incomplete lines is used up: send each line at once, or try again later";
                return Err(End::Close(RpcError::unavailable(message)));
            }
            Read::End => {
                // What it has asked is still answered.
                self.has_ended = true;
                return Ok(());
            }
            Read::Broken => return Err(End::Gone),
        };
        let now = Instant::now();
        self.last_request = now;
        let parsed = parse(&line);
        // It may have keys.
        drop(line);
        let requests = match &parsed {
            Ok(Line::Batch(parts)) => u32::try_from(parts.len()).unwrap_or(u32::MAX),
            _ => 1,
        };
        let own = self.pace.accept(requests, now);
        let of_address = self.handles.paces.accept(self.context.mailbox.address(), requests, now);
        let ready = own.max(of_address);
        if ready > now {
            self.delayed = Some((ready, parsed));
        } else {
            self.begin(parsed);
        }
        Ok(())
    }

    fn begin(&mut self, line: Parsed) {
        let work = Work::begin(line, &mut self.session);
        // One at a time: while a watch is registered, the mailbox is not read, so that no message of the watch is taken
        // before its answer.
        if work.is_of_watches() {
            if self.changes_watches {
                self.waiting = Some(work);
                return;
            }
            self.changes_watches = true;
            self.has_watched = true;
        }
        self.works.push(Box::pin(work.run(self.context.clone())));
    }

    async fn finished(&mut self, finished: Finished) -> Result<(), End> {
        let is_of_watches = finished.is_of_watches;
        let (line, shares) = finished.line(&mut self.session, &self.handles);
        self.write(line.as_slice()).await?;
        drop((line, shares));
        // The tip may have changed between the look at it and the answer.
        self.new_tip().await?;
        self.session.written(Instant::now());
        if is_of_watches {
            self.found.resize(self.session.bytes());
            self.changes_watches = false;
            if let Some(work) = self.waiting.take() {
                self.changes_watches = true;
                self.works.push(Box::pin(work.run(self.context.clone())));
            }
        }
        Ok(())
    }

    /// Takes a message of a watch, and those queued after it, so that they share a notification.
    fn deliver(&mut self, message: Option<WatchMessage>) -> Result<(), End> {
        let Some(message) = message else {
            let reason = self
                .mail
                .why_given_up()
                .unwrap_or("this client reads too slowly: connect again");
            return Err(End::Close(RpcError::unavailable(reason)));
        };
        self.session.mail(message);
        while self.session.takes_mail()
            && let Some(message) = self.mail.try_next()
        {
            self.session.mail(message);
        }
        self.found.resize(self.session.bytes());
        Ok(())
    }

    async fn new_tip(&mut self) -> Result<(), End> {
        let header = self.tip.borrow_and_update().as_ref().map(|tip| Arc::clone(&tip.header));
        let line = header.and_then(|header| self.session.new_tip(&header));
        self.write(line.as_slice()).await
    }
}

/// Waits until this time; forever without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Runs the connection to the backend up to its next notification.
async fn backend_changed(backend: &mut Option<BackendLink>) -> Changed {
    let Some((driver, changes)) = backend else {
        return std::future::pending().await;
    };
    tokio::select! {
        () = driver => {}
        Some(changed) = changes.recv() => return changed,
    }
    // It ends only with its connection.
    *backend = None;
    std::future::pending().await
}

/// Counts the connection in the gauge while it is open.
struct Gauged(Arc<Handles>);

impl Gauged {
    fn new(handles: &Arc<Handles>) -> Self {
        handles.metrics.connections.inc();
        Self(Arc::clone(handles))
    }
}

impl Drop for Gauged {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}
