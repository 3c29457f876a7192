//! The task that drives the state machine: it performs its outputs, runs its timer, and sends syncs at the configured
//! intervals.
//!
//! The relay's supervisor runs [`run`]: a panic of the driver, or of the task that writes the names, ends the process.
//! The tasks that it starts for other relays ([`Purpose`]) process what those send: a panic in one is logged with its
//! purpose and ends that link, dial or sync only, so that no peer can end the relay.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sdk_relay_config::Config;
use sdk_relay_mesh::{Mesh as Core, Output};
use sdk_relay_platform::blocking;
use sdk_relay_protocol::mesh::RelayId;
use sdk_relay_protocol::{API_VERSION, Event, RelayConnected, RelayDisconnected, SyncType};
use sdk_relay_telemetry::clock::unix_now;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::dial::Dial;
use super::link::Work;
use super::links::read_gossip;
use super::order::Order;
use super::problems::without_key;
use super::resolve::resolve;
use super::tasks::{Ended, Purpose, Tasks};
use super::{Mesh, Orders, identity};
use crate::host::Host;

/// Interval at which this relay's status and the snapshot for clients are refreshed.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// Dials of learned addresses, per minute and in a burst: invented addresses must not cause a flood of dials.
const DIALS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();
const DIALS_AT_ONCE: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Time to send the leave announcements.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// Time to write pending names at shutdown.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// Most relays whose `relay_connected` was sent, and whose `relay_disconnected` is therefore sent too.
const MAX_ANNOUNCED: usize = 4096;

struct Driver {
    mesh: Arc<Mesh>,
    host: Arc<dyn Host>,
    /// Interval of state syncs.
    sync_interval: Duration,
    tasks: Tasks,
    dials: DefaultDirectRateLimiter,
    announced: HashSet<String>,
    /// The task that writes the file of names.
    writing: Option<JoinHandle<()>>,
}

/// The timer of one type of sync.
struct Clock {
    sync_type: SyncType,
    every: Duration,
    next: Instant,
}

impl Clock {
    fn new(sync_type: SyncType, every: Duration) -> Self {
        let next = Instant::now() + jittered(every);
        Self { sync_type, every, next }
    }

    fn set(&mut self, every: Duration) {
        if self.every != every {
            self.every = every;
            self.next = self.next.min(Instant::now() + jittered(every));
        }
    }

    fn passed(&mut self) {
        self.next = Instant::now() + jittered(self.every);
    }
}

/// 90 to 110 %, so that relays that start together do not send their syncs together for long.
fn jittered(every: Duration) -> Duration {
    let share = (identity::random() >> 40) as f64 / f64::from(1_u32 << 24);
    every.mul_f64(0.9 + share / 5.0)
}

/// Takes part in the mesh while the returned future is polled. Links and requests end with it.
pub async fn run(host: Arc<dyn Host>, mesh: Arc<Mesh>, orders: Orders) {
    let Orders(mut orders) = orders;
    let mut settings = host.config();
    let config = settings.borrow_and_update().clone();
    let mut health = Clock::new(SyncType::HealthSync, config.health_interval);
    let mut metrics = Clock::new(SyncType::MetricsSync, config.metrics_interval);
    let mut refresh = interval(REFRESH_EVERY);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut driver = Driver::new(mesh, host, config.sync_interval);
    loop {
        driver.perform_outputs().await;
        let deadline = driver.mesh.began + driver.mesh.read(|core, _| core.deadline());
        tokio::select! {
            () = sleep_until(deadline), if !driver.mesh.alone => driver.mesh.with(Core::tick),
            () = driver.mesh.wake.notified() => {}
            _ = settings.changed() => {
                let config: Arc<Config> = settings.borrow_and_update().clone();
                driver.sync_interval = config.sync_interval;
                driver.mesh.with(|core, now| core.set_interval(now, config.sync_interval));
                health.set(config.health_interval);
                metrics.set(config.metrics_interval);
            }
            _ = refresh.tick() => driver.refresh(),
            Some(order) = orders.recv() => {
                for target in &order.target_relays {
                    driver.run_forced(Order { target_relays: vec![target.clone()], ..order.clone() });
                }
            }
            () = sleep_until(health.next) => {
                driver.sync_all(health.sync_type);
                health.passed();
            }
            () = sleep_until(metrics.next) => {
                driver.sync_all(metrics.sync_type);
                metrics.passed();
            }
            ended = driver.tasks.next() => driver.ended(ended),
            ended = written(&mut driver.writing) => driver.written(ended),
        }
    }
}

