//! `fastcodes.hamming`.

use crate::arrays::count;
use crate::search::search_functions;

/// A number of bits.
fn bits(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    Ok(u32::try_from(count(value, "radius", 0)?).unwrap_or(u32::MAX))
}

search_functions!(hamming, i32, bits, hamming_knn, hamming_radius, hamming_cdist, hamming_pairs);
