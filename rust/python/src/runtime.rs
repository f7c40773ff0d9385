//! How a call runs: the level, the threads, and Ctrl-C.

use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::sync::OnceLock;

use fastcodes_core::{Error, Level, Run, available_cpus};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{count, to_py_err};

/// An environment variable; an empty one counts as unset.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// The level that calls use: the highest of this CPU, or the lower one that `FASTCODES_LEVEL` names. The variable
/// is read once, at the first call.
pub fn level() -> PyResult<Level> {
    static LEVEL: OnceLock<Result<Level, Error>> = OnceLock::new();
    LEVEL
        .get_or_init(|| match variable("FASTCODES_LEVEL") {
            None => Ok(Level::best()),
            Some(name) => Level::named(&name.to_string_lossy()),
        })
        .clone()
        .map_err(|error| PyValueError::new_err(format!("FASTCODES_LEVEL: {error}")))
}

/// The number of threads for `threads=None`: the CPUs of this process, or the value of `FASTCODES_NUM_THREADS` if that is lower
/// (read once, at the first call).
pub fn default_threads() -> PyResult<usize> {
    static THREADS: OnceLock<Result<usize, String>> = OnceLock::new();
    THREADS
        .get_or_init(|| match variable("FASTCODES_NUM_THREADS") {
            None => Ok(available_cpus()),
            Some(text) => match text.to_str().map(str::parse::<usize>) {
                Some(Ok(threads)) if threads > 0 => Ok(threads.min(available_cpus())),
                _ => Err(format!("FASTCODES_NUM_THREADS is {text:?}; expected an integer from 1 up")),
            },
        })
        .clone()
        .map_err(PyValueError::new_err)
}

/// The `threads=` argument. Like every number it is read before the arrays of a call are borrowed, since its methods are code of
/// the user.
pub fn n_threads(value: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
    value.map_or_else(default_threads, |value| count(value, "threads", 1))
}

/// Runs `work` without the interpreter's lock, at the level and on the threads of this call. Ctrl-C ends it.
pub fn detached<T: Send>(
    py: Python<'_>,
    threads: usize,
    work: impl FnOnce(&Run<'_>) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let level = level()?;
    py.detach(move || {
        let raised = RefCell::new(None);
        let stop = || match Python::attach(|py| py.check_signals()) {
            Ok(()) => false,
            Err(error) => {
                raised.replace(Some(error));
                true
            }
        };
        let result = work(&Run::new(level, threads, &stop));
        result.map_err(|error| raised.take().unwrap_or_else(|| to_py_err(error)))
    })
}
