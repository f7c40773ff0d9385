//! `fastcodes.minhash`, and the signatures behind `fastcodes.index.MinHashIndex`.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use fastcodes_core::minhash::{self, Bands, Hasher, Scheme, Sets, Shingles, Slots, Unit};
use numpy::{
    Element, IntoPyArray, Ix2, PyArray1, PyArray2, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArrayDyn,
    PyReadwriteArray1, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyInt, PyList, PyString};

use crate::arrays::{
    CodesArray, array_out, described, empty, shape_text, shared, to_py_err, typed, writable,
};
use crate::results::{CsrArrays, PairArrays};
use crate::runtime::run;

const ROWS: &str =
    "a numpy uint32 array (n, n_hashes) of signatures, or a uint8 array (n, n_bytes) of packed ones";

/// Tokens between two looks for Ctrl-C.
const TOKENS_BETWEEN_CHECKS: usize = 1 << 16;

/// Tokens and offsets.
type TokenLists<'py> = (Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<i64>>);

/// `(n_hashes, seed, one_permutation)`.
type HasherParts = (usize, u64, bool);

/// `(unit, size, lowercase)`.
type ShingleParts = (String, usize, bool);

fn hasher_of((n_hashes, seed, one_permutation): HasherParts) -> PyResult<Hasher> {
    let scheme = if one_permutation { Scheme::OnePermutation } else { Scheme::Independent };
    Hasher::new(scheme, n_hashes, seed).map_err(to_py_err)
}

fn shingles_of((unit, size, lowercase): ShingleParts) -> PyResult<Shingles> {
    let unit = match unit.as_str() {
        "word" => Unit::Words,
        "char" => Unit::Characters,
        _ => return Err(PyValueError::new_err(format!("unit must be \"word\" or \"char\"; got {unit:?}"))),
    };
    Shingles::new(unit, size, lowercase).map_err(to_py_err)
}

/// The elements of a contiguous array with so many axes.
fn input<'py, T: Element>(
    value: &Bound<'py, PyAny>,
    name: &str,
    expected: &str,
    n_axes: usize,
) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    let array = typed::<T>(value, name, expected)?;
    if array.ndim() != n_axes {
        let shape = shape_text(array.shape());
        return Err(PyValueError::new_err(format!("{name} must be {expected}; got shape {shape}")));
    }
    array.try_readonly().map_err(|_| shared(name))
}

/// Sets as tokens and offsets.
struct SetsArrays<'py> {
    tokens: PyReadonlyArrayDyn<'py, u64>,
    offsets: PyReadonlyArrayDyn<'py, i64>,
}

impl<'py> SetsArrays<'py> {
    fn new(tokens: &Bound<'py, PyAny>, offsets: &Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(SetsArrays {
            tokens: input(tokens, "tokens", "a numpy uint64 array (n_tokens,)", 1)?,
            offsets: input(offsets, "offsets", "a numpy int64 array (n + 1,)", 1)?,
        })
    }

    fn view(&self) -> PyResult<Sets<'_>> {
        Sets::new(self.tokens.as_slice()?, self.offsets.as_slice()?).map_err(to_py_err)
    }
}

