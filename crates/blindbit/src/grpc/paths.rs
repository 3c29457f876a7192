//! The paths of the calls, and the size of their requests.

/// Largest message of a request: those of BlindBit have some 30 bytes.
pub(super) const REQUEST_BYTES: usize = 4 << 10;
/// Prefix of the paths of the Oracle's calls.
pub(super) const ORACLE: &str = "/blindbit.oracle.v1.OracleService/";
/// Prefixes of the paths of server reflection; `v1alpha` is the one that older clients know.
pub(super) const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];
/// The calls of the Oracle.
pub(super) const CALLS: [&str; 7] = [
    "GetBestBlockHeight",
    "GetBlockHashByHeight",
    "GetFullBlock",
    "GetInfo",
    "GetSpentOutputsShort",
    "StreamBlockScanDataShort",
    "StreamComputeIndex",
];
