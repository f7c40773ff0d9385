//! Results as NumPy arrays: made here, filled by the core.

use fastcodes_core::{Csr, Neighbors, Pairs};
use numpy::ndarray::Dimension;
use numpy::{Element, IntoPyArray, PyArray, PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arrays::{array_out, check_neighbors, empty, writable};

/// Distances and indices, one row per query.
pub type NeighborArrays<'py, D> = (Bound<'py, PyArray2<D>>, Bound<'py, PyArray2<i64>>);

/// Offsets, distances and indices.
pub type CsrArrays<'py, D> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<D>>, Bound<'py, PyArray1<i64>>);

/// i, j and distances.
pub type PairArrays<'py, D> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<D>>);

/// The arrays that `search` fills with the `k` nearest of `n_rows` rows for each query.
pub fn neighbors<'py, D: Element + Copy>(
    py: Python<'py>,
    n_queries: usize,
    n_rows: usize,
    k: usize,
    search: impl FnOnce(Neighbors<'_, D>) -> PyResult<()>,
) -> PyResult<NeighborArrays<'py, D>> {
    check_neighbors(k, n_rows)?;
    let shape = [n_queries, k];
    let (distances, indices): NeighborArrays<'py, D> = (empty(py, &shape)?, empty(py, &shape)?);
    {
        let (mut distances, mut indices) = (writable(&distances)?, writable(&indices)?);
        search(Neighbors::new(distances.as_slice_mut()?, indices.as_slice_mut()?, k))?;
    }
    Ok((distances, indices))
}

/// The arrays of a radius search.
pub fn csr<D: Element>(py: Python<'_>, found: Csr<D>) -> CsrArrays<'_, D> {
    (found.offsets.into_pyarray(py), found.distances.into_pyarray(py), found.indices.into_pyarray(py))
}

/// The arrays of a search for pairs.
pub fn pairs<D: Element>(py: Python<'_>, found: Pairs<D>) -> PairArrays<'_, D> {
    (found.i.into_pyarray(py), found.j.into_pyarray(py), found.distances.into_pyarray(py))
}

/// The array that `fill` writes: the `out=` argument, or a new array.
pub fn filled<'py, T: Element, D: Dimension>(
    py: Python<'py>,
    out: Option<&Bound<'py, PyAny>>,
    shape: &[usize],
    fill: impl FnOnce(&mut [T]) -> PyResult<()>,
) -> PyResult<Bound<'py, PyArray<T, D>>> {
    let out = array_out(py, out, shape)?;
    fill(writable(&out)?.as_slice_mut()?)?;
    Ok(out)
}

/// Bytes as `bytes`; `PyBytes::new` panics where there is no memory for them.
pub fn bytes<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, data.len(), |out| {
        out.copy_from_slice(data);
        Ok(())
    })
}
