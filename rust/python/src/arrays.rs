//! NumPy arrays as arguments and results: one function for each kind of argument, with the checks, the error texts, and the
//! decision between a view and a copy. All unsafe code that touches the memory of arrays.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use fastcodes_core::bits::Rows;
use fastcodes_core::rerank::FloatRows;
use fastcodes_core::{Codes, Error, Mask};
use numpy::ndarray::{ArrayView1, Dimension};
use numpy::npyffi::flags::NPY_ARRAY_WRITEABLE;
use numpy::{
    Element, IxDyn, PyArray, PyArray1, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray,
    PyUntypedArrayMethods, dtype,
};
use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyInt, PyTuple};

use crate::claims::Claim;

/// The core's error as the exception that Python users expect.
pub fn to_py_err(error: Error) -> PyErr {
    match error {
        Error::Interrupted => PyKeyboardInterrupt::new_err(()),
        Error::OutOfMemory => PyMemoryError::new_err(error.to_string()),
        other => PyValueError::new_err(other.to_string()),
    }
}

/// The description of a value in an error: `an array of float64 and shape (3, 4)`, `1.5 of type float`, or, for a long one,
/// `a list of length 1000`.
pub fn described(value: &Bound<'_, PyAny>) -> String {
    if let Ok(array) = value.cast::<PyUntypedArray>() {
        return format!("an array of {} and shape {}", array.dtype(), shape_text(array.shape()));
    }
    let class = value.get_type();
    let class = class.name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    match value.len() {
        Ok(len) if len > 20 => format!("a {class} of length {len}"),
        _ => match value.repr().map(|text| text.to_string_lossy().into_owned()) {
            Err(_) => format!("an object of type {class}"),
            Ok(text) => match text.char_indices().nth(100) {
                Some((end, _)) => format!("{}... of type {class}", &text[..end]),
                None => format!("{text} of type {class}"),
            },
        },
    }
}

/// The error of an argument that cannot be borrowed because it shares memory with an array that is written to.
pub fn shared(name: &str) -> PyErr {
    PyValueError::new_err(format!(
        "{name} shares memory with another array of this call, or of one in another thread, that is written to; \
         expected an array of its own, such as {name}.copy()"
    ))
}

/// A shape as Python writes it.
pub fn shape_text(shape: &[usize]) -> String {
    match shape {
        [n] => format!("({n},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// `value` as an array of `T`, or a `TypeError` that says what `name` should be.
pub fn typed<'py, T: Element>(
    value: &Bound<'py, PyAny>,
    name: &str,
    expected: &str,
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let wrong = || PyTypeError::new_err(format!("{name} must be {expected}; got {}", described(value)));
    let array = value.cast::<PyUntypedArray>().map_err(|_| wrong())?;
    if !array.dtype().is_equiv_to(&dtype::<T>(value.py())) {
        return Err(wrong());
    }
    // The dimensions are dynamic, so this cast cannot fail any more.
    value.cast::<PyArrayDyn<T>>().cloned().map_err(|_| wrong())
}

/// An array whose elements a call reads: no other call writes to it meanwhile.
pub struct ReadArray<'py, T> {
    array: Bound<'py, PyArrayDyn<T>>,
    _claim: Claim,
}

impl<'py, T: Element> ReadArray<'py, T> {
    /// Claims an array, or says that another call writes to it.
    pub fn new(array: Bound<'py, PyArrayDyn<T>>, name: &str) -> PyResult<Self> {
        let claim = Claim::new(addresses(array.as_untyped()), false).ok_or_else(|| shared(name))?;
        Ok(ReadArray { array, _claim: claim })
    }

    pub fn shape(&self) -> &[usize] {
        self.array.shape()
    }

    pub fn len(&self) -> usize {
        self.array.len()
    }

    /// All elements, if they are contiguous, the last axis first.
    pub fn as_slice(&self) -> PyResult<&[T]> {
        if !self.array.is_c_contiguous() {
            return Err(PyValueError::new_err(
                "an argument must be C-contiguous; give np.ascontiguousarray of it",
            ));
        }
        // SAFETY: the claim keeps other calls from writing, and the array keeps its memory as long as it lives.
        Ok(unsafe { self.array.as_slice()? })
    }
}

/// An array whose elements a call writes: no other call uses it meanwhile.
pub struct WriteArray<'py, T, D> {
    array: Bound<'py, PyArray<T, D>>,
    _claim: Claim,
}

