//! The bits family. Values come in many types and layouts; `fastcodes.bits` brings them to those accepted here.

use fastcodes_core::bits::{self, Along, BitOrder, FromBits, Rows, Thresholds};
use numpy::npyffi::flags::NPY_ARRAY_WRITEABLE;
use numpy::{
    Element, Ix1, PyArray1, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods, dtype,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrays::{CodesArray, count, described, empty, shared, to_py_err, typed};
use crate::runtime::run;

/// Fills `out` with the bits of `x > thresholds`, or of `x != 0` for bytes and no thresholds; with those of
/// the columns of `x`, if it is given transposed.
#[pyfunction]
pub fn bits_pack(
    py: Python<'_>,
    x: &Bound<'_, PyUntypedArray>,
    transposed: bool,
    thresholds: Option<&Bound<'_, PyUntypedArray>>,
    bitorder: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let (rows, size) = rows_of(x, "x")?;
    let along = if transposed { Along::Columns } else { Along::Rows };
    let order = bit_order(bitorder)?;
    let out = typed::<u8>(out, "out", "a uint8 array")?;
    let out = bytes_to_fill(out.as_untyped(), rows, "x")?;
    let floats = match thresholds {
        None if size == 1 => Floats::None,
        Some(thresholds) if thresholds.dtype().is_equiv_to(&x.dtype()) => Floats::new(thresholds)?,
        _ => return Err(PyTypeError::new_err("x and threshold must be arrays of one dtype")),
    };
    run(py, threads, |level, parallel| bits::pack(level, rows, along, floats.view(), order, out, parallel))
}

/// Fills `out` with `values[bit]` for every bit of `codes`; `values` are two elements of the dtype of `out`.
#[pyfunction]
pub fn bits_unpack(
    py: Python<'_>,
    codes: &Bound<'_, PyAny>,
    n_bits: &Bound<'_, PyAny>,
    values: &Bound<'_, PyUntypedArray>,
    bitorder: &Bound<'_, PyAny>,
    out: &Bound<'_, PyUntypedArray>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let codes = typed::<u8>(codes, "codes", "a numpy uint8 array (..., n_bytes) of packed bits")?;
    let (rows, _) = rows_of(codes.as_untyped(), "codes")?;
    let n_bits = count(n_bits, "n_bits", 0)?;
    let order = bit_order(bitorder)?;
    let (pair, size) = rows_of(values, "values")?;
    let pair = pair.as_bytes();
    if !values.dtype().is_equiv_to(&out.dtype()) || pair.len() != 2 * size {
        return Err(PyTypeError::new_err("values must be two elements of the dtype of out"));
    }
    let values = [&pair[..size], &pair[size..]];
    let out = bytes_to_fill(out, rows, "codes")?;
    run(py, threads, |level, parallel| bits::unpack(level, rows, n_bits, values, order, out, parallel))
}

/// The number of ones of each row.
#[pyfunction]
pub fn bits_popcount<'py>(
    py: Python<'py>,
    codes: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let codes = CodesArray::new(codes, "codes")?;
    let view = codes.view()?;
    let out = empty::<i32, Ix1>(py, &[codes.n_rows()])?;
    let mut counts = out.try_readwrite()?;
    let slice = counts.as_slice_mut()?;
    run(py, threads, |level, parallel| bits::popcount(level, view, slice, parallel))?;
    drop(counts);
    Ok(out)
}

/// Fills `out` with the `n_bits` lowest bits of each of `values`, C-contiguous uint8 or uint16 `(..., d)`.
#[pyfunction]
pub fn bits_pack_uint(
    py: Python<'_>,
    values: &Bound<'_, PyUntypedArray>,
    n_bits: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    if values.dtype().is_equiv_to(&dtype::<u8>(py)) {
        pack_uint::<u8>(py, values, n_bits, out, threads)
    } else {
        pack_uint::<u16>(py, values, n_bits, out, threads)
    }
}

fn pack_uint<T: Element + Copy + Into<u16> + Sync>(
    py: Python<'_>,
    values: &Bound<'_, PyUntypedArray>,
    n_bits: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let n_bits = count(n_bits, "n_bits", 1)?;
    let values = typed::<T>(values, "values", "a uint8 or uint16 array")?;
    let values = values.try_readonly().map_err(|_| shared("values"))?;
    let d = values.shape().last().copied().unwrap_or(1);
    let values = values.as_slice()?;
    let out = typed::<u8>(out, "out", "a uint8 array")?;
    let mut out = out.try_readwrite().map_err(|_| shared("out"))?;
    let out = out.as_slice_mut()?;
    run(py, threads, |_, parallel| bits::pack_uint(values, d, n_bits, out, parallel))
}

/// Fills `out`, uint8 or uint16 `(..., count)`, with the integers of `n_bits` bits in `packed`.
#[pyfunction]
pub fn bits_unpack_uint(
    py: Python<'_>,
    packed: &Bound<'_, PyAny>,
    n_bits: &Bound<'_, PyAny>,
    out: &Bound<'_, PyUntypedArray>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    if out.dtype().is_equiv_to(&dtype::<u8>(py)) {
        unpack_uint::<u8>(py, packed, n_bits, out, threads)
    } else {
        unpack_uint::<u16>(py, packed, n_bits, out, threads)
    }
}