/// The token of a str, bytes or int that is an element of a set.
#[inline]
fn token_of(element: &Bound<'_, PyAny>, set: usize) -> PyResult<u64> {
    if let Ok(string) = element.cast::<PyString>() {
        return string.to_str().map(|text| minhash::token(text.as_bytes())).map_err(|_| {
            PyValueError::new_err(format!(
                "set {set} has a str with a lone surrogate, which is not Unicode text: {}; \
                 expected str that can be encoded as UTF-8",
                described(element)
            ))
        });
    }
    if let Ok(bytes) = element.cast::<PyBytes>() {
        return Ok(minhash::token(bytes.as_bytes()));
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
        let n_strings = if has_global_lock(list.py()) { append_strings(list, tokens) } else { 0 };
        return append_each(list.iter().skip(n_strings).map(Ok), index, tokens);
    }
    if let Ok(array) = set.cast::<PyUntypedArray>() {
        if array.ndim() == 1 && matches!(array.dtype().kind(), b'i' | b'u') {
            // Not a method, which a subclass may have changed.
            static REQUIRE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let function = REQUIRE.import(set.py(), "numpy", "require")?;
            let integers = function.call1((set, "uint64", "CAE"))?;
            let integers = input::<u64>(&integers, "sets", "integers", 1)?;
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
    let elements = match is_text {
        true => None,
        false => set.try_iter().ok(),
    };
    let Some(elements) = elements else {
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
        if tokens.len().is_multiple_of(TOKENS_BETWEEN_CHECKS) {
            element.py().check_signals()?;
        }
        tokens.push(token_of(&element, index)?);
    }
    Ok(())
}

/// Whether other threads of Python wait for this one, unless it runs code of Python's.
fn has_global_lock(py: Python<'_>) -> bool {
    static HAS: PyOnceLock<bool> = PyOnceLock::new();
    *HAS.get_or_init(py, || {
        let asked = py.import("sys").and_then(|sys| sys.call_method0("_is_gil_enabled"));
        asked.and_then(|answer| answer.extract()).unwrap_or(true) // older Pythons always have it
    })
}

/// Appends the tokens of the elements up to the first that is no str, and returns their number: what is done most, with as few
/// calls of the interpreter as there can be, and no element written to. Needs the global lock.
fn append_strings(elements: &Bound<'_, PyList>, tokens: &mut Vec<u64>) -> usize {
    if !elements.get_item(0).is_ok_and(|element| element.is_instance_of::<PyString>()) {
        return 0;
    }
    for index in 0..elements.len() {
        // SAFETY: the list is alive, and the interpreter is held. A place that is not there would give null and an error.
        let element = unsafe { ffi::PyList_GetItem(elements.as_ptr(), index as ffi::Py_ssize_t) };
        let mut size = 0;
        if element.is_null() {
            drop(PyErr::take(elements.py()));
            return index;
        }
        // SAFETY: the list holds the element, as no other thread can change it now and nothing in this loop runs code that
        // could. What is no str gives null and an error.
        let utf8 = unsafe { ffi::PyUnicode_AsUTF8AndSize(element, &mut size) };
        if utf8.is_null() {
            drop(PyErr::take(elements.py()));
            return index;
        }
        // SAFETY: a str keeps these bytes as long as it lives, which is as long as the list is not changed.
        let bytes = unsafe { std::slice::from_raw_parts(utf8.cast::<u8>(), size as usize) };
        tokens.push(minhash::token(bytes));
    }
    elements.len()
}

/// The tokens of sets from number `first` on: of all that are left, or of as many as have `most` tokens.
#[pyfunction]
pub fn minhash_tokens<'py>(
    py: Python<'py>,
    sets: &Bound<'py, PyList>,
    first: usize,
    most: usize,
) -> PyResult<TokenLists<'py>> {
    let (mut tokens, mut offsets) = (Vec::new(), vec![0]);
    let mut index = first;
    while index < sets.len() && (tokens.len() < most || offsets.len() == 1) {
        append_set(&sets.get_item(index)?, index, &mut tokens)?;
        offsets.push(tokens.len() as i64);
        index += 1;
        if index.is_multiple_of(1024) {
            py.check_signals()?;
        }
    }
    Ok((tokens.into_pyarray(py), offsets.into_pyarray(py)))
}

/// Texts that stay what they are while the interpreter does other work.
fn texts_of(texts: &Bound<'_, PyList>, first: usize) -> PyResult<Vec<PyBackedStr>> {
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

/// The tokens of the shingles of `texts`, the first of which is number `first` in errors.
#[pyfunction]
pub fn minhash_shingles<'py>(
    py: Python<'py>,
    texts: &Bound<'py, PyList>,
    first: usize,
    shingles: ShingleParts,
) -> PyResult<TokenLists<'py>> {
    let (shingles, texts) = (shingles_of(shingles)?, texts_of(texts, first)?);
    let (tokens, offsets) = py
        .detach(|| {
            let (mut tokens, mut offsets) = (Vec::new(), vec![0]);
            for text in &texts {
                shingles.append(text, &mut tokens)?;
                offsets.push(tokens.len() as i64);
            }
            Ok((tokens, offsets))
        })
        .map_err(to_py_err)?;
    Ok((tokens.into_pyarray(py), offsets.into_pyarray(py)))
}

/// Fills `out`, uint32 `(n, n_hashes)`, with the signatures of sets.
#[pyfunction]
pub fn minhash_signatures<'py>(
    py: Python<'py>,
    tokens: &Bound<'py, PyAny>,
    offsets: &Bound<'py, PyAny>,
    hasher: HasherParts,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<u32>>> {
    let (hasher, sets) = (hasher_of(hasher)?, SetsArrays::new(tokens, offsets)?);
    let sets = sets.view()?;
    filled(py, out, [sets.len(), hasher.n_hashes()], |out| {
        run(py, threads, |level, parallel| minhash::signatures(level, &sets, &hasher, parallel, out))
    })
}

