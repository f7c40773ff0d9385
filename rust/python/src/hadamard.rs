//! The hadamard family. `fastcodes.hadamard` brings vectors to float32.

use fastcodes_core::hadamard::{self, Signs};
use numpy::PyArray2;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{CodesArray, FloatsArray, array_out, count, results_shape, to_py_err, writable};
use crate::runtime::run;

const X: &str = "a numpy array (n, d) of numbers";
const SIGNS: &str =
    "a numpy uint8 array (3 * n_rotations, n_bytes) of packed bits, as fastcodes.hadamard.signs makes it";

/// The value of the argument `name` if the rotations give so many numbers: before there is an array for them.
fn fitting(value: &Bound<'_, PyAny>, name: &str, signs: &Signs) -> PyResult<usize> {
    let (n_features, most) = (count(value, name, 1)?, signs.n_features());
    if n_features <= most {
        return Ok(n_features);
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
    let (x, signs) = (FloatsArray::new(x, "x", 1..=2, X)?, CodesArray::described(signs, "signs", SIGNS)?);
    let [n_rows, n_dims] = x.shape();
    let (values, signs) = (x.values()?, Signs::new(signs.view()?, n_dims).map_err(to_py_err)?);
    let n_features = fitting(n_features, "n_features", &signs)?;
    let out = array_out(py, out, &results_shape(n_rows, n_features)?)?;
    {
        let mut out = writable(&out)?;
        let out = out.as_slice_mut()?;
        run(py, threads, |level, parallel| {
            hadamard::project(level, values, &signs, n_features, parallel, out)
        })?;
    }
    Ok(out)
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
    let (x, signs) = (FloatsArray::new(x, "x", 1..=2, X)?, CodesArray::described(signs, "signs", SIGNS)?);
    let [n_rows, n_dims] = x.shape();
    let (values, signs) = (x.values()?, Signs::new(signs.view()?, n_dims).map_err(to_py_err)?);
    let n_bits = fitting(n_bits, "n_bits", &signs)?;
    let out = array_out(py, out, &results_shape(n_rows, n_bits.div_ceil(8))?)?;
    {
        let mut out = writable(&out)?;
        let out = out.as_slice_mut()?;
        run(py, threads, |level, parallel| hadamard::pack(level, values, &signs, n_bits, parallel, out))?;
    }
    Ok(out)
}
