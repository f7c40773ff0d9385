//! The hadamard family. `fastcodes.hadamard` converts vectors to float32.

use fastcodes_core::hadamard::orthogonal::{self, Orthogonal};
use fastcodes_core::hadamard::{self, Signs};
use numpy::{Ix2, PyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{CodesArray, FloatsArray, count, to_py_err};
use crate::results::filled;
use crate::runtime::{detached, n_threads};

const X: &str = "a numpy array (n, d) of numbers";
const SIGNS: &str =
    "a numpy uint8 array (3 * n_rotations, n_bytes) of packed bits, as fastcodes.hadamard.signs makes it";

const ROTATION: &str =
    "a numpy uint8 array (4, n_bytes) of packed bits, as fastcodes.hadamard.rotation_signs makes it";

/// Checks before there is an array for the result that the rotations give as many numbers as the argument `name` says.
fn check_features(n_features: usize, name: &str, signs: &Signs) -> PyResult<()> {
    let most = signs.n_features();
    if n_features <= most {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "{name} is {n_features}, but the rotations of signs give {most}; expected an integer from 1 to that, or more signs"
    )))
}

/// See `fastcodes.hadamard.project`.
#[pyfunction]
pub fn hadamard_project<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    signs: &Bound<'py, PyAny>,
    n_features: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let threads = n_threads(threads)?;
    let n_features = count(n_features, "n_features", 1)?;
    let (x, signs) = (FloatsArray::new(x, "x", 1..=2, X)?, CodesArray::described(signs, "signs", SIGNS)?);
    let [n_rows, n_dims] = x.shape();
    let (values, signs) = (x.values()?, Signs::new(signs.view()?, n_dims).map_err(to_py_err)?);
    check_features(n_features, "n_features", &signs)?;
    filled::<f32, Ix2>(py, out, &[n_rows, n_features], |out| {
        detached(py, threads, |run| hadamard::project(values, &signs, n_features, out, run))
    })
}

/// See `fastcodes.hadamard.pack`.
#[pyfunction]
pub fn hadamard_pack<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    signs: &Bound<'py, PyAny>,
    n_bits: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let threads = n_threads(threads)?;
    let n_bits = count(n_bits, "n_bits", 1)?;
    let (x, signs) = (FloatsArray::new(x, "x", 1..=2, X)?, CodesArray::described(signs, "signs", SIGNS)?);
    let [n_rows, n_dims] = x.shape();
    let (values, signs) = (x.values()?, Signs::new(signs.view()?, n_dims).map_err(to_py_err)?);
    check_features(n_bits, "n_bits", &signs)?;
    filled::<u8, Ix2>(py, out, &[n_rows, n_bits.div_ceil(8)], |out| {
        detached(py, threads, |run| hadamard::pack(values, &signs, n_bits, out, run))
    })
}

/// See `fastcodes.hadamard.rotate`.
#[pyfunction]
pub fn hadamard_rotate<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    signs: &Bound<'py, PyAny>,
    back_to: Option<&Bound<'py, PyAny>>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let threads = n_threads(threads)?;
    let back_to = back_to.map(|d| count(d, "d", 1)).transpose()?;
    let (x, signs) = (FloatsArray::new(x, "x", 1..=2, X)?, CodesArray::described(signs, "signs", ROTATION)?);
    let [n_rows, n_dims] = x.shape();
    let (values, rotation) = (x.values()?, Orthogonal::new(signs.view()?).map_err(to_py_err)?);
    let (fewer, n_out) = back_to.map_or((n_dims, rotation.n_dims()), |d| (d, d));
    if fewer > rotation.n_dims() || (back_to.is_some() && n_dims != rotation.n_dims()) {
        let (given, all) = (if back_to.is_some() { n_dims.max(fewer) } else { n_dims }, rotation.n_dims());
        let expected =
            if back_to.is_some() { "as many for x, and at most as many for d" } else { "at most as many" };
        return Err(PyValueError::new_err(format!(
            "x has {given} dimensions, but signs are for {all}; expected {expected}"
        )));
    }
    filled::<f32, Ix2>(py, out, &[n_rows, n_out], |out| {
        detached(py, threads, |run| orthogonal::rotate(values, fewer, &rotation, back_to.is_some(), out, run))
    })
}
