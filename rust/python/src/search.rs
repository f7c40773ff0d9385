//! The four functions that every search family has, written once.

use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;

/// Distances and indices, one row a query.
pub type Neighbors<'py, D> = (Bound<'py, PyArray2<D>>, Bound<'py, PyArray2<i64>>);

/// Offsets, distances and indices.
pub type Ragged<'py, D> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<D>>, Bound<'py, PyArray1<i64>>);

/// i, j and distances.
pub type PairList<'py, D> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<D>>);

/// Defines the functions of a family: its module in the core, the type of its distances, the function that reads a
/// radius, and the four names.
macro_rules! search_functions {
    ($family:ident, $distance:ty, $radius_of:path, $knn:ident, $radius:ident, $cdist:ident, $pairs:ident) => {
        use numpy::{IntoPyArray, PyArray2, PyArrayMethods, PyReadwriteArray2};
        use pyo3::prelude::*;

        use crate::arrays::{CodesArray, MaskArray, array_out, empty, results_shape, writable};
        use crate::runtime::run;
        use crate::search::{Neighbors, PairList, Ragged};

        #[doc = concat!("See `fastcodes.", stringify!($family), ".knn`.")]
        #[pyfunction]
        pub fn $knn<'py>(
            py: Python<'py>,
            queries: &Bound<'py, PyAny>,
            codes: &Bound<'py, PyAny>,
            k: &Bound<'py, PyAny>,
            mask: Option<&Bound<'py, PyAny>>,
            threads: Option<&Bound<'py, PyAny>>,
        ) -> PyResult<Neighbors<'py, $distance>> {
            let (queries, codes) = (CodesArray::new(queries, "queries")?, CodesArray::new(codes, "codes")?);
            let (mask, k) = (MaskArray::new(mask)?, crate::arrays::count(k, "k", 0)?);
            let (queries_view, codes_view, mask_view) = (queries.view()?, codes.view()?, mask.view()?);
            let shape = results_shape(queries.n_rows(), k)?;
            let (distances, indices) = (empty(py, &shape)?, empty(py, &shape)?);
            {
                let (mut distances, mut indices): (
                    PyReadwriteArray2<'_, $distance>,
                    PyReadwriteArray2<'_, i64>,
                ) = (distances.try_readwrite()?, indices.try_readwrite()?);
                let (distances, indices) = (distances.as_slice_mut()?, indices.as_slice_mut()?);
                run(py, threads, |level, parallel| {
                    fastcodes_core::$family::knn(
                        level,
                        queries_view,
                        codes_view,
                        k,
                        mask_view,
                        parallel,
                        distances,
                        indices,
                    )
                })?;
            }
            Ok((distances, indices))
        }

        #[doc = concat!("See `fastcodes.", stringify!($family), ".radius`.")]
        #[pyfunction]
        pub fn $radius<'py>(
            py: Python<'py>,
            queries: &Bound<'py, PyAny>,
            codes: &Bound<'py, PyAny>,
            radius: &Bound<'py, PyAny>,
            mask: Option<&Bound<'py, PyAny>>,
            threads: Option<&Bound<'py, PyAny>>,
        ) -> PyResult<Ragged<'py, $distance>> {
            let (queries, codes) = (CodesArray::new(queries, "queries")?, CodesArray::new(codes, "codes")?);
            let mask = MaskArray::new(mask)?;
            let radius = $radius_of(radius)?;
            let (queries, codes, mask) = (queries.view()?, codes.view()?, mask.view()?);
            let found = run(py, threads, |level, parallel| {
                fastcodes_core::$family::radius(level, queries, codes, radius, mask, parallel)
            })?;
            Ok((
                found.offsets.into_pyarray(py),
                found.distances.into_pyarray(py),
                found.indices.into_pyarray(py),
            ))
        }

        #[doc = concat!("See `fastcodes.", stringify!($family), ".cdist`.")]
        #[pyfunction]
        pub fn $cdist<'py>(
            py: Python<'py>,
            a: &Bound<'py, PyAny>,
            b: &Bound<'py, PyAny>,
            out: Option<&Bound<'py, PyAny>>,
            threads: Option<&Bound<'py, PyAny>>,
        ) -> PyResult<Bound<'py, PyArray2<$distance>>> {
            let (a, b) = (CodesArray::new(a, "a")?, CodesArray::new(b, "b")?);
            let (a_view, b_view) = (a.view()?, b.view()?);
            let out: Bound<'py, PyArray2<$distance>> = array_out(py, out, &[a.n_rows(), b.n_rows()])?;
            {
                let mut distances = writable(&out)?;
                let distances = distances.as_slice_mut()?;
                run(py, threads, |level, parallel| {
                    fastcodes_core::$family::cdist(level, a_view, b_view, parallel, distances)
                })?;
            }
            Ok(out)
        }

        #[doc = concat!("See `fastcodes.", stringify!($family), ".pairs`.")]
        #[pyfunction]
        pub fn $pairs<'py>(
            py: Python<'py>,
            codes: &Bound<'py, PyAny>,
            radius: &Bound<'py, PyAny>,
            threads: Option<&Bound<'py, PyAny>>,
        ) -> PyResult<PairList<'py, $distance>> {
            let codes = CodesArray::new(codes, "codes")?;
            let radius = $radius_of(radius)?;
            let codes = codes.view()?;
            let found = run(py, threads, |level, parallel| {
                fastcodes_core::$family::pairs(level, codes, radius, parallel)
            })?;
            Ok((found.i.into_pyarray(py), found.j.into_pyarray(py), found.distances.into_pyarray(py)))
        }
    };
}

pub(crate) use search_functions;
