//! The additive family: what the models of `fastcodes.quantization` call.

use fastcodes_core::adc::{Codebooks, Vectors};
use fastcodes_core::additive::{self, Constraint, Search};
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

/// Of a local search: `(n_iterations, n_passes, n_changes, seed)`.
#[derive(FromPyObject)]
pub struct SearchParams(usize, usize, usize, u64);

impl From<SearchParams> for Search {
    fn from(SearchParams(n_iterations, n_passes, n_changes, seed): SearchParams) -> Search {
        Search { n_iterations, n_passes, n_changes, seed }
    }
}

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

/// Improves `codes` by an iterated local search, and fills `errors`.
#[pyfunction]
pub fn additive_search(
    py: Python<'_>,
    arrays: Arrays<'_>,
    search: SearchParams,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    encode(py, &arrays, threads, |x, codebooks, codes, errors, run| {
        additive::local_search(x, codebooks, search.into(), codes, errors, run)
    })
}

/// Improves `codes` under the constraint `(product, penalty)`, and fills `errors` with the costs.
#[pyfunction]
pub fn additive_composite_search(
    py: Python<'_>,
    arrays: Arrays<'_>,
    constraint: (f32, f32),
    search: SearchParams,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let constraint = Constraint { product: constraint.0, penalty: constraint.1 };
    encode(py, &arrays, threads, |x, codebooks, codes, costs, run| {
        additive::composite_search(x, codebooks, constraint, search.into(), codes, costs, run)
    })
}