/// The same for texts.
#[pyfunction]
pub fn minhash_text_signatures<'py>(
    py: Python<'py>,
    texts: &Bound<'py, PyList>,
    first: usize,
    shingles: ShingleParts,
    hasher: HasherParts,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<u32>>> {
    let (hasher, shingles, texts) = (hasher_of(hasher)?, shingles_of(shingles)?, texts_of(texts, first)?);
    filled(py, out, [texts.len(), hasher.n_hashes()], |out| {
        run(py, threads, |level, parallel| {
            minhash::text_signatures(level, &texts, &shingles, &hasher, parallel, out)
        })
    })
}

/// `out`, or a new array, after `fill` has written it.
fn filled<'py, T: Element>(
    py: Python<'py>,
    out: Option<&Bound<'py, PyAny>>,
    shape: [usize; 2],
    fill: impl FnOnce(&mut [T]) -> PyResult<()>,
) -> PyResult<Bound<'py, PyArray2<T>>> {
    let array = array_out::<T, Ix2>(py, out, &shape)?;
    {
        let mut out = writable(&array)?;
        fill(out.as_slice_mut()?)?;
    }
    Ok(array)
}

/// See `fastcodes.minhash.pack`.
#[pyfunction]
pub fn minhash_pack<'py>(
    py: Python<'py>,
    signatures: &Bound<'py, PyAny>,
    n_bits: usize,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let signatures = input::<u32>(signatures, "signatures", "a numpy uint32 array (n, n_hashes)", 2)?;
    let [n_rows, n_hashes] = [signatures.shape()[0], signatures.shape()[1]];
    let n_bytes = minhash::packed_bytes(n_hashes, n_bits).map_err(to_py_err)?;
    let slots = signatures.as_slice()?;
    filled(py, out, [n_rows, n_bytes], |out| {
        run(py, threads, |_, parallel| minhash::pack(slots, n_hashes, n_bits, parallel, out))
    })
}

fn slots_of(n_bits: Option<usize>) -> Slots {
    n_bits.map_or(Slots::Words, Slots::Bits)
}

/// See `fastcodes.minhash.cdist`; signatures come as their bytes, and without `n_bits`.
#[pyfunction]
pub fn minhash_cdist<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    n_bits: Option<usize>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<i32>>> {
    let (a, b) = (CodesArray::described(a, "a", ROWS)?, CodesArray::described(b, "b", ROWS)?);
    let (a_view, b_view) = (a.view()?, b.view()?);
    filled(py, out, [a.n_rows(), b.n_rows()], |out| {
        run(py, threads, |level, parallel| {
            minhash::cdist(level, slots_of(n_bits), a_view, b_view, parallel, out)
        })
    })
}

/// See `fastcodes.minhash.paired`; signatures come as their bytes, and without `n_bits`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "they are the arguments of the public function")]
pub fn minhash_paired<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    i: &Bound<'py, PyAny>,
    j: &Bound<'py, PyAny>,
    n_bits: Option<usize>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let (a, b) = (CodesArray::described(a, "a", ROWS)?, CodesArray::described(b, "b", ROWS)?);
    let (i, j) = (rows_of(i, "i")?, rows_of(j, "j")?);
    let (a, b, i, j) = (a.view()?, b.view()?, i.as_slice()?, j.as_slice()?);
    let array = empty(py, &[i.len()])?;
    {
        let mut out: PyReadwriteArray1<'_, i32> = array.try_readwrite()?;
        let out = out.as_slice_mut()?;
        run(py, threads, |level, parallel| {
            minhash::paired(level, slots_of(n_bits), a, b, i, j, parallel, out)
        })?;
    }
    Ok(array)
}

fn rows_of<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArrayDyn<'py, i64>> {
    input(value, name, "a numpy int64 array (n_pairs,) of rows", 1)
}

/// See `fastcodes.minhash.jaccard`: sets as `(tokens, offsets)`.
#[pyfunction]
pub fn minhash_jaccard<'py>(
    py: Python<'py>,
    a: (Bound<'py, PyAny>, Bound<'py, PyAny>),
    b: (Bound<'py, PyAny>, Bound<'py, PyAny>),
    i: &Bound<'py, PyAny>,
    j: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let (a, b) = (SetsArrays::new(&a.0, &a.1)?, SetsArrays::new(&b.0, &b.1)?);
    let (i, j) = (rows_of(i, "i")?, rows_of(j, "j")?);
    let (a, b, i, j) = (a.view()?, b.view()?, i.as_slice()?, j.as_slice()?);
    let array = empty(py, &[i.len()])?;
    {
        let mut out: PyReadwriteArray1<'_, f32> = array.try_readwrite()?;
        let out = out.as_slice_mut()?;
        run(py, threads, |_, parallel| minhash::jaccard(&a, &b, i, j, parallel, out))?;
    }
    Ok(array)
}