/// Waits for the writing task, if there is one. Cancel-safe.
async fn written(writing: &mut Option<JoinHandle<()>>) -> Result<(), JoinError> {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}

impl Mesh {
    /// Announces on all links that this relay leaves, and waits until the links are closed.
    pub async fn leave(&self) {
        self.with(Core::leave);
        let gone = async {
            while !self.links().is_empty() {
                self.wake.notify_one();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(LEAVE_TIMEOUT, gone).await.is_err() {
            tracing::debug!(
                links = self.links().len(),
                "some relays did not receive the leave message in time"
            );
        }
        if self.bindings.is_unwritten() {
            let bindings = Arc::clone(&self.bindings);
            let written = blocking::spawn(move || bindings.write());
            if !matches!(timeout(WRITE_TIMEOUT, written).await, Ok(Ok(()))) {
                tracing::warn!("could not write mesh.names in time; the newest names are bound again later");
            }
        }
    }

    fn next_output(&self) -> Option<Output> {
        self.core
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .poll()
    }
}

impl Driver {
    fn new(mesh: Arc<Mesh>, host: Arc<dyn Host>, sync_interval: Duration) -> Self {
        Self {
            mesh,
            host,
            sync_interval,
            tasks: Tasks::default(),
            dials: RateLimiter::direct(Quota::per_minute(DIALS_PER_MINUTE).allow_burst(DIALS_AT_ONCE)),
            announced: HashSet::new(),
            writing: None,
        }
    }

    /// Performs the outputs of the state machine.
    async fn perform_outputs(&mut self) {
        let mut membership_changed = false;
        while let Some(output) = self.mesh.next_output() {
            membership_changed |= matches!(output, Output::Connected(_) | Output::Disconnected { .. });
            match output {
                Output::Request { link, token, gossip } => {
                    let Some(handle) = self.mesh.handle(link) else { continue };
                    // Queued immediately: a close that follows is queued behind it.
                    let pending = self.mesh.begin(&*self.host, handle, SyncType::StateSync, Some(gossip));
                    let mesh = Arc::clone(&self.mesh);
                    self.tasks.spawn(pending.purpose(), async move {
                        if let Ok(answered) = pending.end().await {
                            let gossip = read_gossip(Some(&answered.reply.payload)).unwrap_or_default();
                            mesh.with(|core, now| core.response(now, link, token, gossip));
                        }
                        None
                    });
                }
                Output::Dial { dial, address, expect } => {
                    if expect.is_some() && self.dials.check().is_err() {
                        self.mesh.with(|core, now| core.dial_deferred(now, dial));
                        continue;
                    }
                    let purpose = Purpose::Dial {
                        dial,
                        address: address.clone(),
                    };
                    let dial = Dial {
                        id: dial,
                        address,
                        expect,
                    };
                    self.tasks
                        .spawn(purpose, Arc::clone(&self.mesh).dial(Arc::clone(&self.host), dial));
                }
                Output::Close { link, reason } => {
                    if let Some(handle) = self.mesh.handle(link) {
                        handle.enqueue(Work::Close(reason));
                    }
                }
                Output::Connected(relay_id) => self.connected(relay_id).await,
                Output::Disconnected { relay_id, address, .. } => self.disconnected(relay_id, address).await,
            }
        }
        if membership_changed {
            self.mesh.refresh_snapshot();
        }
    }

    fn refresh(&mut self) {
        let status = self.host.status();
        self.mesh.with(|core, now| core.set_status(now, status));
        self.bind_names();
        self.resolve_names();
        self.mesh.refresh_snapshot();
        let links = self.mesh.linked().len();
        self.mesh
            .metrics
            .mesh_connections
            .set(i64::try_from(links).unwrap_or(i64::MAX));
    }

    /// Binds the names of links that have lasted, and starts writing the file if there are new names.
    fn bind_names(&mut self) {
        let lasted = self.sync_interval * self.mesh.timeouts.bind_after;
        let handles: Vec<_> = self.mesh.links().values().cloned().collect();
        for handle in handles.iter().filter(|handle| handle.since.elapsed() >= lasted) {
            if self.mesh.read(|core, _| core.is_up(handle.id))
                && let Err(refused) = self
                    .mesh
                    .bindings
                    .bind(&handle.relay_id, &handle.public_key, handle.origin)
            {
                tracing::debug!(relay = handle.relay_id, %refused, "the name of a relay will not be bound across restarts");
            }
        }
        if self.mesh.bindings.is_unwritten() && self.writing.is_none() {
            let bindings = Arc::clone(&self.mesh.bindings);
            self.writing = Some(blocking::spawn(move || bindings.write()));
        }
    }

    /// Resolves learned host names before they are sent to clients.
    fn resolve_names(&mut self) {
        for url in self.mesh.unresolved() {
            let mesh = Arc::clone(&self.mesh);
            self.tasks.spawn(Purpose::Resolve(url.clone()), async move {
                let fits = resolve(&url, Some(&mesh.reach)).await.is_ok();
                mesh.verdicts.set(url, fits);
                None
            });
        }
    }

    fn sync_all(&mut self, sync_type: SyncType) {
        let handles: Vec<_> = self.mesh.links().values().cloned().collect();
        for handle in handles {
            let link = handle.id;
            let pending = self.mesh.begin(&*self.host, handle, sync_type, None);
            let mesh = Arc::clone(&self.mesh);
            self.tasks.spawn(pending.purpose(), async move {
                if let Ok(answered) = pending.end().await {
                    mesh.with(|core, now| core.latency(now, link, answered.latency));
                }
                None
            });
        }
    }

    /// One target of a forced sync.
    fn run_forced(&mut self, order: Order) {
        let (mesh, host) = (Arc::clone(&self.mesh), Arc::clone(&self.host));
        self.tasks.spawn(Purpose::Order(order.clone()), async move {
            mesh.run_forced(host, order).await;
            None
        });
    }

    /// The writing task has ended.
    fn written(&mut self, ended: Result<(), JoinError>) {
        self.writing = None;
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!("writing mesh.names panicked");
            std::panic::resume_unwind(error.into_panic());
        }
    }

    /// Ends what a task that panicked was for, and nothing else.
    fn end_purpose(&self, purpose: Purpose) {
        tracing::error!(task = %purpose, "a task for another relay panicked: please report this bug");
        match purpose {
            Purpose::Answer { link, .. } => self.mesh.with(|core, now| core.fail(now, link)),
            // A link that was already up is down, and nothing waits for the dial.
            Purpose::Dial { dial, .. } => self.mesh.with(|core, now| core.dial_failed(now, dial)),
            Purpose::Resolve(url) => self.mesh.verdicts.set(url, false),
            Purpose::Order(order) => self.mesh.give_up(&order),
        }
    }

    /// An unreachable configured relay is logged once, and again if the error changes.
    fn ended(&mut self, ended: Ended) {
        let (address, error) = match ended {
            Ended::Done => return,
            Ended::NotReached(address, error) => (address, error),
            Ended::Panicked(purpose) => return self.end_purpose(purpose),
        };
        let why = error.to_string();
        let address = without_key(&address);
        let mut failures = self.mesh.failures();
        if failures.get(&address) != Some(&why) {
            tracing::warn!(
                peer = address,
                error = why,
                "mesh.peers: cannot connect to a relay; retrying"
            );
            failures.insert(address, why);
        }
    }

    async fn connected(&mut self, relay_id: RelayId) {
        let relay_id = relay_id.as_str();
        let Some(view) = self.mesh.read(|core, now| core.relay(now, relay_id)) else {
            return;
        };
        if self.announced.len() >= MAX_ANNOUNCED
            || !self.mesh.may_announce()
            || !self.announced.insert(relay_id.to_owned())
        {
            return;
        }
        tracing::info!(relay = relay_id, "relay joined the mesh");
        let event = Event::RelayConnected(RelayConnected {
            relay_id: relay_id.to_owned(),
            address: self.mesh.shareable_address(&view.entry.address),
            version: API_VERSION.to_owned(),
            capabilities: view.entry.capabilities.clone(),
            timestamp: unix_now(),
            connection_id: connection_of(relay_id),
        });
        self.host.log(event).await;
    }

    async fn disconnected(&mut self, relay_id: RelayId, address: String) {
        if !self.announced.remove(relay_id.as_str()) {
            return;
        }
        tracing::info!(relay = relay_id.as_str(), "relay left the mesh");
        let event = Event::RelayDisconnected(RelayDisconnected {
            relay_id: relay_id.as_str().to_owned(),
            address: self.mesh.shareable_address(&address),
            timestamp: unix_now(),
            connection_id: connection_of(relay_id.as_str()),
        });
        self.host.log(event).await;
    }
}

/// The same identifier in both events: a relay may connect over one link and disconnect over another.
fn connection_of(relay_id: &str) -> String {
    format!("mesh-{relay_id}")
}

#[cfg(test)]
mod tests;
