//! The shared context of libsecp256k1.

use std::sync::LazyLock;

use bitcoin::secp256k1::{All, Secp256k1};

pub(super) static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);
