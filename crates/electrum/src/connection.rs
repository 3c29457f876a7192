//! The task of one connection, which alone uses its socket.
//!
//! It has no queue of output: while the client does not read, the task waits in a write, takes nothing from its mailbox
//! (so that scans wait), and reads no requests. What other clients could wait for is in other tasks ([`Works`]). A
//! client that does not read is disconnected at the deadline of the write.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_detect::{LedgerShare, MailboxReceiver, WatchMessage};
use sdk_relay_transport::{Buffer, FinalWrites, Input, Shutdown, SpawnConnection, network_of, shutdown_requested};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use zeroize::Zeroizing;

use crate::backend::{Backend, Notice};
use crate::error::RpcError;
use crate::extents::Extents;
use crate::handles::Handles;
use crate::limits::{LINES_IN_WORK, MAX_LINE, SLOWEST_READER};
use crate::lines::{Lines, Read};
use crate::pace::Pace;
use crate::reply::answer;
use crate::request::{Line, Refused, parse};
use crate::session::{Options, Session};
use crate::work::{Context, Work, changes_watches};
use crate::works::Works;

/// Why an incomplete or a waiting line is dropped.
const NO_MEMORY: &str = "the memory for incomplete lines is used up: send each line at once, or try again later";

/// A client that has connected.
pub(crate) struct Arrival {
    pub(crate) client: std::net::IpAddr,
    /// Whether scan keys may cross the connection.
    pub(crate) takes_keys: bool,
    pub(crate) final_writes: FinalWrites,
    /// Owner of the tasks of its lines.
    pub(crate) spawner: Arc<dyn SpawnConnection>,
}

/// Why a connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client has disconnected.
    Gone,
    /// The client does not read. It may have read a part of a line, so that no reason can follow.
    Slow,
    /// The relay closes it; the client gets the reason.
    Close(RpcError),
}

type Parsed = Result<Line, Refused>;

/// A line that waits, counted among the incomplete input.
struct Parked {
    input: Input,
    until: Until,
}

/// Until when a line waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// Its rate.
    Time(Instant),
    /// The end of another line that changes watches.
    Watches,
}

struct Connection<S> {
    handles: Arc<Handles>,
    lines: Lines<S>,
    session: Session,
    context: Context,
    mail: MailboxReceiver,
    /// Memory of its subscriptions, and of what they have found.
    found: LedgerShare,
    pace: Pace,
    tip: watch::Receiver<Option<crate::tip::Tip>>,
    /// Notifications of the backend.
    backend: Option<mpsc::Receiver<Notice>>,
    /// Each result with whether its line has changed watches.
    works: Works<(bool, Work)>,
    parked: Option<Parked>,
    /// A watch is being registered or ended: the mailbox is not read, so that no message of a watch is taken before the
    /// session knows it.
    is_registering: bool,
    /// A line that changes watches is not answered yet.
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
    match end {
        End::Gone => {}
        End::Slow => {
            connection.handles.traffic.slow_clients_cut.inc();
            tracing::debug!(client = %arrival.client, "closing an Electrum connection whose client does not read");
        }
        End::Close(error) => {
            tracing::debug!(client = %arrival.client, reason = error.message, "closing an Electrum connection");
            // Its tasks end before the close, which waits for the client.
            let lines = connection.into_lines();
            close(lines, final_writes, error, within).await;
        }
    }
}