fn unpack_uint<T: Element + FromBits>(
    py: Python<'_>,
    packed: &Bound<'_, PyAny>,
    n_bits: &Bound<'_, PyAny>,
    out: &Bound<'_, PyUntypedArray>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let n_bits = count(n_bits, "n_bits", 1)?;
    let packed = typed::<u8>(packed, "packed", "a numpy uint8 array (..., n_bytes)")?;
    let packed = packed.try_readonly().map_err(|_| shared("packed"))?;
    let packed = packed.as_slice()?;
    let out = typed::<T>(out, "out", "a uint8 or uint16 array")?;
    let mut out = out.try_readwrite().map_err(|_| shared("out"))?;
    let count = out.shape().last().copied().unwrap_or(1);
    let out = out.as_slice_mut()?;
    run(py, threads, |_, parallel| bits::unpack_uint(packed, count, n_bits, out, parallel))
}

fn bit_order(value: &Bound<'_, PyAny>) -> PyResult<BitOrder> {
    match value.extract::<&str>() {
        Ok("big") => Ok(BitOrder::Big),
        Ok("little") => Ok(BitOrder::Little),
        Ok(_) => Err(PyValueError::new_err(format!("bitorder must be \"big\" or \"little\"; got {value:?}"))),
        Err(_) => Err(PyTypeError::new_err(format!(
            "bitorder must be \"big\" or \"little\"; got {}",
            described(value)
        ))),
    }
}

/// Thresholds in the element type, copied: they are few, and may be unaligned.
enum Floats {
    None,
    F16(Vec<u16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Floats {
    fn new(array: &Bound<'_, PyUntypedArray>) -> PyResult<Self> {
        let dtype = array.dtype();
        let bytes = rows_of(array, "threshold")?.0.as_bytes();
        match (dtype.kind(), dtype.itemsize(), dtype.is_native_byteorder()) {
            (b'f', 2, Some(true)) => {
                Ok(Floats::F16(bytes.as_chunks().0.iter().map(|x| u16::from_ne_bytes(*x)).collect()))
            }
            (b'f', 4, Some(true)) => {
                Ok(Floats::F32(bytes.as_chunks().0.iter().map(|x| f32::from_ne_bytes(*x)).collect()))
            }
            (b'f', 8, Some(true)) => {
                Ok(Floats::F64(bytes.as_chunks().0.iter().map(|x| f64::from_ne_bytes(*x)).collect()))
            }
            _ => {
                Err(PyTypeError::new_err("threshold must be an array of native float16, float32 or float64"))
            }
        }
    }

    fn view(&self) -> Thresholds<'_> {
        match self {
            Floats::None => Thresholds::NonZero,
            Floats::F16(thresholds) => Thresholds::F16(thresholds),
            Floats::F32(thresholds) => Thresholds::F32(thresholds),
            Floats::F64(thresholds) => Thresholds::F64(thresholds),
        }
    }
}

/// The bytes of an array whose rows (along the last axis) are contiguous and lie at one distance from each other,
/// and the bytes of an element.
fn rows_of<'a>(array: &'a Bound<'_, PyUntypedArray>, name: &str) -> PyResult<(Rows<'a>, usize)> {
    let size = array.dtype().itemsize();
    let (shape, strides) = (array.shape(), array.strides());
    let n_bytes = shape.last().map_or(size, |d| d * size);
    let n_rows: usize = shape.iter().rev().skip(1).product();
    let stride = match (shape, strides) {
        _ if array.is_c_contiguous() => Some(n_bytes),
        ([_, _], &[row, element]) if element == size as isize => usize::try_from(row).ok(),
        _ => None,
    };
    let stride = stride.ok_or_else(|| PyValueError::new_err(format!("{name} must have contiguous rows")))?;
    let span = if n_bytes == 0 || n_rows == 0 { 0 } else { (n_rows - 1) * stride + n_bytes };
    let bytes = match span {
        0 => &[],
        // SAFETY: NumPy keeps `n_rows` rows of `n_bytes` bytes that start `stride` bytes apart from its data pointer,
        // all in one allocation, and the slice borrows the reference that keeps the array alive.
        _ => unsafe { std::slice::from_raw_parts(data(array), span) },
    };
    Rows::new(bytes, if span == 0 { 0 } else { n_rows }, n_bytes, stride)
        .map(|rows| (rows, size))
        .map_err(to_py_err)
}

/// The bytes of a writeable C-contiguous array that shares none with `input`.
#[allow(clippy::mut_from_ref, reason = "the bytes are NumPy's, not those of the reference")]
fn bytes_to_fill<'a>(
    array: &'a Bound<'_, PyUntypedArray>,
    input: Rows<'_>,
    name: &str,
) -> PyResult<&'a mut [u8]> {
    // SAFETY: the pointer is that of a live NumPy array, whose flags are plain integers.
    let flags = unsafe { (*array.as_array_ptr()).fields.flags };
    if flags & NPY_ARRAY_WRITEABLE == 0 || !array.is_c_contiguous() {
        return Err(PyValueError::new_err("out must be writeable and C-contiguous"));
    }
    let len = array.len() * array.dtype().itemsize();
    if len == 0 {
        return Ok(&mut []);
    }
    let (read, written) = (input.as_bytes().as_ptr_range(), data(array).cast_const());
    if read.start < written.wrapping_add(len) && written < read.end {
        return Err(PyValueError::new_err(format!(
            "out shares memory with {name}; give an array of its own"
        )));
    }
    // SAFETY: a C-contiguous array owns `len` bytes from its data pointer on, and the array is writeable and kept
    // alive by the reference that the slice borrows. The input, checked above, is elsewhere.
    Ok(unsafe { std::slice::from_raw_parts_mut(data(array), len) })
}

fn data(array: &Bound<'_, PyUntypedArray>) -> *mut u8 {
    // SAFETY: the pointer is that of a live NumPy array.
    unsafe { (*array.as_array_ptr()).fields.data.cast() }
}