impl<'py, T: Element, D: Dimension> WriteArray<'py, T, D> {
    /// Claims an array, or says that it is read-only or that another call uses it.
    pub fn new(array: Bound<'py, PyArray<T, D>>, name: &str) -> PyResult<Self> {
        if !is_writable(array.as_untyped()) {
            return Err(PyValueError::new_err(format!("{name} must be writable; got a read-only array")));
        }
        let claim = Claim::new(addresses(array.as_untyped()), true).ok_or_else(|| shared(name))?;
        Ok(WriteArray { array, _claim: claim })
    }

    pub fn shape(&self) -> &[usize] {
        self.array.shape()
    }

    /// All elements, if they are contiguous.
    pub fn as_slice_mut(&mut self) -> PyResult<&mut [T]> {
        // SAFETY: the array is writable, the claim keeps other calls away from it, and it keeps its memory as long as it lives.
        Ok(unsafe { self.array.as_slice_mut()? })
    }
}

/// Where the elements of an array are, and what is between them.
fn addresses(array: &Bound<'_, PyUntypedArray>) -> Range<usize> {
    let (size, first) = (array.dtype().itemsize(), data(array) as usize);
    if array.len() == 0 || size == 0 {
        return 0..0;
    }
    let (mut below, mut above) = (0, 0);
    for (len, stride) in array.shape().iter().zip(array.strides()) {
        let reach = (*len as isize - 1) * stride;
        if reach < 0 { below -= reach } else { above += reach }
    }
    first - below as usize..first + above as usize + size
}

fn is_writable(array: &Bound<'_, PyUntypedArray>) -> bool {
    // SAFETY: the pointer is that of a live NumPy array, whose flags are plain integers.
    unsafe { (*array.as_array_ptr()).fields.flags & NPY_ARRAY_WRITEABLE != 0 }
}

/// The elements of an array that the call reads.
pub fn elements<'py, T: Element>(
    value: &Bound<'py, PyAny>,
    name: &str,
    expected: &str,
) -> PyResult<ReadArray<'py, T>> {
    ReadArray::new(typed::<T>(value, name, expected)?, name)
}

/// The same for an array with a given number of axes.
pub fn elements_of_axes<'py, T: Element>(
    value: &Bound<'py, PyAny>,
    name: &str,
    expected: &str,
    n_axes: usize,
) -> PyResult<ReadArray<'py, T>> {
    let array = elements::<T>(value, name, expected)?;
    if array.shape().len() != n_axes {
        let shape = shape_text(array.shape());
        return Err(PyValueError::new_err(format!("{name} must be {expected}; got shape {shape}")));
    }
    Ok(array)
}

/// The elements of an array that the call writes, and that shares no memory with other arguments.
pub fn elements_mut<'py, T: Element>(
    value: &Bound<'py, PyAny>,
    name: &str,
    expected: &str,
) -> PyResult<WriteArray<'py, T, IxDyn>> {
    WriteArray::new(typed::<T>(value, name, expected)?, name)
}

/// The rows of an array along its last axis, if each is contiguous and all are equally far apart.
#[derive(Clone, Copy)]
struct RowLayout {
    n_rows: usize,
    n_bytes: usize,
    stride: usize,
}

impl RowLayout {
    fn of(array: &Bound<'_, PyUntypedArray>) -> Option<Self> {
        let (size, shape) = (array.dtype().itemsize(), array.shape());
        let n_bytes = shape.last().map_or(size, |d| d * size);
        let n_rows = shape.iter().rev().skip(1).product();
        if array.is_c_contiguous() || n_rows == 0 {
            return Some(RowLayout { n_rows, n_bytes, stride: n_bytes });
        }
        let ([_, d], &[row, element]) = (shape, array.strides()) else { return None };
        let stride = if n_rows == 1 { n_bytes } else { usize::try_from(row).ok()? };
        (*d <= 1 || element == size as isize).then_some(RowLayout { n_rows, n_bytes, stride })
    }

