//! The committed code equals what `proto/oracle.proto` gives. With `UPDATE_GENERATED=1`, the test writes it.

use std::fs;
use std::path::Path;

use tonic_prost_build::{Builder, FileDescriptorSet};

const CRATE: &str = env!("CARGO_MANIFEST_DIR");
const PACKAGE: &str = ".blindbit.oracle.v1";
const UPDATE: &str = "UPDATE_GENERATED";

fn compare(name: &str, expected: &[u8]) {
    let path = Path::new(CRATE).join("src").join(name);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read(&path).unwrap();
    assert!(
        found == expected,
        "{} is not what proto/oracle.proto gives: run this test with {UPDATE}=1",
        path.display()
    );
}

fn code(builder: Builder, interface: FileDescriptorSet) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    builder.out_dir(dir.path()).compile_fds(interface).unwrap();
    fs::read(dir.path().join("blindbit.oracle.v1.rs")).unwrap()
}

#[test]
fn the_generated_code_is_that_of_the_proto() {
    let proto = Path::new(CRATE).join("proto");
    let interface = protox::compile(["oracle.proto"], [&proto]).unwrap();
    let configured = || tonic_prost_build::configure().build_transport(false);
    compare(
        "generated.rs",
        &code(configured().build_server(false), interface.clone()),
    );
    // A server writes the messages of streams itself.
    let streamed = ["ComputeIndexResponse", "BlockScanDataShortResponse"];
    let server = streamed
        .into_iter()
        .fold(configured().build_client(false), |server, message| {
            server.extern_path(
                format!("{PACKAGE}.{message}"),
                format!("crate::Encoded<crate::{message}>"),
            )
        });
    compare(
        "server.rs",
        &code(server.extern_path(PACKAGE, "crate"), interface.clone()),
    );
    compare("descriptor.bin", &encoded(interface));
}

/// Without comments and positions, which no client uses.
fn encoded(mut interface: FileDescriptorSet) -> Vec<u8> {
    use protox::prost::Message as _;
    interface.file.iter_mut().for_each(|file| file.source_code_info = None);
    interface.encode_to_vec()
}
