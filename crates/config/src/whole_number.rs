//! Whole numbers in JSON.

use serde_json::Number;

/// The number as an integer, if it is one: `60` and `60.0`.
pub fn whole(number: &Number) -> Option<i64> {
    /// Above this, a float cannot represent every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let exact = |float: f64| (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64);
    number.as_i64().or_else(|| number.as_f64().and_then(exact))
}
