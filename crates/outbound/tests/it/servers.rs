//! Servers of the tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server, and how many connections it has had. It ends with the runtime of its test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, connections }
    }

    /// Answers each request with this text.
    pub(crate) async fn answering(answer: impl Into<String>) -> Self {
        let answer: Arc<String> = Arc::new(answer.into());
        Self::start(move |stream| {
            let answer = Arc::clone(&answer);
            async move { answer_with(stream, &answer).await }
        })
        .await
    }

    /// Accepts connections, and never says anything.
    pub(crate) async fn silent() -> Self {
        Self::start(|stream| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads a request with its body, and answers it.
pub(crate) async fn answer_with(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    if read_request(&mut stream).await {
        // The client may have gone: its test says so.
        drop(stream.write_all(answer.as_bytes()).await);
        drop(stream.shutdown().await);
    }
}

/// Whether a request in plain text has arrived as a whole.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\nbody") {
        match stream.read_buf(&mut read).await {
            Ok(0) | Err(_) => return false,
            Ok(_) if !read.starts_with(b"P") => return false,
            Ok(_) => {}
        }
    }
    true
}
