//! What is measured, and what samples it all the time.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use sdk_relay_blindbit::GrpcMetrics;
use sdk_relay_chain::ChainSource;
use sdk_relay_chain::follower::FollowStatus;
use sdk_relay_config::Config;
use sdk_relay_detect::DetectionMetrics;
use sdk_relay_electrum::ElectrumMetrics;
use sdk_relay_http::HttpMetrics;
use sdk_relay_mesh_net::MeshMetrics;
use sdk_relay_service::node_figures;
use sdk_relay_supervisor::Supervisor;
use sdk_relay_telemetry::{NodeFigures, Rate, Timings, Traffic, Vitals};
use sdk_relay_transport::InputMetrics;
use sdk_relay_webhooks::WebhookMetrics;
use tokio::sync::watch;

/// The registries of `GET /metrics`.
#[derive(Default)]
pub(crate) struct Registries {
    pub(crate) public: Registry,
    /// Sent only to clients that may read the watches.
    pub(crate) private: Registry,
}

/// The counters and gauges of a relay, each of the crate that counts it.
pub(crate) struct Metrics {
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) input: InputMetrics,
    pub(crate) http: HttpMetrics,
    pub(crate) electrum: ElectrumMetrics,
    pub(crate) grpc: GrpcMetrics,
    pub(crate) webhooks: WebhookMetrics,
    pub(crate) mesh: Arc<MeshMetrics>,
    pub(crate) detection: Arc<DetectionMetrics>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) timings: Arc<Timings>,
    pub(crate) rate: Arc<Rate>,
    pub(crate) node: Arc<NodeFigures>,
}

impl Metrics {
    /// Registers the counters, those of gRPC and of webhooks if they are configured. `tip` is the highest block that
    /// the event log has.
    pub(crate) fn new(tip: Option<u32>, config: &Config, registries: &mut Registries) -> Self {
        let Registries { public, private } = registries;
        let traffic = Arc::<Traffic>::default();
        traffic.register(public);
        traffic.watching.register(private);
        let input = InputMetrics::default();
        input.register(public);
        let http = HttpMetrics::default();
        http.register(public);
        let electrum = ElectrumMetrics::default();
        electrum.register(public, private);
        let grpc = GrpcMetrics::default();
        if config.blindbit_grpc.is_some() {
            grpc.register(public);
        }
        let webhooks = WebhookMetrics::default();
        if !config.webhooks.is_empty() {
            webhooks.register(private);
        }
        let mesh = Arc::new(MeshMetrics::new(Arc::clone(&traffic)));
        mesh.register(public);
        let detection = Arc::<DetectionMetrics>::default();
        detection.register(public, private);
        let timings = Arc::<Timings>::default();
        timings.register(public);
        Self {
            traffic,
            input,
            http,
            electrum,
            grpc,
            webhooks,
            mesh,
            detection,
            vitals: Arc::new(Vitals::new(tip)),
            timings,
            rate: Arc::default(),
            node: Arc::default(),
        }
    }

    /// Samples the rate of messages and the figures of the node.
    pub(crate) fn spawn(
        &self,
        supervisor: &Supervisor,
        chain: &Arc<dyn ChainSource>,
        followed: watch::Receiver<FollowStatus>,
    ) {
        let (rate, traffic) = (Arc::clone(&self.rate), Arc::clone(&self.traffic));
        supervisor.task("message rate", async move {
            rate.sample(|| traffic.messages_received.get() + traffic.messages_sent.get())
                .await;
        });
        let (chain, node) = (Arc::clone(chain), Arc::clone(&self.node));
        supervisor.task("node figures", async move {
            tokio::join!(node.poll(|| node_figures(&*chain)), report_tips(followed, &node));
        });
    }
}

/// Has the figures of the node requested after each new tip.
async fn report_tips(mut followed: watch::Receiver<FollowStatus>, node: &NodeFigures) {
    let mut tip = None;
    // A follower that has ended ends the process.
    while followed.wait_for(|status| status.tip != tip).await.is_ok() {
        tip = followed.borrow_and_update().tip;
        node.tip_changed();
    }
}
