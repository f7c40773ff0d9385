//! Re-ranking of candidates, for the indexes of the package.

use fastcodes_core::Neighbors;
use fastcodes_core::rerank::{self, Candidates, FloatRows, Metric};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{
    FloatRowsArray, FloatsArray, count, described, elements_mut, elements_of_axes, shape_text, to_py_err,
};
use crate::results::{self, NeighborArrays};
use crate::runtime::{detached, n_threads};

const X: &str = "a numpy float32 array (n, d)";
const IDS: &str = "a numpy int64 array (nq, n)";
const BOUNDS: &str = "a numpy float32 array (nq, n)";
const FOUND: &str = "a C-contiguous, writable numpy array (nq, k)";
const COUNTS: &str = "a C-contiguous, writable numpy array (nq,)";

/// What a call updates: `distances` (nq, k), `indices` (nq, k) and `n_read` (nq,).
#[derive(FromPyObject)]
pub struct Found<'py>(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>);

fn metric_of(metric: &Bound<'_, PyAny>) -> PyResult<Metric> {
    match metric.extract::<&str>() {
        Ok("l2") => Ok(Metric::L2),
        Ok("ip") => Ok(Metric::Ip),
        Ok("cosine") => Ok(Metric::Cosine),
        _ => {
            let given = described(metric);
            Err(PyValueError::new_err(format!("metric must be \"l2\", \"ip\" or \"cosine\"; got {given}")))
        }
    }
}

/// Updates the nearest rows of each query by the candidates `candidates[q]`: those are ids, and `rows[q]` the rows of `vectors` that they
/// have, unless these are the ids.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub fn rerank_nearest(
    py: Python<'_>,
    queries: &Bound<'_, PyAny>,
    candidates: &Bound<'_, PyAny>,
    rows: Option<&Bound<'_, PyAny>>,
    vectors: &Bound<'_, PyAny>,
    metric: &Bound<'_, PyAny>,
    bounds: Option<&Bound<'_, PyAny>>,
    found: Found<'_>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let (threads, metric) = (n_threads(threads)?, metric_of(metric)?);
    let queries = FloatsArray::new(queries, "queries", 2..=2, X)?;
    let ids = elements_of_axes::<i64>(candidates, "candidates", IDS, 2)?;
    let rows = rows.map(|rows| elements_of_axes::<i64>(rows, "rows", IDS, 2)).transpose()?;
    let bounds = bounds.map(|bounds| FloatsArray::new(bounds, "bounds", 2..=2, BOUNDS)).transpose()?;
    let vectors = FloatRowsArray::new(vectors, "rerank", X)?;
    let Found(distances, indices, n_read) = found;
    let mut distances = elements_mut::<f32>(&distances, "distances", FOUND)?;
    let mut indices = elements_mut::<i64>(&indices, "indices", FOUND)?;
    let mut n_read = elements_mut::<i64>(&n_read, "n_read", COUNTS)?;
    let &[_, k] = distances.shape() else {
        let shape = shape_text(distances.shape());
        return Err(PyValueError::new_err(format!("distances must be {FOUND}; got shape {shape}")));
    };
    let [n_queries, n_dims] = queries.shape();
    let candidates = Candidates {
        ids: ids.as_slice()?,
        rows: rows.as_ref().map(|rows| rows.as_slice()).transpose()?,
        bounds: bounds.as_ref().map(FloatsArray::values).transpose()?,
    };
    let queries =
        FloatRows::new("queries", queries.values()?, n_queries, n_dims, n_dims).map_err(to_py_err)?;
    let (vectors, out) =
        (vectors.view()?, Neighbors::new(distances.as_slice_mut()?, indices.as_slice_mut()?, k));
    let n_read = n_read.as_slice_mut()?;
    detached(py, threads, |run| rerank::nearest(queries, candidates, vectors, metric, out, n_read, run))
}

/// The `k` nearest of all rows of `vectors` to each query.
#[pyfunction]
pub fn rerank_nearest_of_all<'py>(
    py: Python<'py>,
    queries: &Bound<'py, PyAny>,
    vectors: &Bound<'py, PyAny>,
    metric: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<NeighborArrays<'py, f32>> {
    let (threads, metric, k) = (n_threads(threads)?, metric_of(metric)?, count(k, "k", 0)?);
    let queries = FloatsArray::new(queries, "queries", 2..=2, X)?;
    let vectors = FloatsArray::new(vectors, "vectors", 2..=2, X)?;
    let ([n_queries, n_dims], [n_rows, n_columns]) = (queries.shape(), vectors.shape());
    let rows = FloatRows::new("vectors", vectors.values()?, n_rows, n_columns, n_columns);
    let (vectors, values) = (rows.map_err(to_py_err)?, queries.values()?);
    let queries = FloatRows::new("queries", values, n_queries, n_dims, n_dims).map_err(to_py_err)?;
    results::neighbors(py, n_queries, n_rows, k, |out| {
        detached(py, threads, |run| rerank::nearest_of_all(queries, vectors, metric, out, run))
    })
}
