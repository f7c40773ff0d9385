//! The hadamard family. `fastcodes.hadamard` brings vectors to float32.

use fastcodes_core::Error;
use fastcodes_core::hadamard::{self, Signs};
use numpy::PyArray2;
use pyo3::prelude::*;

use crate::arrays::{CodesArray, FloatsArray, array_out, count, results_shape, to_py_err, writable};
use crate::runtime::run;

const X: &str = "a numpy array (n, d) of numbers";
const SIGNS: &str =
    "a numpy uint8 array (3 * n_rotations, n_bytes) of packed bits, as fastcodes.hadamard.signs makes it";

/// As many numbers as are wanted, if the rotations give them: before there is an array for them.
fn fitting(n_features: usize, signs: &Signs) -> PyResult<usize> {
    let most = signs.n_features();
    if n_features > most { Err(to_py_err(Error::Projections { n_features, most })) } else { Ok(n_features) }
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
    let n_features = count(n_features, "n_features", 1)?;
    let [n_rows, n_dims] = x.shape();
    let (values, signs) = (x.values()?, Signs::new(signs.view()?, n_dims).map_err(to_py_err)?);
    let out = array_out(py, out, &results_shape(n_rows, fitting(n_features, &signs)?)?)?;
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
    let n_bits = count(n_bits, "n_bits", 1)?;
    let [n_rows, n_dims] = x.shape();
    let (values, signs) = (x.values()?, Signs::new(signs.view()?, n_dims).map_err(to_py_err)?);
    let out = array_out(py, out, &results_shape(n_rows, fitting(n_bits, &signs)?.div_ceil(8))?)?;
    {
        let mut out = writable(&out)?;
        let out = out.as_slice_mut()?;
        run(py, threads, |level, parallel| hadamard::pack(level, values, &signs, n_bits, parallel, out))?;
    }
    Ok(out)
}
