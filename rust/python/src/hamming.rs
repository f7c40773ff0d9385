//! `fastcodes.hamming`.

use fastcodes_core::asymmetric::{self, RealQueries};
use fastcodes_core::hamming;
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;

use crate::arrays::{CodesArray, FloatsArray, MaskArray, count, to_py_err};
use crate::binary;
use crate::probes::{Lists, ProbesArrays};
use crate::results::{self, CsrArrays, NeighborArrays, PairArrays};
use crate::runtime::{detached, n_threads};

/// A number of bits.
pub fn bits(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    Ok(u32::try_from(count(value, "radius", 0)?).unwrap_or(u32::MAX))
}

/// See `fastcodes.hamming.knn`.
#[pyfunction]
pub fn hamming_knn<'py>(
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    lists: Option<Lists<'py>>,
) -> PyResult<NeighborArrays<'py, i32>> {
    binary::knn(
        |queries, codes, probes, mask, out, run| match probes {
            None => hamming::knn(queries, codes, mask, out, run),
            Some(probes) => hamming::lists_knn(queries, codes, probes, mask, out, run),
        },
        (queries, codes),
        k,
        mask,
        threads,
        lists,
    )
}

/// See `fastcodes.hamming.radius`.
#[pyfunction]
pub fn hamming_radius<'py>(
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    radius: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    lists: Option<Lists<'py>>,
) -> PyResult<CsrArrays<'py, i32>> {
    binary::radius(
        |queries, codes, probes, radius, mask, run| match probes {
            None => hamming::radius(queries, codes, radius, mask, run),
            Some(probes) => hamming::lists_radius(queries, codes, probes, radius, mask, run),
        },
        (queries, codes),
        bits(radius)?,
        mask,
        threads,
        lists,
    )
}

/// See `fastcodes.hamming.cdist`.
#[pyfunction]
pub fn hamming_cdist<'py>(
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<i32>>> {
    binary::cdist(hamming::cdist, (a, b), out, threads)
}

/// See `fastcodes.hamming.pairs`.
#[pyfunction]
pub fn hamming_pairs<'py>(
    codes: &Bound<'py, PyAny>,
    radius: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<PairArrays<'py, i32>> {
    binary::pairs(hamming::pairs, codes, bits(radius)?, threads)
}

/// See `fastcodes.hamming.groups`.
#[pyfunction]
pub fn hamming_groups<'py>(
    codes: &Bound<'py, PyAny>,
    radius: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    binary::groups(hamming::groups, codes, bits(radius)?, threads)
}

/// See `fastcodes.hamming.asymmetric_knn`.
#[pyfunction]
pub fn hamming_asymmetric_knn<'py>(
    py: Python<'py>,
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    lists: Option<Lists<'py>>,
) -> PyResult<NeighborArrays<'py, f32>> {
    let threads = n_threads(threads)?;
    let (k, mask) = (count(k, "k", 0)?, MaskArray::new(mask)?);
    let queries = FloatsArray::new(queries, "queries", 1..=2, "a numpy array (nq, n_bits) of numbers")?;
    let codes = CodesArray::new(codes, "codes")?;
    let [n_queries, n_bits] = queries.shape();
    let queries = RealQueries::new(queries.values()?, n_queries, n_bits).map_err(to_py_err)?;
    let (codes, mask) = (codes.view()?, mask.view()?);
    let lists = lists.as_ref().map(ProbesArrays::new).transpose()?;
    let probes = lists.as_ref().map(|lists| lists.view(n_queries)).transpose()?;
    results::neighbors(py, n_queries, codes.n_rows(), k, |out| {
        detached(py, threads, |run| match probes {
            None => asymmetric::knn(queries, codes, mask, out, run),
            Some(probes) => asymmetric::lists_knn(queries, codes, probes, mask, out, run),
        })
    })
}
