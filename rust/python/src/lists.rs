//! Search of the candidates in inverted lists, for the indexes of the package.

use fastcodes_core::lists::{self, Probes};
use pyo3::prelude::*;

use crate::arrays::{CodesArray, MaskArray, count, elements, to_py_err};
use crate::results::{self, NeighborArrays};
use crate::runtime::{detached, n_threads};

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
    let threads = n_threads(threads)?;
    let (py, k) = (queries.py(), count(k, "k", 0)?);
    let mask = MaskArray::new(mask)?;
    let (queries, codes) = (CodesArray::new(queries, "queries")?, CodesArray::new(codes, "codes")?);
    let starts = elements::<i64>(starts, "starts", "an int64 array")?;
    let stops = elements::<i64>(stops, "stops", "an int64 array")?;
    let ids = elements::<u32>(ids, "ids", "a uint32 array")?;
    let probes = Probes::new(starts.as_slice()?, stops.as_slice()?, ids.as_slice()?, queries.n_rows());
    let probes = probes.map_err(to_py_err)?;
    let (query_rows, codes, mask) = (queries.view()?, codes.view()?, mask.view()?);
    results::neighbors(py, queries.n_rows(), codes.n_rows(), k, |out| {
        detached(py, threads, |run| lists::hamming_knn(query_rows, codes, probes, mask, out, run))
    })
}