    /// The bytes from the first row to the end of the last; `array` is the one that the layout was taken from.
    fn bytes<'a>(&self, array: &'a Bound<'_, PyUntypedArray>) -> &'a [u8] {
        if self.n_rows == 0 || self.n_bytes == 0 {
            return &[];
        }
        let span = (self.n_rows - 1) * self.stride + self.n_bytes;
        // SAFETY: NumPy keeps `n_rows` rows of `n_bytes` bytes that start `stride` bytes apart from its data pointer, all in one
        // allocation, and the slice borrows the reference that keeps the array alive.
        unsafe { std::slice::from_raw_parts(data(array), span) }
    }
}

fn data(array: &Bound<'_, PyUntypedArray>) -> *mut u8 {
    // SAFETY: the pointer is that of a live NumPy array.
    unsafe { (*array.as_array_ptr()).fields.data.cast() }
}

/// The rows of an array of any dtype, along the last axis: contiguous, and equally far apart.
pub fn rows<'a>(array: &'a Bound<'_, PyUntypedArray>, name: &str) -> PyResult<Rows<'a>> {
    let layout = RowLayout::of(array)
        .ok_or_else(|| PyValueError::new_err(format!("{name} must have contiguous rows")))?;
    let (bytes, RowLayout { n_bytes, stride, .. }) = (layout.bytes(array), layout);
    let n_rows = if bytes.is_empty() { 0 } else { layout.n_rows };
    Rows::new(bytes, n_rows, n_bytes, stride).map_err(to_py_err)
}

/// The bytes of `out`, a writeable C-contiguous array of any dtype that shares none with `input`, whose name is `name`.
#[allow(clippy::mut_from_ref, reason = "the bytes are NumPy's, not those of the reference")]
pub fn bytes_to_fill<'a>(
    out: &'a Bound<'_, PyUntypedArray>,
    input: Rows<'_>,
    name: &str,
) -> PyResult<&'a mut [u8]> {
    if !is_writable(out) || !out.is_c_contiguous() {
        return Err(PyValueError::new_err("out must be writeable and C-contiguous"));
    }
    let len = out.len() * out.dtype().itemsize();
    if len == 0 {
        return Ok(&mut []);
    }
    let (read, written) = (input.as_bytes().as_ptr_range(), data(out).cast_const());
    if read.start < written.wrapping_add(len) && written < read.end {
        return Err(shared_out(name));
    }
    // SAFETY: a C-contiguous array owns `len` bytes from its data pointer on, and the array is writeable and kept alive by the
    // reference that the slice borrows. The input, checked above, is elsewhere.
    Ok(unsafe { std::slice::from_raw_parts_mut(data(out), len) })
}

fn shared_out(name: &str) -> PyErr {
    PyValueError::new_err(format!("out shares memory with {name}; give an array of its own"))
}

/// The array itself if it is C-contiguous, else a copy.
pub fn contiguous<'py>(array: Bound<'py, PyArrayDyn<u8>>) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
    if array.is_c_contiguous() {
        return Ok(array);
    }
    // Not the method `copy`, which a subclass may have changed: the copy must have the shape of the original.
    static CONTIGUOUS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let function = CONTIGUOUS.import(array.py(), "numpy", "ascontiguousarray")?;
    Ok(function.call1((array,))?.cast_into::<PyArrayDyn<u8>>()?)
}

/// Codes taken from an array: `uint8 (n, n_bytes)`, or `(n_bytes,)` for one row.
pub struct CodesArray<'py> {
    array: ReadArray<'py, u8>,
    layout: RowLayout,
}

impl<'py> CodesArray<'py> {
    /// Packed bits: see [`CodesArray::described`].
    pub fn new(value: &Bound<'py, PyAny>, name: &str) -> PyResult<Self> {
        const BITS: &str = "a numpy uint8 array (n, n_bytes) of packed bits, as fastcodes.bits.pack makes it";
        CodesArray::described(value, name, BITS)
    }

