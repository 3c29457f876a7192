use std::path::Path;

use sdk_relay_protocol::http::{ForcedState, SyncOutcome};

use super::*;
use crate::mesh::link::LinkStep;
use crate::mesh::testing::{self, linked};

const SOON: Duration = Duration::from_secs(30);

fn relay(dir: &Path) -> (Arc<Mesh>, Arc<dyn Host>, Orders) {
    let (mesh, orders, config) = testing::open(dir);
    (mesh, testing::host(config, || panic!("a fault of the test")), orders)
}

fn driver(mesh: &Arc<Mesh>, host: &Arc<dyn Host>) -> Driver {
    Driver::new(Arc::clone(mesh), Arc::clone(host), SOON)
}

async fn next(driver: &mut Driver) {
    let ended = timeout(SOON, driver.tasks.next()).await.unwrap();
    driver.ended(ended);
}

#[tokio::test]
async fn a_panic_in_processing_a_message_ends_its_link_only() {
    let dir = tempfile::tempdir().unwrap();
    let (mesh, host, _orders) = relay(dir.path());
    let mut driver = driver(&mesh, &host);
    let (mut bad, good) = (linked(&mesh, "bad", 'a'), linked(&mesh, "good", 'b'));
    let purpose = Purpose::Answer {
        link: bad.id(),
        relay_id: "bad".to_owned(),
    };
    driver.tasks.spawn(purpose, async { panic!("a fault of the test") });
    next(&mut driver).await;
    driver.perform_outputs().await;
    let step = timeout(SOON, bad.next()).await.unwrap();
    assert!(
        matches!(step, LinkStep::Close("an internal error of this relay")),
        "{step:?}"
    );
    assert!(mesh.read(|core, _| core.is_up(good.id()) && !core.is_up(bad.id())));
}

#[tokio::test]
async fn a_panic_in_serving_a_link_ends_that_link_only() {
    let dir = tempfile::tempdir().unwrap();
    let (mesh, host, _orders) = relay(dir.path());
    let mut driver = driver(&mesh, &host);
    let (bad, good) = (linked(&mesh, "bad", 'a'), linked(&mesh, "good", 'b'));
    let id = bad.id();
    let purpose = Purpose::Dial {
        dial: sdk_relay_mesh::DialId(7),
        address: "192.0.2.7:8090".to_owned(),
    };
    driver.tasks.spawn(purpose, async move {
        let _served = bad;
        panic!("a fault of the test")
    });
    next(&mut driver).await;
    assert!(mesh.read(|core, _| core.is_up(good.id()) && !core.is_up(id)));
    assert_eq!(mesh.linked(), ["good"]);
}

#[tokio::test]
async fn a_forced_sync_that_panics_ends_as_failed() {
    let dir = tempfile::tempdir().unwrap();
    let (mesh, host, _orders) = relay(dir.path());
    let mut driver = driver(&mesh, &host);
    let _good = linked(&mesh, "good", 'b');
    let (sync_types, target_relays) = (
        vec![SyncType::HealthSync, SyncType::MetricsSync],
        vec!["good".to_owned()],
    );
    let sync_id = mesh.syncs.forced.begin(sync_types.clone(), target_relays.clone());
    driver.run_forced(Order {
        sync_id: sync_id.clone(),
        sync_types,
        target_relays,
    });
    next(&mut driver).await;
    let forced = mesh.syncs.forced.get(&sync_id).unwrap();
    assert_eq!((forced.status, forced.results.len()), (ForcedState::Failed, 2));
    assert!(forced.results.iter().all(|result| result.status == SyncOutcome::Failed));
}

/// Who runs the mesh is the relay's supervisor: for it this is the panic of the part "mesh".
#[tokio::test]
async fn a_panic_of_the_driver_or_its_writer_is_propagated() {
    let dir = tempfile::tempdir().unwrap();
    let (mesh, host, orders) = relay(dir.path());
    let mut of_writer = driver(&mesh, &host);
    let panicked = tokio::spawn(async move {
        of_writer.writing = Some(tokio::task::spawn_blocking(|| panic!("a fault of the test")));
        let ended = written(&mut of_writer.writing).await;
        of_writer.written(ended);
    });
    assert!(timeout(SOON, panicked).await.unwrap().unwrap_err().is_panic());

    let _link = linked(&mesh, "good", 'b');
    let running = tokio::spawn(run(Arc::clone(&host), Arc::clone(&mesh), orders));
    // A goodbye is one of its own syncs, and says how the relay is.
    mesh.with(Core::leave);
    assert!(timeout(SOON, running).await.unwrap().unwrap_err().is_panic());
}

#[tokio::test(start_paused = true)]
async fn a_name_is_bound_once_its_link_has_lasted_for_so_many_intervals() {
    let dir = tempfile::tempdir().unwrap();
    let (mesh, host, _orders) = relay(dir.path());
    let mut driver = driver(&mesh, &host);
    let _link = linked(&mesh, "lasts", 'b');
    let lasted = SOON * mesh.timeouts.bind_after;
    let bound = || mesh.bindings.key_of("lasts");
    tokio::time::advance(lasted - Duration::from_secs(1)).await;
    driver.bind_names();
    assert_eq!(bound(), None, "it may be another one the next time");
    tokio::time::advance(Duration::from_secs(1)).await;
    driver.bind_names();
    assert_eq!(bound(), Some("b".repeat(64)));
    let ended = written(&mut driver.writing).await;
    driver.written(ended);
    let names = std::fs::read_to_string(dir.path().join("mesh.names")).unwrap();
    assert!(names.starts_with(&format!("lasts {}", "b".repeat(64))), "{names}");
}
