//! Looks at a route while something else goes on.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks, each over a connection of its own.
const PACE: Duration = Duration::from_millis(20);
/// Far beyond what an answer should take: the look has failed.
const WITHIN: Duration = Duration::from_secs(30);

/// Asks for a route at a fixed pace, from a thread of its own: tasks that make load do not delay it.
#[derive(Debug)]
pub struct Looks {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Vec<Duration>>>,
}

impl Looks {
    /// Begins to ask for `path` at `http://HOST:PORT`.
    pub fn begin(http_url: &str, path: &str) -> Looks {
        let address = http_url.trim_start_matches("http://");
        let address: SocketAddr = address.parse().expect("http://IP:PORT");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("looks".to_owned());
        let thread = thread.spawn(move || {
            let mut took = Vec::new();
            let mut next = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                took.push(look(address, &request)?);
                next += PACE;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            Ok(took)
        });
        Looks {
            stop,
            thread: thread.expect("a thread"),
        }
    }

    /// The times of all looks. Panics where one of them was not answered with 200.
    pub async fn end(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        let took = tokio::task::spawn_blocking(|| self.thread.join()).await;
        let took = took.expect("the runtime runs").expect("the thread did not panic");
        took.expect("every look is answered with 200")
    }
}

/// One look, from the connection to the end of the answer.
fn look(address: SocketAddr, request: &str) -> io::Result<Duration> {
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