    /// A view of `value` if its rows are contiguous, else a copy; errors say what was expected.
    pub fn described(value: &Bound<'py, PyAny>, name: &str, expected: &str) -> PyResult<Self> {
        let mut array = typed::<u8>(value, name, expected)?;
        if !(1..=2).contains(&array.ndim()) {
            return Err(PyValueError::new_err(format!(
                "{name} must have 1 or 2 dimensions, (n, n_bytes); got shape {}",
                shape_text(array.shape())
            )));
        }
        let n_bytes = array.shape()[array.ndim() - 1];
        if !(1..=Codes::MAX_BYTES).contains(&n_bytes) {
            return Err(PyValueError::new_err(format!(
                "{name} must have at least 1 byte per row and at most {}; got shape {}",
                Codes::MAX_BYTES,
                shape_text(array.shape())
            )));
        }
        let layout = match RowLayout::of(array.as_untyped()) {
            Some(layout) => layout,
            None => {
                array = contiguous(array)?;
                RowLayout { n_rows: array.len() / n_bytes, n_bytes, stride: n_bytes }
            }
        };
        Ok(CodesArray { array: ReadArray::new(array, name)?, layout })
    }

    /// Rows of the array; 1 for a one-dimensional one.
    pub fn n_rows(&self) -> usize {
        self.layout.n_rows
    }

    /// The rows as the core takes them.
    pub fn view(&self) -> PyResult<Codes<'_>> {
        let RowLayout { n_rows, n_bytes, stride } = self.layout;
        Codes::strided(self.layout.bytes(self.array.array.as_untyped()), n_rows, n_bytes, stride)
            .map_err(to_py_err)
    }
}

/// An array of float32, C-contiguous.
pub struct FloatsArray<'py> {
    array: ReadArray<'py, f32>,
}

impl<'py> FloatsArray<'py> {
    /// A view of `value` if it is contiguous and aligned, else a copy. It has a number of axes within `n_axes`, which `expected`
    /// describes.
    pub fn new(
        value: &Bound<'py, PyAny>,
        name: &str,
        n_axes: RangeInclusive<usize>,
        expected: &str,
    ) -> PyResult<Self> {
        let array = typed::<f32>(value, name, expected)?;
        if !n_axes.contains(&array.ndim()) {
            return Err(PyValueError::new_err(format!(
                "{name} must be {expected}; got shape {}",
                shape_text(array.shape())
            )));
        }
        static REQUIRE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let flags = value.getattr("flags")?;
        let is_plain = array.is_c_contiguous() && flags.getattr("aligned")?.extract::<bool>()?;
        let array = if is_plain {
            array
        } else {
            let function = REQUIRE.import(value.py(), "numpy", "require")?;
            function.call1((array, value.py().None(), "CA"))?.cast_into::<PyArrayDyn<f32>>()?
        };
        Ok(FloatsArray { array: ReadArray::new(array, name)? })
    }

    /// The axes; missing ones in front are 1.
    pub fn shape<const N: usize>(&self) -> [usize; N] {
        let mut shape = [1; N];
        let given = self.array.shape();
        shape[N - given.len().min(N)..].copy_from_slice(&given[..given.len().min(N)]);
        shape
    }

    /// All elements.
    pub fn values(&self) -> PyResult<&[f32]> {
        self.array.as_slice()
    }
}

/// Rows of float32, each contiguous, all equally far apart: a view, never a copy.
pub struct FloatRowsArray<'py> {
    array: ReadArray<'py, f32>,
    layout: RowLayout,
    name: &'static str,
}

impl<'py> FloatRowsArray<'py> {
    /// `value`, which has two axes and whole numbers at aligned addresses, or an error that says what was expected.
    pub fn new(value: &Bound<'py, PyAny>, name: &'static str, expected: &str) -> PyResult<Self> {
        let array = typed::<f32>(value, name, expected)?;
        let is_aligned = value.getattr("flags")?.getattr("aligned")?.extract::<bool>()?;
        let layout = RowLayout::of(array.as_untyped())
            .filter(|layout| array.ndim() == 2 && is_aligned && layout.stride.is_multiple_of(size_of::<f32>()))
            .ok_or_else(|| {
                PyValueError::new_err(format!(
                    "{name} must be {expected}, aligned and with contiguous rows; got shape {} and strides {:?}",
                    shape_text(array.shape()),
                    array.strides()
                ))
            })?;
        Ok(FloatRowsArray { array: ReadArray::new(array, name)?, layout, name })
    }

    /// The rows as the core takes them.
    pub fn view(&self) -> PyResult<FloatRows<'_>> {
        let size = size_of::<f32>();
        let RowLayout { n_rows, n_bytes, stride } = self.layout;
        let bytes = self.layout.bytes(self.array.array.as_untyped());
        // SAFETY: every four bytes are a valid float32. Those of an aligned array need no bytes before the first one.
        let (_, values, _) = unsafe { bytes.align_to::<f32>() };
        FloatRows::new(self.name, values, n_rows, n_bytes / size, stride / size).map_err(to_py_err)
    }
}

