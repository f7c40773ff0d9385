//! `fastcodes.hamming`.

use fastcodes_core::asymmetric::{self, RealQueries};
use fastcodes_core::lists::{self, Buckets};

use crate::arrays::{FloatsArray, count, shared, to_py_err, typed};
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
    let queries = FloatsArray::new(queries, "real_queries", 1..=2, "a numpy array (nq, n_bits) of numbers")?;
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
            asymmetric::knn(level, queries, codes, k, mask, parallel, distances, indices)
        })?;
    }
    Ok((distances, indices))
}

/// The nearest rows among `ids[starts[q, b]:stops[q, b]]` for all `b`, for each query.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub fn hamming_buckets_knn<'py>(
    py: Python<'py>,
    queries: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    starts: &Bound<'py, PyAny>,
    stops: &Bound<'py, PyAny>,
    ids: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Neighbors<'py, i32>> {
    let (queries, codes) = (CodesArray::new(queries, "queries")?, CodesArray::new(codes, "codes")?);
    let (mask, k) = (MaskArray::new(mask)?, count(k, "k", 0)?);
    let starts = typed::<i64>(starts, "starts", "an int64 array")?;
    let stops = typed::<i64>(stops, "stops", "an int64 array")?;
    let ids = typed::<u32>(ids, "ids", "a uint32 array")?;
    let starts = starts.try_readonly().map_err(|_| shared("starts"))?;
    let stops = stops.try_readonly().map_err(|_| shared("stops"))?;
    let ids = ids.try_readonly().map_err(|_| shared("ids"))?;
    let buckets = Buckets::new(starts.as_slice()?, stops.as_slice()?, ids.as_slice()?, queries.n_rows());
    let buckets = buckets.map_err(to_py_err)?;
    let shape = results_shape(queries.n_rows(), k)?;
    let (queries, codes, mask) = (queries.view()?, codes.view()?, mask.view()?);
    let (distances, indices): (Bound<'py, PyArray2<i32>>, Bound<'py, PyArray2<i64>>) =
        (empty(py, &shape)?, empty(py, &shape)?);
    {
        let (mut distances, mut indices) = (distances.try_readwrite()?, indices.try_readwrite()?);
        let (distances, indices) = (distances.as_slice_mut()?, indices.as_slice_mut()?);
        run(py, threads, |level, parallel| {
            lists::knn(level, queries, codes, buckets, k, mask, parallel, distances, indices)
        })?;
    }
    Ok((distances, indices))
}
