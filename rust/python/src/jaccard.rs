//! `fastcodes.jaccard`.

use crate::arrays::real;
use crate::search::search_functions;

/// A distance.
fn radius(value: &Bound<'_, PyAny>) -> PyResult<f32> {
    real(value, "radius", Some(0.0))
}

search_functions!(jaccard, f32, radius, jaccard_knn, jaccard_radius, jaccard_cdist, jaccard_pairs);