/// The `mask=` argument, contiguous and in one of two dtypes.
pub enum MaskArray<'py> {
    All,
    Booleans(ReadArray<'py, u8>),
    Ids(ReadArray<'py, i64>),
}

impl<'py> MaskArray<'py> {
    /// `None`, booleans, or row ids of any integer dtype.
    pub fn new(value: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        let Some(value) = value else { return Ok(MaskArray::All) };
        let wrong = || {
            PyTypeError::new_err(format!(
                "mask must be a boolean array (n,) or an integer array of row ids; got {}",
                described(value)
            ))
        };
        let array = value.cast::<PyUntypedArray>().map_err(|_| wrong())?;
        if array.ndim() != 1 {
            return Err(PyValueError::new_err(format!(
                "mask must have one dimension; got shape {}",
                shape_text(array.shape())
            )));
        }
        let is_aligned = value.getattr("flags")?.getattr("aligned")?.extract::<bool>()?;
        let contiguous =
            |type_name: &str| value.call_method1("astype", (type_name, "C", "same_kind", true, !is_aligned));
        match array.dtype().kind() {
            b'b' => {
                // As bytes: other code may have written any byte into booleans.
                let bytes = contiguous("bool")?.call_method1("view", ("uint8",))?;
                ReadArray::new(bytes.cast_into::<PyArrayDyn<u8>>()?, "mask").map(MaskArray::Booleans)
            }
            b'i' | b'u' => {
                let ids = contiguous("int64")?.cast_into::<PyArrayDyn<i64>>()?;
                ReadArray::new(ids, "mask").map(MaskArray::Ids)
            }
            _ => Err(wrong()),
        }
    }

    /// The mask as the core takes it.
    pub fn view(&self) -> PyResult<Mask<'_>> {
        Ok(match self {
            MaskArray::All => Mask::All,
            MaskArray::Booleans(array) => Mask::Booleans(array.as_slice()?),
            MaskArray::Ids(array) => Mask::Ids(array.as_slice()?),
        })
    }
}

/// An integer of at least `at_least`.
pub fn count(value: &Bound<'_, PyAny>, name: &str, at_least: i64) -> PyResult<usize> {
    let integer = match value.is_exact_instance_of::<PyInt>() {
        true => value.clone(),
        false => value.call_method0("__index__").map_err(|_| {
            PyTypeError::new_err(format!("{name} must be an integer; got {}", described(value)))
        })?,
    };
    match integer.extract::<i64>() {
        Ok(number) if number >= at_least => Ok(number as usize),
        _ => Err(PyValueError::new_err(format!(
            "{name} must be an integer from {at_least} up to 2**63 - 1; got {integer}"
        ))),
    }
}

/// A real number, as float32; not below `at_least`, if that is given.
pub fn real(value: &Bound<'_, PyAny>, name: &str, at_least: Option<f64>) -> PyResult<f32> {
    let wrong = || {
        let limit = at_least.map_or_else(String::new, |limit| format!(", {limit} or more"));
        format!("{name} must be a real number{limit}; got {}", described(value))
    };
    let number = value.extract::<f64>().map_err(|error| {
        match error.is_instance_of::<PyOverflowError>(value.py()) {
            true => PyValueError::new_err(wrong()),
            false => PyTypeError::new_err(wrong()),
        }
    })?;
    if number.is_nan() || at_least.is_some_and(|limit| number < limit) {
        return Err(PyValueError::new_err(wrong()));
    }
    Ok(number as f32)
}

/// Bytes of an array that nobody can write to through it, for example one that maps a file.
struct ArrayBytes {
    /// Keeps the bytes alive.
    _array: Py<PyArray1<u8>>,
    data: *const u8,
    len: usize,
}

// SAFETY: the bytes are only read, and numpy keeps them where they are for as long as `_array` lives; a reference to a Python
// object may be sent to and dropped by another thread.
unsafe impl Send for ArrayBytes {}
// SAFETY: as above.
unsafe impl Sync for ArrayBytes {}

impl AsRef<[u8]> for ArrayBytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `data` is the start of `len` contiguous bytes that `_array` keeps alive.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

