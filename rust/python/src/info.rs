//! The build and the CPU: what `fastcodes info` prints.

use std::time::Duration;

use fastcodes_core::{Level, roofline as core_roofline};
use pyo3::prelude::*;

use crate::runtime;

/// Version of the package.
#[pyfunction]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The name of the level that calls use.
#[pyfunction]
pub fn level() -> PyResult<&'static str> {
    Ok(runtime::level()?.name())
}

/// The names of the levels of this CPU, lowest first.
#[pyfunction]
pub fn levels() -> Vec<&'static str> {
    Level::available().into_iter().map(Level::name).collect()
}

/// What keeps this CPU from a higher level, or `None` at the top.
#[pyfunction]
pub fn why_not_higher() -> Option<String> {
    Level::why_not_higher()
}

/// The instructions beyond those of the highest level that kernels use where this CPU has them.
#[pyfunction]
pub fn extensions() -> Vec<&'static str> {
    Level::extensions()
}

/// The number of threads of `threads=None`.
#[pyfunction]
pub fn threads() -> PyResult<usize> {
    runtime::default_threads()
}

/// An upper bound of the bytes per second that one thread can compare, measured for about `seconds`.
#[pyfunction]
pub fn roofline(py: Python<'_>, seconds: f64) -> PyResult<f64> {
    let level = runtime::level()?;
    let duration = Duration::try_from_secs_f64(seconds.min(60.0)).unwrap_or_default();
    Ok(py.detach(|| core_roofline::xor_popcount_add(level, duration)))
}

/// The commit that the extension was built from, if the build was told.
#[pyfunction]
pub fn commit() -> Option<&'static str> {
    option_env!("FASTCODES_COMMIT")
}
