//! The committed code equals what `proto/oracle.proto` gives. With `UPDATE_GENERATED=1`, the test writes it.

use std::fs;
use std::path::Path;

use tonic_prost_build::FileDescriptorSet;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");
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

#[test]
fn the_generated_code_is_that_of_the_proto() {
    let proto = Path::new(CRATE).join("proto");
    let interface = protox::compile(["oracle.proto"], [&proto]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        .out_dir(dir.path())
        .compile_fds(interface.clone())
        .unwrap();
    let code = fs::read(dir.path().join("blindbit.oracle.v1.rs")).unwrap();
    compare("generated.rs", &code);
    compare("descriptor.bin", &encoded(interface));
}

/// Without comments and positions, which no client uses.
fn encoded(mut interface: FileDescriptorSet) -> Vec<u8> {
    use protox::prost::Message as _;
    interface.file.iter_mut().for_each(|file| file.source_code_info = None);
    interface.encode_to_vec()
}