/// The bytes of an array beyond the call: those of a contiguous, read-only one themselves, else a copy.
pub fn borrowed_bytes(array: &Bound<'_, PyArray1<u8>>) -> PyResult<Arc<dyn AsRef<[u8]> + Send + Sync>> {
    let readable = ReadArray::new(array.to_dyn().clone(), "blocks")?;
    let bytes = readable.as_slice()?;
    if bytes.is_empty() || array.getattr("flags")?.getattr("writeable")?.is_truthy()? {
        return Ok(Arc::new(bytes.to_vec()));
    }
    let (data, len) = (bytes.as_ptr(), bytes.len());
    Ok(Arc::new(ArrayBytes { _array: array.clone().unbind(), data, len }))
}

/// Keeps bytes alive for an array.
#[pyclass(frozen)]
struct BytesOwner {
    _owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
}

/// A read-only array that views bytes of the core, which it keeps alive.
pub fn readonly_bytes<'py, T: AsRef<[u8]> + Send + Sync + 'static>(
    py: Python<'py>,
    owner: Arc<T>,
) -> PyResult<Bound<'py, PyArray1<u8>>> {
    let container = Bound::new(py, BytesOwner { _owner: owner.clone() })?.into_any();
    let view = ArrayView1::from((*owner).as_ref());
    // SAFETY: `container` keeps `owner` alive for as long as the array lives, and nobody can change what several own.
    let array = unsafe { PyArray1::borrow_from_array(&view, container) };
    array.call_method("setflags", (false,), None)?;
    Ok(array)
}

/// A new C-contiguous array with uninitialized elements, or `MemoryError`.
pub fn empty<'py, T: Element, D: Dimension>(
    py: Python<'py>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArray<T, D>>> {
    static EMPTY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let function = EMPTY.import(py, "numpy", "empty")?;
    let array = function.call1((PyTuple::new(py, shape)?, dtype::<T>(py)))?;
    Ok(array.cast_into::<PyArray<T, D>>()?)
}

/// The `out=` argument, or a new array: C-contiguous, writable, of the given shape.
pub fn array_out<'py, T: Element, D: Dimension>(
    py: Python<'py>,
    out: Option<&Bound<'py, PyAny>>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArray<T, D>>> {
    let Some(out) = out else { return empty(py, shape) };
    let is_plain = |array: &Bound<'py, PyArray<T, D>>| {
        PyResult::Ok(array.shape() == shape && array.getattr("flags")?.getattr("carray")?.is_truthy()?)
    };
    if let Ok(array) = out.cast::<PyArray<T, D>>()
        && is_plain(array)?
    {
        return Ok(array.clone());
    }
    // Everything below is too slow for the common case.
    let expected =
        format!("a C-contiguous, aligned, writable {} array of shape {}", dtype::<T>(py), shape_text(shape));
    let array = typed::<T>(out, "out", &expected)?;
    let flags = out.getattr("flags")?;
    let flag = |name: &str| flags.getattr(name)?.extract::<bool>();
    let given = match (flag("writeable")?, flag("aligned")?) {
        (false, _) => "a read-only array",
        (_, false) => "an unaligned array",
        _ => "an array",
    };
    Err(PyValueError::new_err(format!(
        "out must be {expected}; got {given} of shape {} and strides {:?}",
        shape_text(array.shape()),
        array.strides()
    )))
}

/// The elements of `out`, if no input shares them.
pub fn writable<'py, T: Element, D: Dimension>(
    out: &Bound<'py, PyArray<T, D>>,
) -> PyResult<WriteArray<'py, T, D>> {
    WriteArray::new(out.clone(), "out")
}

/// More neighbours than a database of this many rows has are refused.
const MOST_NEIGHBORS: usize = 1 << 20;

/// The `k` argument of a search, or an error that names it if it is far beyond the rows of the database: the results would only
/// be padding, and could fill the memory.
pub fn check_neighbors(k: usize, n_rows: usize) -> PyResult<()> {
    match k <= n_rows.max(MOST_NEIGHBORS) {
        true => Ok(()),
        false => Err(PyValueError::new_err(format!(
            "k is {k}, but codes has {n_rows} rows; expected at most {}",
            n_rows.max(MOST_NEIGHBORS)
        ))),
    }
}
