//! The one libsecp256k1 context.

use std::sync::LazyLock;

use bitcoin::secp256k1::{All, Secp256k1};

/// Blinded at random when first used; making one costs more than a multiplication, so that nobody makes another.
pub(crate) static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);
