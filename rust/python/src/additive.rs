//! The additive family: what the models of `fastcodes.quantization` call.

use fastcodes_core::adc::{Codebooks, Vectors};
use fastcodes_core::additive::{self, Search};
use fastcodes_core::{Error, Run};
use pyo3::prelude::*;

use crate::arrays::{FloatsArray, count, elements_mut};
use crate::runtime::{detached, n_threads};

/// What [`elements_mut`] is told to expect of the arrays that a call fills.
const FILLED: &str = "a C-contiguous, writable numpy array";

/// The arrays of a call: `x` (n, d), `codebooks` (M, K, d), and `codes` (n, M) and `errors` (n,), which it fills.
#[derive(FromPyObject)]
pub struct Arrays<'py>(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>);

fn encode(
    py: Python<'_>,
    arrays: &Arrays<'_>,
    threads: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(Vectors<'_>, Codebooks<'_>, &mut [u8], &mut [f32], &Run<'_>) -> Result<(), Error> + Send,
) -> PyResult<()> {
    let threads = n_threads(threads)?;
    let Arrays(x, codebooks, codes, errors) = arrays;
    let x = FloatsArray::new(x, "x", 2..=2, "a numpy array (n, d) of numbers")?;
    let codebooks = FloatsArray::new(codebooks, "codebooks", 3..=3, "a numpy float32 array (M, K, d)")?;
    let mut codes = elements_mut::<u8>(codes, "codes", FILLED)?;
    let mut errors = elements_mut::<f32>(errors, "errors", FILLED)?;
    let (codes, errors) = (codes.as_slice_mut()?, errors.as_slice_mut()?);
    let ([n_rows, n_dims], [n_books, n_codewords, n_book_dims]) = (x.shape(), codebooks.shape());
    let (vectors, books) = (x.values()?, codebooks.values()?);
    detached(py, threads, |run| {
        let vectors = Vectors::new("x", vectors, n_rows, n_dims)?;
        let books = Codebooks::new(books, n_books, n_codewords, n_book_dims)?;
        work(vectors, books, codes, errors, run)
    })
}

/// Of a local search: `(resume, n_iterations, n_passes, n_changes, seed)`.
#[derive(FromPyObject)]
pub struct SearchParams(bool, usize, usize, usize, u64);

/// Fills `codes` and `errors` by a beam search with `n_paths` paths.
#[pyfunction]
pub fn additive_beam(
    py: Python<'_>,
    arrays: Arrays<'_>,
    n_paths: &Bound<'_, PyAny>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let n_paths = count(n_paths, "n_paths", 1)?;
    encode(py, &arrays, threads, |x, codebooks, codes, errors, run| {
        additive::beam(x, codebooks, n_paths, codes, errors, run)
    })
}

/// Fills `errors` and improves `codes`, or finds them if it does not resume with them, by an iterated local search.
#[pyfunction]
pub fn additive_search(
    py: Python<'_>,
    arrays: Arrays<'_>,
    params: SearchParams,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let SearchParams(resume, n_iterations, n_passes, n_changes, seed) = params;
    let search = Search { resume, n_iterations, n_passes, n_changes, seed };
    encode(py, &arrays, threads, |x, codebooks, codes, errors, run| {
        additive::local_search(x, codebooks, search, codes, errors, run)
    })
}
