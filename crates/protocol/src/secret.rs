//! Secrets in messages.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Defines a type of secret texts.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Deserialize, Serialize, PartialEq, Eq, Zeroize, ZeroizeOnDrop, ToSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text.
            pub fn new(text: String) -> Self {
                Self(text)
            }

            /// The secret. Must not be logged, put into errors or written to disk.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret! {
    /// A secret in hex. It is wiped when dropped, and `Debug` does not print it.
    SecretHex
}

secret! {
    /// A silent-payment descriptor with a private key (BIP392). It is wiped when dropped, and `Debug` does not print
    /// it.
    SecretDescriptor
}
