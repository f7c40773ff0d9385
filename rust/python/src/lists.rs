//! Search of the candidates in inverted lists, for the indexes of the package.

use fastcodes_core::lists;
use pyo3::prelude::*;

use crate::arrays::{CodesArray, MaskArray, count};
use crate::probes::{Lists, ProbesArrays};
use crate::results::{self, NeighborArrays};
use crate::runtime::{detached, n_threads};

/// The nearest rows by Hamming distance among those whose ids are in the lists of each query; `ids` are rows.
#[pyfunction]
pub fn hamming_candidates_knn<'py>(
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    lists: Lists<'py>,
    k: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<NeighborArrays<'py, i32>> {
    let threads = n_threads(threads)?;
    let (py, k) = (queries.py(), count(k, "k", 0)?);
    let mask = MaskArray::new(mask)?;
    let (queries, codes) = (CodesArray::new(queries, "queries")?, CodesArray::new(codes, "codes")?);
    let lists = ProbesArrays::new(&lists)?;
    let probes = lists.view(queries.n_rows())?;
    let (query_rows, codes, mask) = (queries.view()?, codes.view()?, mask.view()?);
    results::neighbors(py, queries.n_rows(), codes.n_rows(), k, |out| {
        detached(py, threads, |run| lists::hamming_knn(query_rows, codes, probes, mask, out, run))
    })
}
