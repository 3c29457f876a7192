//! Requests a route periodically, in the background of a test.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Interval between two requests. Each uses its own connection.
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);
/// Timeout of a request.
const WITHIN: Duration = Duration::from_secs(30);

/// Requests a route at a fixed rate, from its own thread, so that tasks that make load do not delay it.
#[derive(Debug)]
pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Vec<Duration>>>,
}

impl Probe {
    /// Starts requesting `path` at `http://HOST:PORT`.
    pub fn begin(http_url: &str, path: &str) -> Probe {
        let address = http_url.trim_start_matches("http://");
        let address: SocketAddr = address.parse().expect("http://IP:PORT");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("probe".to_owned());
        let thread = thread.spawn(move || {
            let mut took = Vec::new();
            let mut next = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                took.push(request_once(address, &request)?);
                next += REQUEST_INTERVAL;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            Ok(took)
        });
        Probe {
            stop,
            thread: thread.expect("a thread"),
        }
    }

    /// Returns the durations of all requests. Panics if one was not answered with 200.
    pub async fn end(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        let took = tokio::task::spawn_blocking(|| self.thread.join()).await;
        let took = took.expect("the runtime runs").expect("the thread did not panic");
        took.expect("every request is answered with 200")
    }
}

/// One request, from connecting to the end of the response.
fn request_once(address: SocketAddr, request: &str) -> io::Result<Duration> {
    let began = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200") {
        Ok(began.elapsed())
    } else {
        Err(io::Error::other(format!(
            "answered: {:?}",
            String::from_utf8_lossy(&answer)
        )))
    }
}
