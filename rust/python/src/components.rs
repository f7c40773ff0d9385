//! Connected components of graphs.

use numpy::{Ix1, PyArray1};
use pyo3::prelude::*;

use crate::arrays::{count, elements_of_axes};
use crate::results::filled;
use crate::runtime::{default_threads, detached};

const ROWS: &str = "a numpy int64 array (n_edges,) of rows";

/// See `fastcodes.components`.
#[pyfunction]
pub fn components<'py>(
    py: Python<'py>,
    i: &Bound<'py, PyAny>,
    j: &Bound<'py, PyAny>,
    n: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let n = count(n, "n", 0)?;
    let (i, j) = (elements_of_axes::<i64>(i, "i", ROWS, 1)?, elements_of_axes::<i64>(j, "j", ROWS, 1)?);
    let (i, j) = (i.as_slice()?, j.as_slice()?);
    filled::<i64, Ix1>(py, None, &[n], |out| {
        detached(py, default_threads()?, |run| fastcodes_core::components(i, j, out, run))
    })
}