/// Signatures and the tables of their bands. The lock is taken without the interpreter's, so that neither waits for the other.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct MinHashBands {
    n_hashes: usize,
    bands: RwLock<Bands>,
}

impl MinHashBands {
    fn read(&self) -> RwLockReadGuard<'_, Bands> {
        self.bands.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, u32>> {
        let expected = format!("a numpy uint32 array (n, {})", self.n_hashes);
        let rows = input::<u32>(value, "signatures", &expected, 2)?;
        match rows.shape()[1] == self.n_hashes {
            true => Ok(rows),
            false => Err(PyValueError::new_err(format!(
                "signatures must be {expected}; got shape {}",
                shape_text(rows.shape())
            ))),
        }
    }
}

#[pymethods]
impl MinHashBands {
    /// None yet.
    #[new]
    fn new(n_hashes: usize, n_bands: usize, n_rows: usize) -> PyResult<Self> {
        let bands = Bands::new(n_hashes, n_bands, n_rows).map_err(to_py_err)?;
        Ok(MinHashBands { n_hashes, bands: RwLock::new(bands) })
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.read().len())
    }

    /// Bytes of signatures and tables.
    #[getter]
    fn nbytes(&self, py: Python<'_>) -> usize {
        py.detach(|| self.read().n_bytes())
    }

    /// A copy of the signatures, uint32 `(n, n_hashes)`.
    fn signatures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u32>>> {
        let n = self.__len__(py);
        filled(py, None, [n, self.n_hashes], |out: &mut [u32]| {
            py.detach(|| out.copy_from_slice(&self.read().signatures()[..out.len()]));
            Ok(())
        })
    }

    /// Appends signatures.
    fn add(
        &self,
        py: Python<'_>,
        signatures: &Bound<'_, PyAny>,
        threads: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let signatures = self.rows(signatures)?;
        let signatures = signatures.as_slice()?;
        run(py, threads, |_, parallel| {
            self.bands.write().unwrap_or_else(PoisonError::into_inner).add(signatures, parallel)
        })
    }

    /// `(offsets, differing slots, rows)` of the candidates of each query that agree in `n_equal` slots or more.
    fn query<'py>(
        &self,
        py: Python<'py>,
        signatures: &Bound<'py, PyAny>,
        n_equal: usize,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<CsrArrays<'py, i32>> {
        let signatures = self.rows(signatures)?;
        let signatures = signatures.as_slice()?;
        let found = run(py, threads, |_, parallel| self.read().query(signatures, n_equal, parallel))?;
        Ok((found.offsets.into_pyarray(py), found.distances.into_pyarray(py), found.indices.into_pyarray(py)))
    }

    /// `(i, j, differing slots)` of all candidate pairs that agree in `n_equal` slots or more.
    fn pairs<'py>(
        &self,
        py: Python<'py>,
        n_equal: usize,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<PairArrays<'py, i32>> {
        let found = run(py, threads, |_, parallel| self.read().pairs(n_equal, parallel))?;
        Ok((found.i.into_pyarray(py), found.j.into_pyarray(py), found.distances.into_pyarray(py)))
    }

    /// In how many slots rows `i[p]` and `j[p]` differ.
    fn differing<'py>(
        &self,
        py: Python<'py>,
        i: &Bound<'py, PyAny>,
        j: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<i32>>> {
        let (i, j) = (rows_of(i, "i")?, rows_of(j, "j")?);
        let (i, j) = (i.as_slice()?, j.as_slice()?);
        let array = empty(py, &[i.len()])?;
        {
            let mut out: PyReadwriteArray1<'_, i32> = array.try_readwrite()?;
            let out = out.as_slice_mut()?;
            py.detach(|| self.read().differing(i, j, out)).map_err(to_py_err)?;
        }
        Ok(array)
    }

    /// For each row the lowest one that such pairs tie it to.
    fn groups<'py>(
        &self,
        py: Python<'py>,
        n_equal: usize,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let groups = run(py, threads, |_, parallel| self.read().groups(n_equal, parallel))?;
        Ok(groups.into_pyarray(py))
    }

    /// The same for pairs whose sets, as tokens and offsets, have a similarity of `least` or more.
    fn groups_of_sets<'py>(
        &self,
        py: Python<'py>,
        tokens: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
        least: f32,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let sets = SetsArrays::new(tokens, offsets)?;
        let sets = sets.view()?;
        let groups = run(py, threads, |_, parallel| self.read().groups_of_sets(&sets, least, parallel))?;
        Ok(groups.into_pyarray(py))
    }
}
