//! `fastcodes.jaccard`.

use fastcodes_core::jaccard::{self, Tversky};
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;

use crate::arrays::{CodesArray, real, to_py_err};
use crate::binary;
use crate::probes::Lists;
use crate::results::{CsrArrays, NeighborArrays, PairArrays};
use crate::runtime::{detached, n_threads};

/// A distance.
fn distance(value: &Bound<'_, PyAny>) -> PyResult<f32> {
    real(value, "radius", Some(0.0))
}

/// The distance with the weights alpha and beta.
fn metric((alpha, beta): (f64, f64)) -> PyResult<Tversky> {
    Tversky::new(alpha, beta).map_err(to_py_err)
}

/// The order of rows by their number of ones, which makes searches of these rows faster. It does not change.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct SortedRows(jaccard::SortedRows);

#[pymethods]
impl SortedRows {
    /// Of all rows.
    #[new]
    fn new(codes: &Bound<'_, PyAny>, threads: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let threads = n_threads(threads)?;
        let (py, codes) = (codes.py(), CodesArray::new(codes, "codes")?);
        let codes = codes.view()?;
        Ok(SortedRows(detached(py, threads, |run| jaccard::SortedRows::new(codes, run))?))
    }

    fn __len__(&self) -> usize {
        self.0.n_rows()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.0.n_bytes()
    }
}

/// See `fastcodes.jaccard.knn`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub fn jaccard_knn<'py>(
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    weights: (f64, f64),
    sorted: Option<&Bound<'py, SortedRows>>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    lists: Option<Lists<'py>>,
) -> PyResult<NeighborArrays<'py, f32>> {
    let (metric, sorted) = (metric(weights)?, sorted.map(|sorted| &sorted.get().0));
    binary::knn(
        |queries, codes, probes, mask, out, run| match probes {
            None => jaccard::knn(queries, codes, sorted, metric, mask, out, run),
            Some(probes) => jaccard::lists_knn(queries, codes, probes, metric, mask, out, run),
        },
        (queries, codes),
        k,
        mask,
        threads,
        lists,
    )
}

/// See `fastcodes.jaccard.radius`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub fn jaccard_radius<'py>(
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    radius: &Bound<'py, PyAny>,
    weights: (f64, f64),
    sorted: Option<&Bound<'py, SortedRows>>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    lists: Option<Lists<'py>>,
) -> PyResult<CsrArrays<'py, f32>> {
    let (radius, metric) = (distance(radius)?, metric(weights)?);
    let sorted = sorted.map(|sorted| &sorted.get().0);
    binary::radius(
        |queries, codes, probes, radius, mask, run| match probes {
            None => jaccard::radius(queries, codes, radius, sorted, metric, mask, run),
            Some(probes) => jaccard::lists_radius(queries, codes, probes, metric, radius, mask, run),
        },
        (queries, codes),
        radius,
        mask,
        threads,
        lists,
    )
}

/// See `fastcodes.jaccard.cdist`.
#[pyfunction]
pub fn jaccard_cdist<'py>(
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    weights: (f64, f64),
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let metric = metric(weights)?;
    binary::cdist(|a, b, out: &mut [f32], run| jaccard::cdist(a, b, metric, out, run), (a, b), out, threads)
}

/// See `fastcodes.jaccard.pairs`.
#[pyfunction]
pub fn jaccard_pairs<'py>(
    codes: &Bound<'py, PyAny>,
    radius: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<PairArrays<'py, f32>> {
    binary::pairs(jaccard::pairs, codes, distance(radius)?, threads)
}

/// See `fastcodes.jaccard.groups`.
#[pyfunction]
pub fn jaccard_groups<'py>(
    codes: &Bound<'py, PyAny>,
    radius: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    binary::groups(jaccard::groups, codes, distance(radius)?, threads)
}
