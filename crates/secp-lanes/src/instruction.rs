//! Proofs that the processor supports instructions, and calls of them. The features that are checked and those that the
//! code is compiled with come from one list.

/// Declares a token, and `switched_on`, which runs a kernel compiled with the token's instructions.
///
/// The list names the features that rustc enables implicitly, too (`rustc --print cfg -C target-feature=+avx512f` shows
/// them): a virtual machine may hide each of them separately. Omitted are those that every x86-64 processor has.
macro_rules! token {
    ($(#[$doc:meta])* $visibility:vis $token:ident: $($feature:tt),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        $visibility struct $token(());

        impl $token {
            /// The token, if this processor and its operating system support every feature that it stands for.
            $visibility fn available() -> Option<Self> {
                ($(is_x86_feature_detected!($feature))&&+).then_some(Self(()))
            }

            /// Runs the kernel with these instructions enabled.
            fn run<L: Lane, K: Kernel<L>>(self, token: L::Token, kernel: K) -> K::Output {
                // SAFETY: `available`, which made this token, has seen every feature that `switched_on` enables.
                unsafe { switched_on(token, kernel) }
            }
        }

        #[target_feature($(enable = $feature),+)]
        fn switched_on<L: Lane, K: Kernel<L>>(token: L::Token, kernel: K) -> K::Output {
            kernel.run(token)
        }
    };
}

/// Instructions that compute on registers alone, of those that the file's `Token` stands for.
macro_rules! instruction {
    ($token:expr, $call:expr) => {{
        let _: Token = $token;
        // SAFETY: the instructions access no memory, and the token proves that the processor has them.
        unsafe { $call }
    }};
}