/// Ends a connection with the reason.
pub(crate) async fn close<S>(mut lines: Lines<S>, final_writes: FinalWrites, error: RpcError, within: Duration)
where
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
        let (mailbox, mail) = handles.detection.mailbox_with_scan_ends(network_of(arrival.client));
        let works = Works::new(Arc::clone(&arrival.spawner));
        let (handle, backend) = settings
            .electrum
            .backend
            .clone()
            .map(|address| {
                let (handle, driver, notices) = Backend::new(address, timeouts, handles.backend.clone());
                works.run(driver.run());
                (handle, notices)
            })
            .unzip();
        let options = Options {
            takes_keys: arrival.takes_keys,
            max_labels: settings.electrum.labels_per_subscription,
            max_subscriptions: settings.electrum.subscriptions_per_connection,
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
            works,
            parked: None,
            is_registering: false,
            changes_watches: false,
            has_watched: false,
            has_ended: false,
            last_request: Instant::now(),
            handles,
        }
    }

    fn into_lines(self) -> Lines<S> {
        self.lines
    }

    async fn run(&mut self, ending: &mut Shutdown) -> End {
        let idle = self.handles.timeouts.idle;
        loop {
            let is_at_rest = self.parked.is_none();
            let works = self.works.len();
            if self.has_ended && is_at_rest && works == 0 {
                return End::Gone;
            }
            let reads = works < LINES_IN_WORK && is_at_rest && !self.has_ended;
            let takes_mail = !self.is_registering && self.session.takes_mail();
            let next = self.session.next();
            let resumes = self.parked.as_ref().and_then(|parked| match parked.until {
                Until::Time(at) => Some(at),
                Until::Watches => None,
            });
            let step = tokio::select! {
                _ = shutdown_requested(ending) => {
                    Err(End::Close(RpcError::unavailable("the relay is shutting down or restarting: connect again")))
                }
                work = self.works.next(), if works > 0 => self.worked(work).await,
                read = self.lines.next(), if reads => self.received(read).await,
                () = at(resumes) => self.resume().await,
                message = self.mail.next(), if takes_mail => self.deliver(message),
                Ok(()) = self.tip.changed() => self.new_tip().await,
                notice = backend_notice(&mut self.backend) => match notice {
                    Notice::Changed { script, status } => {
                        let line = self.session.backend_changed(script, status.as_deref());
                        self.write(line.as_slice()).await
                    }
                    Notice::Lost(error) => Err(End::Close(error)),
                },
                () = at(next) => Ok(()),
                () = sleep_until(self.last_request + idle) => {
                    let message = format!("no request within {} s: send server.ping now and then", idle.as_secs());
                    Err(End::Close(RpcError::refused(message)))
                }
            };
            if let Err(end) = step {
                return end;
            }
            if !self.is_registering
                && !self.changes_watches
                && self
                    .parked
                    .as_ref()
                    .is_some_and(|parked| parked.until == Until::Watches)
                && let Err(end) = self.resume().await
            {
                return end;
            }
            if self.session.wants_earlier_scans() && !self.is_registering {
                self.start(Work::earlier_scans());
            }
            let due = self.session.due(Instant::now());
            if let Err(end) = self.write(&due).await {
                return end;
            }
        }
    }

    /// Writes lines, within a time for all of them that grows with their size.
    async fn write(&mut self, lines: &[String]) -> Result<(), End> {
        if lines.is_empty() {
            return Ok(());
        }
        let bytes: usize = lines.iter().map(String::len).sum();
        let within = self.handles.timeouts.write + Duration::from_secs(bytes as u64 / SLOWEST_READER);
        match timeout(within, self.lines.write(lines)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Err(End::Slow),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Slow),
        }
    }

    async fn received(&mut self, read: Read) -> Result<(), End> {
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
            Read::Evicted => return Err(End::Close(RpcError::unavailable(NO_MEMORY))),
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
        let requests = parsed.as_ref().map_or(1, Line::len);
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        let own = self.pace.accept(requests, now);
        let of_address = self.handles.paces.accept(self.context.mailbox.address(), requests, now);
        let ready = own.max(of_address);
        if ready > now {
            self.park(&line, Until::Time(ready));
            return Ok(());
        }
        self.begin(line, parsed).await
    }

    /// Keeps a line until its time. As text: it is larger when it is parsed.
    fn park(&mut self, line: &[u8], until: Until) {
        let mut buffer = Buffer::default();
        buffer.append(line, line.len(), |_| {});
        let input = self.handles.input.begin();
        input.park(buffer);
        self.parked = Some(Parked { input, until });
    }

    /// The time of the parked line has come.
    async fn resume(&mut self) -> Result<(), End> {
        let Some(parked) = self.parked.take() else {
            return Ok(());
        };
        let Ok(buffer) = parked.input.resume() else {
            return Err(End::Close(RpcError::unavailable(NO_MEMORY)));
        };
        let line = Zeroizing::new(buffer.into_vec());
        let parsed = parse(&line);
        self.begin(line, parsed).await
    }

    async fn begin(&mut self, line: Zeroizing<Vec<u8>>, parsed: Parsed) -> Result<(), End> {
        let is_of_watches = parsed.as_ref().is_ok_and(|line| line.has(changes_watches));
        // One at a time.
        if is_of_watches && (self.changes_watches || self.is_registering) {
            self.park(&line, Until::Watches);
            return Ok(());
        }
        drop(line);
        let work = Work::begin(parsed, &mut self.session);
        self.changes_watches |= is_of_watches;
        self.has_watched |= is_of_watches;
        self.go_on(work).await
    }

    fn start(&mut self, work: Work) {
        let (is_registering, context) = (work.is_registering(), self.context.clone());
        self.is_registering |= is_registering;
        self.works
            .begin(async move { (is_registering, work.run(context).await) });
    }

    /// The questions of a line are answered.
    async fn worked(&mut self, work: Option<(bool, Work)>) -> Result<(), End> {
        let Some((is_registering, mut work)) = work else {
            return Err(End::Close(RpcError::internal(
                "a request has failed: please report this bug",
            )));
        };
        if is_registering {
            self.is_registering = false;
            work.watches_are_registered(&mut self.session);
            self.count();
        }
        self.go_on(work).await
    }

    /// Begins what is to be asked for a line, or answers it.
    async fn go_on(&mut self, mut work: Work) -> Result<(), End> {
        if !work.has_questions() {
            // Those of its requests that change watches were all refused at once.
            work.watches_are_registered(&mut self.session);
        }
        if work.has_questions() {
            self.start(work);
            return Ok(());
        }
        let is_of_watches = work.changes_watches;
        let (line, shares) = work.line(&mut self.session, &self.handles, self.context.mailbox.address());
        self.write(line.as_slice()).await?;
        drop((line, shares));
        // The tip may have changed between the look at it and the answer.
        self.new_tip().await?;
        if is_of_watches {
            self.session.written(Instant::now());
            self.changes_watches = false;
        }
        Ok(())
    }

    /// Counts the memory of what was found.
    fn count(&mut self) {
        self.found.resize(self.session.bytes() + self.context.extents.bytes());
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
        self.count();
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

/// The next notice of the backend; never, without one.
async fn backend_notice(backend: &mut Option<mpsc::Receiver<Notice>>) -> Notice {
    if let Some(notices) = backend {
        if let Some(notice) = notices.recv().await {
            return notice;
        }
        // Its task has ended: a panic, which is logged.
        *backend = None;
    }
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
