//! The network of a simulation: connections in memory, and their faults.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::Notify;

thread_local! {
    static NETWORK: RefCell<Option<Network>> = const { RefCell::new(None) };
}

/// Bytes in flight in each direction, as in the buffers of a TCP connection.
const IN_FLIGHT: usize = 64 << 10;
/// Connections that wait until they are accepted.
const BACKLOG: usize = 4096;
/// First port that is given to a listener on port 0, and to connecting clients.
const FIRST_FREE_PORT: u16 = 32_768;

/// What happens to a dial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reachability {
    /// It connects, if something listens there.
    #[default]
    Reachable,
    /// It is refused.
    Refused,
    /// It is never answered.
    Silent,
}

/// The state of a simulated network.
#[derive(Debug)]
pub(crate) struct Network {
    listeners: BTreeMap<SocketAddr, Weak<Queue>>,
    names: BTreeMap<String, Vec<IpAddr>>,
    reachability: BTreeMap<SocketAddr, Reachability>,
    links: Vec<Weak<Link>>,
    next_port: u16,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            listeners: BTreeMap::new(),
            names: BTreeMap::new(),
            reachability: BTreeMap::new(),
            links: Vec::new(),
            next_port: FIRST_FREE_PORT,
        }
    }
}

impl Network {
    fn free_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_FREE_PORT);
        port
    }

    /// Resets every connection to this address.
    fn reset(&mut self, address: SocketAddr) {
        self.links.retain(|link| {
            let Some(link) = link.upgrade() else { return false };
            if link.server == address {
                link.reset();
                return false;
            }
            true
        });
    }
}

/// Accepted connections that wait.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<VecDeque<(MemoryStream, SocketAddr)>>,
    arrived: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(MemoryStream, SocketAddr)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener. Clones accept from the same queue; the address is free again when the last one is dropped.
#[derive(Clone, Debug)]
pub(super) struct MemoryListener {
    address: SocketAddr,
    queue: Arc<Queue>,
}

impl MemoryListener {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn accept(&self) -> io::Result<(MemoryStream, SocketAddr)> {
        loop {
            if let Some(accepted) = self.queue.lock().pop_front() {
                return Ok(accepted);
            }
            self.queue.arrived.notified().await;
        }
    }
}

/// Begins the network of a simulation on this thread.
pub(crate) fn begin() {
    NETWORK.set(Some(Network::default()));
}

/// Ends it. Its listeners accept nothing more.
pub(crate) fn end() {
    NETWORK.take();
}

fn with_network<T>(act: impl FnOnce(&mut Network) -> T) -> io::Result<T> {
    NETWORK
        .with_borrow_mut(|network| network.as_mut().map(act))
        .ok_or_else(|| io::Error::other("the simulation has ended"))
}

/// The addresses that a host name resolves to in this thread's simulation. An error without one, as are the next two.
pub fn set_name(host: &str, addresses: Vec<IpAddr>) -> io::Result<()> {
    with_network(|network| {
        network.names.insert(host.to_owned(), addresses);
    })
}

/// What happens to later dials of an address in this thread's simulation.
pub fn set_reachability(address: SocketAddr, reachability: Reachability) -> io::Result<()> {
    with_network(|network| {
        network.reachability.insert(address, reachability);
    })
}

/// Resets all open connections to an address in this thread's simulation.
pub fn reset_connections(address: SocketAddr) -> io::Result<()> {
    with_network(|network| network.reset(address))
}

pub(super) fn listen(address: SocketAddr) -> io::Result<MemoryListener> {
    with_network(|network| {
        let mut address = address;
        if address.port() == 0 {
            address.set_port(network.free_port());
        }
        if network
            .listeners
            .get(&address)
            .is_some_and(|queue| queue.strong_count() > 0)
        {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let queue = Arc::default();
        network.listeners.insert(address, Arc::downgrade(&queue));
        Ok(MemoryListener { address, queue })
    })?
}

pub(super) async fn connect(address: SocketAddr) -> io::Result<MemoryStream> {
    // A connection takes a turn of the scheduler, as with the system.
    tokio::task::yield_now().await;
    let answer = with_network(
        |network| match network.reachability.get(&address).copied().unwrap_or_default() {
            Reachability::Silent => None,
            Reachability::Refused => Some(Err(io::ErrorKind::ConnectionRefused.into())),
            Reachability::Reachable => Some(join(network, address)),
        },
    )?;
    match answer {
        Some(connected) => connected,
        None => std::future::pending().await,
    }
}

fn join(network: &mut Network, server: SocketAddr) -> io::Result<MemoryStream> {
    let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), server.port());
    let queue = [server, any]
        .iter()
        .find_map(|address| network.listeners.get(address).and_then(Weak::upgrade))
        .ok_or(io::ErrorKind::ConnectionRefused)?;
    let mut waiting = queue.lock();
    if waiting.len() >= BACKLOG {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let client = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), network.free_port());
    let link = Arc::new(Link {
        server,
        state: Mutex::default(),
    });
    network.links.retain(|link| link.strong_count() > 0);
    network.links.push(Arc::downgrade(&link));
    let (near, far) = duplex(IN_FLIGHT);
    waiting.push_back((MemoryStream::new(far, Arc::clone(&link)), client));
    drop(waiting);
    queue.arrived.notify_one();
    Ok(MemoryStream::new(near, link))
}

/// A name of the simulation, or an address.
pub(super) fn lookup(target: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = target.parse() {
        return Ok(vec![address]);
    }
    let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("cannot resolve {target}"));
    let (host, port) = target.rsplit_once(':').ok_or_else(unknown)?;
    let port = port.parse().map_err(|_| unknown())?;
    let addresses = with_network(|network| network.names.get(host).cloned())?.ok_or_else(unknown)?;
    Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

/// What both ends of a connection share.
#[derive(Debug)]
struct Link {
    server: SocketAddr,
    state: Mutex<LinkState>,
}

#[derive(Debug, Default)]
struct LinkState {
    is_reset: bool,
    /// The tasks that wait at either end.
    waiting: Vec<Waker>,
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reset(&self) {
        let mut state = self.lock();
        state.is_reset = true;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    fn error(&self) -> Option<io::Error> {
        self.lock().is_reset.then(|| io::ErrorKind::ConnectionReset.into())
    }

    /// The result of a poll, unless the link is reset. A task that waits is woken by a reset.
    fn checked<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Some(error) = self.error() {
            return Poll::Ready(Err(error));
        }
        let result = poll(cx);
        if result.is_pending() {
            let waiting = &mut self.lock().waiting;
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
        }
        result
    }
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct MemoryStream {
    bytes: DuplexStream,
    link: Arc<Link>,
}

impl MemoryStream {
    fn new(bytes: DuplexStream, link: Arc<Link>) -> Self {
        Self { bytes, link }
    }

    pub(super) fn error(&self) -> Option<io::Error> {
        self.link.error()
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { bytes, link } = self.get_mut();
        link.checked(cx, |cx| Pin::new(bytes).poll_read(cx, buf))
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let Self { bytes, link } = self.get_mut();
        link.checked(cx, |cx| Pin::new(bytes).poll_write(cx, data))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { bytes, link } = self.get_mut();
        link.checked(cx, |cx| Pin::new(bytes).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().bytes).poll_shutdown(cx)
    }
}
