//! `fastcodes.hamming`.

use fastcodes_core::hamming::{self, RealQueries};

use crate::arrays::{FloatsArray, count, to_py_err};
use crate::search::search_functions;

/// A number of bits.
fn bits(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    Ok(u32::try_from(count(value, "radius", 0)?).unwrap_or(u32::MAX))
}

search_functions!(hamming, i32, bits, hamming_knn, hamming_radius, hamming_cdist, hamming_pairs);

/// See `fastcodes.hamming.asymmetric_knn`.
#[pyfunction]
pub fn hamming_asymmetric_knn<'py>(
    py: Python<'py>,
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Neighbors<'py, f32>> {
    let queries = FloatsArray::new(queries, "queries", 1..=2, "a numpy array (nq, n_bits) of numbers")?;
    let codes = CodesArray::new(codes, "codes")?;
    let (mask, k) = (MaskArray::new(mask)?, count(k, "k", 0)?);
    let [n_queries, n_bits] = queries.shape();
    let queries = RealQueries::new(queries.values()?, n_queries, n_bits).map_err(to_py_err)?;
    let (codes, mask) = (codes.view()?, mask.view()?);
    let shape = results_shape(n_queries, k)?;
    let (distances, indices): (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray2<i64>>) =
        (empty(py, &shape)?, empty(py, &shape)?);
    {
        let (mut distances, mut indices) = (distances.try_readwrite()?, indices.try_readwrite()?);
        let (distances, indices) = (distances.as_slice_mut()?, indices.as_slice_mut()?);
        run(py, threads, |level, parallel| {
            hamming::asymmetric_knn(level, queries, codes, k, mask, parallel, distances, indices)
        })?;
    }
    Ok((distances, indices))
}
