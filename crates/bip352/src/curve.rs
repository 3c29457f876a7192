//! The one libsecp256k1 context.

use std::sync::LazyLock;

use bitcoin::secp256k1::{All, Secp256k1};

/// Blinded at random when first used; creating one costs more than a multiplication, so it is shared.
pub(crate) static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);
