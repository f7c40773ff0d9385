//! What `fastcodes info` prints, and what tests loop over.

use fastcodes_core::Level;
use pyo3::prelude::*;

use crate::runtime;

/// Version of the package.
#[pyfunction]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Name of the level that calls use.
#[pyfunction]
pub fn level() -> PyResult<&'static str> {
    Ok(runtime::level()?.name())
}

/// Names of the levels this CPU has, lowest first.
#[pyfunction]
pub fn levels() -> Vec<&'static str> {
    Level::available().into_iter().map(Level::name).collect()
}

/// What keeps this CPU from a higher level, or `None` at the top.
#[pyfunction]
pub fn why_not_higher() -> Option<String> {
    Level::why_not_higher()
}

/// Number of threads that `threads=None` means.
#[pyfunction]
pub fn threads() -> PyResult<usize> {
    runtime::default_threads()
}
