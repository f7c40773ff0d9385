//! Multi-index hashing, for the index of the package.

use fastcodes_core::lists::multi_index::{self, Tables};
use numpy::PyArray2;
use pyo3::prelude::*;

use crate::arrays::{CodesArray, MaskArray, ReadArray, count, elements_of_axes, empty, to_py_err, writable};
use crate::hamming::bits;
use crate::results::{self, CsrArrays, NeighborArrays};
use crate::runtime::{detached, n_threads};

type TableArrays<'py> = (Bound<'py, PyArray2<u32>>, Bound<'py, PyArray2<u64>>);

/// Starts uint32 `(n_tables, 2**width + 1)` and entries uint64 `(n_tables, n)` of tables of all rows.
#[pyfunction]
pub fn hamming_tables<'py>(
    codes: &Bound<'py, PyAny>,
    n_bits: usize,
    n_tables: Option<usize>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<TableArrays<'py>> {
    let threads = n_threads(threads)?;
    let (py, codes) = (codes.py(), CodesArray::new(codes, "codes")?);
    let (n_tables, width) = multi_index::shape(codes.n_rows(), n_bits, n_tables).map_err(to_py_err)?;
    let starts = empty(py, &[n_tables, (1 << width) + 1])?;
    let entries = empty(py, &[n_tables, codes.n_rows()])?;
    {
        let (mut starts, mut entries, codes) = (writable(&starts)?, writable(&entries)?, codes.view()?);
        let (starts, entries) = (starts.as_slice_mut()?, entries.as_slice_mut()?);
        detached(py, threads, |run| multi_index::fill(codes, n_bits, n_tables, starts, entries, run))?;
    }
    Ok((starts, entries))
}

/// The arrays of tables of the first rows, of those that follow, and so on.
struct TablesArrays<'py>(Vec<(ReadArray<'py, u32>, ReadArray<'py, u64>)>);

impl<'py> TablesArrays<'py> {
    fn new(tables: &[(Bound<'py, PyAny>, Bound<'py, PyAny>)]) -> PyResult<Self> {
        let arrays = tables.iter().map(|(starts, entries)| {
            let starts = elements_of_axes(starts, "starts", "a uint32 array of two dimensions", 2)?;
            let entries = elements_of_axes(entries, "entries", "a uint64 array of two dimensions", 2)?;
            Ok((starts, entries))
        });
        Ok(TablesArrays(arrays.collect::<PyResult<_>>()?))
    }

    fn view(&self, n_bits: usize) -> PyResult<Vec<Tables<'_>>> {
        let views = self.0.iter().map(|(starts, entries)| {
            let n_tables = entries.shape()[0];
            Tables::new(n_bits, n_tables, starts.as_slice()?, entries.as_slice()?).map_err(to_py_err)
        });
        views.collect()
    }
}

/// The nearest rows by Hamming distance, all rows considered.
#[pyfunction]
pub fn hamming_tables_knn<'py>(
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    n_bits: usize,
    tables: Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    k: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<NeighborArrays<'py, i32>> {
    let threads = n_threads(threads)?;
    let (py, k) = (queries.py(), count(k, "k", 0)?);
    let (mask, tables) = (MaskArray::new(mask)?, TablesArrays::new(&tables)?);
    let (queries, codes) = (CodesArray::new(queries, "queries")?, CodesArray::new(codes, "codes")?);
    let (query_rows, codes, mask, tables) =
        (queries.view()?, codes.view()?, mask.view()?, tables.view(n_bits)?);
    results::neighbors(py, queries.n_rows(), codes.n_rows(), k, |out| {
        detached(py, threads, |run| multi_index::knn(query_rows, codes, &tables, mask, out, run))
    })
}

/// All rows within a Hamming distance.
#[pyfunction]
pub fn hamming_tables_radius<'py>(
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    n_bits: usize,
    tables: Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    radius: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<CsrArrays<'py, i32>> {
    let threads = n_threads(threads)?;
    let (py, radius) = (queries.py(), bits(radius)?);
    let (mask, tables) = (MaskArray::new(mask)?, TablesArrays::new(&tables)?);
    let (queries, codes) = (CodesArray::new(queries, "queries")?, CodesArray::new(codes, "codes")?);
    let (queries, codes, mask, tables) = (queries.view()?, codes.view()?, mask.view()?, tables.view(n_bits)?);
    let found = detached(py, threads, |run| multi_index::radius(queries, codes, &tables, radius, mask, run))?;
    Ok(results::csr(py, found))
}
