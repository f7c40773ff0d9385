//! Python objects as arguments: sets of tokens, and texts. All unsafe code that reads objects without their methods.

use fastcodes_core::minhash::token;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyUnicodeEncodeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyInt, PyList, PyString};

use crate::arrays::{described, elements};

/// Tokens between two checks for Ctrl-C.
const TOKENS_PER_CHECK: usize = 1 << 16;

/// Sets between two checks for Ctrl-C.
const SETS_PER_CHECK: usize = 1 << 10;

/// The tokens of `sets` from set `first` on, and their offsets: of all sets that are left, or of as many as have `most` tokens.
pub fn tokens_of_sets(sets: &Bound<'_, PyList>, first: usize, most: usize) -> PyResult<(Vec<u64>, Vec<i64>)> {
    let (mut tokens, mut offsets) = (Vec::new(), vec![0]);
    let mut index = first;
    while index < sets.len() && (tokens.len() < most || offsets.len() == 1) {
        append_set(&sets.get_item(index)?, index, &mut tokens)?;
        reserve(&mut offsets, 1)?;
        offsets.push(tokens.len() as i64);
        index += 1;
        if index.is_multiple_of(SETS_PER_CHECK) {
            sets.py().check_signals()?;
        }
    }
    Ok((tokens, offsets))
}

/// Texts that cannot change while the interpreter does other work; the first is number `first` in errors.
pub fn texts(texts: &Bound<'_, PyList>, first: usize) -> PyResult<Vec<PyBackedStr>> {
    let text_of = |(index, text): (usize, Bound<'_, PyAny>)| {
        text.extract::<PyBackedStr>().map_err(|error| {
            let index = first + index;
            match error.is_instance_of::<PyUnicodeEncodeError>(text.py()) {
                true => PyValueError::new_err(format!(
                    "text {index} has a lone surrogate, which is not Unicode text; expected str that can be encoded as UTF-8"
                )),
                false => PyTypeError::new_err(format!("text {index} must be a str; got {}", described(&text))),
            }
        })
    };
    texts.iter().enumerate().map(text_of).collect()
}

/// Makes room for more elements, or raises `MemoryError`.
fn reserve<T>(elements: &mut Vec<T>, more: usize) -> PyResult<()> {
    elements.try_reserve(more).map_err(|_| PyMemoryError::new_err("the tokens do not fit in memory"))
}

/// The token of a str, bytes or int that is an element of a set.
#[inline]
fn token_of(element: &Bound<'_, PyAny>, set: usize) -> PyResult<u64> {
    if let Ok(string) = element.cast::<PyString>() {
        return string.to_str().map(|text| token(text.as_bytes())).map_err(|_| {
            PyValueError::new_err(format!(
                "set {set} has a str with a lone surrogate, which is not Unicode text: {}; \
                 expected str that can be encoded as UTF-8",
                described(element)
            ))
        });
    }
    if let Ok(bytes) = element.cast::<PyBytes>() {
        return Ok(token(bytes.as_bytes()));
    }
    let is_integer = element.is_instance_of::<PyInt>() || element.hasattr("__index__")?;
    if !is_integer || element.is_instance_of::<PyUntypedArray>() {
        return Err(PyTypeError::new_err(format!(
            "set {set} has {}; expected tokens that are str, bytes or integers",
            described(element)
        )));
    }
    match (element.extract::<u64>(), element.extract::<i64>()) {
        (Ok(token), _) => Ok(token),
        (_, Ok(negative)) => Ok(negative as u64),
        _ => Err(PyValueError::new_err(format!(
            "set {set} has {element}; expected integers from -2**63 to 2**64 - 1"
        ))),
    }
}

/// Appends the tokens of a set: any iterable, or an array of integers.
fn append_set(set: &Bound<'_, PyAny>, index: usize, tokens: &mut Vec<u64>) -> PyResult<()> {
    if let Ok(list) = set.cast_exact::<PyList>() {
        let n_strings = if has_global_lock(list.py()) { append_strings(list, tokens)? } else { 0 };
        return append_each(list.iter().skip(n_strings).map(Ok), index, tokens);
    }
    if let Ok(array) = set.cast::<PyUntypedArray>() {
        if array.ndim() == 1 && matches!(array.dtype().kind(), b'i' | b'u') {
            // Not a method, which a subclass may override.
            static REQUIRE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let function = REQUIRE.import(set.py(), "numpy", "require")?;
            let integers = function.call1((set, "uint64", "CAE"))?;
            let integers = elements::<u64>(&integers, "sets", "integers")?;
            reserve(tokens, integers.len())?;
            tokens.extend_from_slice(integers.as_slice()?);
            return Ok(());
        }
        if array.ndim() != 1 {
            return Err(PyValueError::new_err(format!(
                "set {index} must have one dimension; got {}",
                described(set)
            )));
        }
    }
    let is_text = set.is_instance_of::<PyString>() || set.is_instance_of::<PyBytes>();
    let Some(elements) = (if is_text { None } else { set.try_iter().ok() }) else {
        return Err(PyTypeError::new_err(format!(
            "set {index} must be a list, set or other collection of tokens (str, bytes or integers); got {}",
            described(set)
        )));
    };
    append_each(elements, index, tokens)
}

/// Appends the tokens of the elements of a set.
fn append_each<'py>(
    elements: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
    index: usize,
    tokens: &mut Vec<u64>,
) -> PyResult<()> {
    for element in elements {
        let element = element?;
        if tokens.len().is_multiple_of(TOKENS_PER_CHECK) {
            element.py().check_signals()?;
        }
        let token = token_of(&element, index)?;
        reserve(tokens, 1)?;
        tokens.push(token);
    }
    Ok(())
}

/// Whether the interpreter has a global lock, so that no other thread runs while this one calls no Python code.
fn has_global_lock(py: Python<'_>) -> bool {
    static HAS: PyOnceLock<bool> = PyOnceLock::new();
    *HAS.get_or_init(py, || {
        let enabled = py.import("sys").and_then(|sys| sys.call_method0("_is_gil_enabled"));
        enabled.and_then(|enabled| enabled.extract()).unwrap_or(true) // older Pythons always have it
    })
}

/// Appends the tokens of the elements up to the first that is not a str, and returns their number. The common case: with as few
/// calls of the interpreter as possible, and without writing to an element. Needs the global lock.
fn append_strings(elements: &Bound<'_, PyList>, tokens: &mut Vec<u64>) -> PyResult<usize> {
    if !elements.get_item(0).is_ok_and(|element| element.is_instance_of::<PyString>()) {
        return Ok(0);
    }
    let n = elements.len();
    reserve(tokens, n)?;
    for index in 0..n {
        // SAFETY: the list is alive, and the interpreter is held. An index out of range gives null and an error.
        let element = unsafe { ffi::PyList_GetItem(elements.as_ptr(), index as ffi::Py_ssize_t) };
        let mut size = 0;
        if element.is_null() {
            drop(PyErr::take(elements.py()));
            return Ok(index);
        }
        // SAFETY: the list holds the element, as no other thread can change it now and nothing in this loop runs code that
        // could. An object that is not a str gives null and an error.
        let utf8 = unsafe { ffi::PyUnicode_AsUTF8AndSize(element, &mut size) };
        if utf8.is_null() {
            drop(PyErr::take(elements.py()));
            return Ok(index);
        }
        // SAFETY: a str keeps these bytes as long as it lives, which is as long as the list is not changed.
        let bytes = unsafe { std::slice::from_raw_parts(utf8.cast::<u8>(), size as usize) };
        tokens.push(token(bytes));
    }
    Ok(n)
}
