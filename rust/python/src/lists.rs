//! Search of the candidates in inverted lists, for the indexes of the package.

use fastcodes_core::lists::{self, Probes};
use numpy::PyArrayMethods;
use pyo3::prelude::*;

use crate::arrays::{CodesArray, MaskArray, count, shared, to_py_err, typed};
use crate::results::{self, NeighborArrays};
use crate::runtime::detached;

/// The nearest rows by Hamming distance among `ids[starts[q, p]:stops[q, p]]` for all `p`, for each query `q`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub fn hamming_lists_knn<'py>(
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    starts: &Bound<'py, PyAny>,
    stops: &Bound<'py, PyAny>,
    ids: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<NeighborArrays<'py, i32>> {
    let py = queries.py();
    let (queries, codes) = (CodesArray::new(queries, "queries")?, CodesArray::new(codes, "codes")?);
    let (mask, k) = (MaskArray::new(mask)?, count(k, "k", 0)?);
    let starts = typed::<i64>(starts, "starts", "an int64 array")?;
    let stops = typed::<i64>(stops, "stops", "an int64 array")?;
    let ids = typed::<u32>(ids, "ids", "a uint32 array")?;
    let starts = starts.try_readonly().map_err(|_| shared("starts"))?;
    let stops = stops.try_readonly().map_err(|_| shared("stops"))?;
    let ids = ids.try_readonly().map_err(|_| shared("ids"))?;
    let probes = Probes::new(starts.as_slice()?, stops.as_slice()?, ids.as_slice()?, queries.n_rows());
    let probes = probes.map_err(to_py_err)?;
    let (query_rows, codes, mask) = (queries.view()?, codes.view()?, mask.view()?);
    results::neighbors(py, queries.n_rows(), k, |out| {
        detached(py, threads, |run| lists::hamming_knn(query_rows, codes, probes, mask, out, run))
    })
}
