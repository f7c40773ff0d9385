//! The functions that every metric on packed bits has, written once.

use fastcodes_core::{Codes, Csr, Error, Mask, Neighbors, Pairs, Probes, Run};
use numpy::{Element, IntoPyArray, PyArray1, PyArray2};
use pyo3::prelude::*;

use crate::arrays::{CodesArray, MaskArray, count};
use crate::probes::{Lists, ProbesArrays};
use crate::results::{self, CsrArrays, NeighborArrays, PairArrays};
use crate::runtime::{detached, n_threads};

/// The nearest rows, of all or in lists, by a function of the core.
pub fn knn<'py, D: Element + Copy + Send>(
    search: impl Fn(
        Codes<'_>,
        Codes<'_>,
        Option<Probes<'_>>,
        Mask<'_>,
        Neighbors<'_, D>,
        &Run<'_>,
    ) -> Result<(), Error>
    + Sync,
    (queries, codes): (&Bound<'py, PyAny>, &Bound<'py, PyAny>),
    k: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    lists: Option<Lists<'py>>,
) -> PyResult<NeighborArrays<'py, D>> {
    let threads = n_threads(threads)?;
    let (py, k) = (queries.py(), count(k, "k", 0)?);
    let mask = MaskArray::new(mask)?;
    let (queries, codes) = (CodesArray::new(queries, "queries")?, CodesArray::new(codes, "codes")?);
    let (query_rows, codes, mask) = (queries.view()?, codes.view()?, mask.view()?);
    let lists = lists.as_ref().map(ProbesArrays::new).transpose()?;
    let probes = lists.as_ref().map(|lists| lists.view(queries.n_rows())).transpose()?;
    results::neighbors(py, queries.n_rows(), codes.n_rows(), k, |out| {
        detached(py, threads, |run| search(query_rows, codes, probes, mask, out, run))
    })
}

/// The rows within a radius, of all or in lists, by a function of the core.
pub fn radius<'py, D: Element + Send, R: Send>(
    search: impl Fn(Codes<'_>, Codes<'_>, Option<Probes<'_>>, R, Mask<'_>, &Run<'_>) -> Result<Csr<D>, Error>
    + Sync,
    (queries, codes): (&Bound<'py, PyAny>, &Bound<'py, PyAny>),
    radius: R,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    lists: Option<Lists<'py>>,
) -> PyResult<CsrArrays<'py, D>> {
    let threads = n_threads(threads)?;
    let py = queries.py();
    let mask = MaskArray::new(mask)?;
    let (queries, codes) = (CodesArray::new(queries, "queries")?, CodesArray::new(codes, "codes")?);
    let (queries, codes, mask) = (queries.view()?, codes.view()?, mask.view()?);
    let lists = lists.as_ref().map(ProbesArrays::new).transpose()?;
    let probes = lists.as_ref().map(|lists| lists.view(queries.n_rows())).transpose()?;
    let found = detached(py, threads, |run| search(queries, codes, probes, radius, mask, run))?;
    Ok(results::csr(py, found))
}

/// All distances, by a function of the core.
pub fn cdist<'py, D: Element + Send>(
    fill: impl Fn(Codes<'_>, Codes<'_>, &mut [D], &Run<'_>) -> Result<(), Error> + Sync,
    (a, b): (&Bound<'py, PyAny>, &Bound<'py, PyAny>),
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<D>>> {
    let threads = n_threads(threads)?;
    let py = a.py();
    let (a, b) = (CodesArray::new(a, "a")?, CodesArray::new(b, "b")?);
    let (a_rows, b_rows) = (a.view()?, b.view()?);
    results::filled(py, out, &[a.n_rows(), b.n_rows()], |out| {
        detached(py, threads, |run| fill(a_rows, b_rows, out, run))
    })
}

/// The pairs of rows within a radius, by a function of the core.
pub fn pairs<'py, D: Element + Send, R: Send>(
    search: fn(Codes<'_>, R, &Run<'_>) -> Result<Pairs<D>, Error>,
    codes: &Bound<'py, PyAny>,
    radius: R,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<PairArrays<'py, D>> {
    let threads = n_threads(threads)?;
    let py = codes.py();
    let codes = CodesArray::new(codes, "codes")?;
    let codes = codes.view()?;
    let found = detached(py, threads, |run| search(codes, radius, run))?;
    Ok(results::pairs(py, found))
}

/// The groups of rows within a radius, by a function of the core.
pub fn groups<'py, R: Send>(
    search: fn(Codes<'_>, R, &Run<'_>) -> Result<Vec<i64>, Error>,
    codes: &Bound<'py, PyAny>,
    radius: R,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let (py, threads) = (codes.py(), n_threads(threads)?);
    let codes = CodesArray::new(codes, "codes")?;
    let codes = codes.view()?;
    let groups = detached(py, threads, |run| search(codes, radius, run))?;
    Ok(groups.into_pyarray(py))
}
