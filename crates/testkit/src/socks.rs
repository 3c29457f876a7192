//! A SOCKS 5 proxy on loopback, which stands in for Tor: it resolves names from a table of its own, and can fail.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What the proxy does with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SocksMode {
    /// Connects to the address of its table, or replies "host unreachable".
    #[default]
    Forward,
    /// Replies with this code (RFC 1928, section 6).
    Refuse(u8),
    /// Reads the request and never replies.
    Hang,
    /// Accepts connections and never replies to the greeting.
    Mute,
    /// Closes the connection after the greeting.
    Close,
}

#[derive(Debug, Default)]
struct State {
    mode: SocksMode,
    /// `HOST:PORT` as clients request it, and where that is.
    table: BTreeMap<String, SocketAddr>,
    password: Option<(String, String)>,
    asked: Vec<String>,
}

/// A running proxy. It ends with its connections when it is dropped or stopped.
#[derive(Debug)]
pub struct SocksProxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: Option<JoinHandle<()>>,
}

impl SocksProxy {
    /// Starts a proxy with an empty table in the current runtime.
    pub async fn start() -> SocksProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut proxy = SocksProxy {
            address: listener.local_addr().expect("an address"),
            state: Arc::default(),
            server: None,
        };
        proxy.serve(listener);
        proxy
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `socks5://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("socks5://{}", self.address)
    }

    /// Adds `HOST:PORT` to the table.
    pub fn add(&self, target: &str, at: SocketAddr) {
        self.lock().table.insert(target.to_owned(), at);
    }

    /// What it does with later requests.
    pub fn set_mode(&self, mode: SocksMode) {
        self.lock().mode = mode;
    }

    /// Requires this user and password.
    pub fn require(&self, user: &str, password: &str) {
        self.lock().password = Some((user.to_owned(), password.to_owned()));
    }

    /// The targets of all requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    /// Number of requests so far for a target.
    pub fn count(&self, target: &str) -> usize {
        self.lock().asked.iter().filter(|asked| *asked == target).count()
    }

    /// Closes the port and all connections.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            drop(server.await);
        }
    }

    /// Opens the same port again.
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "the proxy runs: stop it first");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind(self.address).expect("the same port");
        self.serve(socket.listen(64).expect("the same port"));
    }

    fn serve(&mut self, listener: TcpListener) {
        let state = Arc::clone(&self.state);
        self.server = Some(tokio::spawn(async move {
            // Ends with this task.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        let state = Arc::clone(&state);
                        // A client that breaks the protocol loses its connection.
                        connections.spawn(async move { drop(talk(stream, &state).await) });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        }));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for SocksProxy {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn talk(mut stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let (mode, password) = {
        let state = lock(state);
        (state.mode, state.password.clone())
    };
    if mode == SocksMode::Mute {
        return std::future::pending().await;
    }
    let [_, count] = read(&mut stream).await?;
    let mut methods = vec![0; usize::from(count)];
    stream.read_exact(&mut methods).await?;
    if mode == SocksMode::Close {
        return Ok(());
    }
    let method = if password.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        return stream.write_all(&[5, 0xff]).await;
    }
    stream.write_all(&[5, method]).await?;
    if let Some((user, password)) = password {
        let [_, length] = read(&mut stream).await?;
        let given_user = text(&mut stream, length).await?;
        let [length] = read(&mut stream).await?;
        let given = (given_user, text(&mut stream, length).await?);
        let fits = given == (user, password);
        stream.write_all(&[1, u8::from(!fits)]).await?;
        if !fits {
            return Ok(());
        }
    }
    let target = requested(&mut stream).await?;
    let at = {
        let mut state = lock(state);
        state.asked.push(target.clone());
        state.table.get(&target).copied()
    };
    let code = match (mode, at) {
        (SocksMode::Hang, _) => return std::future::pending().await,
        (SocksMode::Refuse(code), _) => code,
        (_, None) => 4,
        (_, Some(at)) => match TcpStream::connect(at).await {
            Ok(mut far) => {
                stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
                return copy_bidirectional(&mut stream, &mut far).await.map(drop);
            }
            Err(_) => 5,
        },
    };
    stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await
}

/// `HOST:PORT` of a request, as the client wrote it.
async fn requested(stream: &mut TcpStream) -> io::Result<String> {
    let [_, _, _, kind] = read(stream).await?;
    let host = match kind {
        1 => std::net::IpAddr::from(read::<4>(stream).await?).to_string(),
        4 => format!("[{}]", std::net::IpAddr::from(read::<16>(stream).await?)),
        _ => {
            let [length] = read(stream).await?;
            text(stream, length).await?
        }
    };
    Ok(format!("{host}:{}", u16::from_be_bytes(read(stream).await?)))
}

async fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn text(stream: &mut TcpStream, length: u8) -> io::Result<String> {
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    String::from_utf8(bytes).map_err(io::Error::other)
}
