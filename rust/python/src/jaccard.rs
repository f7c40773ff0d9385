//! `fastcodes.jaccard`.

use fastcodes_core::jaccard;
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;

use crate::arrays::real;
use crate::binary;
use crate::results::{CsrArrays, NeighborArrays, PairArrays};

/// A distance.
fn distance(value: &Bound<'_, PyAny>) -> PyResult<f32> {
    real(value, "radius", Some(0.0))
}

/// See `fastcodes.jaccard.knn`.
#[pyfunction]
pub fn jaccard_knn<'py>(
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<NeighborArrays<'py, f32>> {
    binary::knn(jaccard::knn, (queries, codes), k, mask, threads)
}

/// See `fastcodes.jaccard.radius`.
#[pyfunction]
pub fn jaccard_radius<'py>(
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    radius: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<CsrArrays<'py, f32>> {
    binary::radius(jaccard::radius, (queries, codes), distance(radius)?, mask, threads)
}

/// See `fastcodes.jaccard.cdist`.
#[pyfunction]
pub fn jaccard_cdist<'py>(
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    binary::cdist(jaccard::cdist, (a, b), out, threads)
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
