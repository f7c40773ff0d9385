//! `fastcodes.jaccard`.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};

use crate::arrays::described;
use crate::search::search_functions;

/// A distance; float32, as the distances are that it is compared with.
fn real(value: &Bound<'_, PyAny>) -> PyResult<f32> {
    let wrong = || format!("radius must be a real number, 0 or more; got {}", described(value));
    let radius = value.extract::<f64>().map_err(|error| {
        match error.is_instance_of::<PyOverflowError>(value.py()) {
            true => PyValueError::new_err(wrong()),
            false => PyTypeError::new_err(wrong()),
        }
    })?;
    if radius >= 0.0 { Ok(radius as f32) } else { Err(PyValueError::new_err(wrong())) }
}

search_functions!(jaccard, f32, real, jaccard_knn, jaccard_radius, jaccard_cdist, jaccard_pairs);
