//! The bits family. `fastcodes.bits` converts values of other types and layouts to those accepted here.

use fastcodes_core::bits::{self, Along, BitOrder, FromBits, Thresholds};
use numpy::{
    Element, Ix1, PyArray1, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods, dtype,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::arrays::{CodesArray, bytes_to_fill, count, described, elements, elements_mut, rows, typed};
use crate::results::filled;
use crate::runtime::{detached, n_threads};

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
    let threads = n_threads(threads)?;
    let (along, order) = (if transposed { Along::Columns } else { Along::Rows }, bit_order(bitorder)?);
    let floats = match thresholds {
        None if x.dtype().itemsize() == 1 => Floats::None,
        Some(thresholds) if thresholds.dtype().is_equiv_to(&x.dtype()) => Floats::new(thresholds)?,
        _ => return Err(PyTypeError::new_err("x and threshold must be arrays of one dtype")),
    };
    let rows = rows(x, "x")?;
    let out = typed::<u8>(out, "out", "a uint8 array")?;
    let out = bytes_to_fill(out.as_untyped(), rows, "x")?;
    detached(py, threads, |run| bits::pack(rows, along, floats.view(), order, out, run))
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
    let threads = n_threads(threads)?;
    let (n_bits, order) = (count(n_bits, "n_bits", 0)?, bit_order(bitorder)?);
    let codes = typed::<u8>(codes, "codes", "a numpy uint8 array (..., n_bytes) of packed bits")?;
    let (codes, pair) = (rows(codes.as_untyped(), "codes")?, rows(values, "values")?.as_bytes());
    let size = values.dtype().itemsize();
    if !values.dtype().is_equiv_to(&out.dtype()) || pair.len() != 2 * size {
        return Err(PyTypeError::new_err("values must be two elements of the dtype of out"));
    }
    let values = [&pair[..size], &pair[size..]];
    let out = bytes_to_fill(out, codes, "codes")?;
    detached(py, threads, |run| bits::unpack(codes, n_bits, values, order, out, run))
}

/// The number of ones of each row.
#[pyfunction]
pub fn bits_popcount<'py>(
    py: Python<'py>,
    codes: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let threads = n_threads(threads)?;
    let codes = CodesArray::new(codes, "codes")?;
    let view = codes.view()?;
    filled::<i32, Ix1>(py, None, &[codes.n_rows()], |out| {
        detached(py, threads, |run| bits::popcount(view, out, run))
    })
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
    let n_bits = count(n_bits, "n_bits", 1)?;
    if values.dtype().is_equiv_to(&dtype::<u8>(py)) {
        pack_uint::<u8>(py, values, n_bits, out, threads)
    } else {
        pack_uint::<u16>(py, values, n_bits, out, threads)
    }
}

fn pack_uint<T: Element + Copy + Into<u16> + Sync>(
    py: Python<'_>,
    values: &Bound<'_, PyUntypedArray>,
    n_bits: usize,
    out: &Bound<'_, PyAny>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let threads = n_threads(threads)?;
    let values = elements::<T>(values, "values", "a uint8 or uint16 array")?;
    let mut out = elements_mut::<u8>(out, "out", "a uint8 array")?;
    let d = values.shape().last().copied().unwrap_or(1);
    let (values, out) = (values.as_slice()?, out.as_slice_mut()?);
    detached(py, threads, |run| bits::pack_uint(values, d, n_bits, out, run))
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
    let n_bits = count(n_bits, "n_bits", 1)?;
    if out.dtype().is_equiv_to(&dtype::<u8>(py)) {
        unpack_uint::<u8>(py, packed, n_bits, out, threads)
    } else {
        unpack_uint::<u16>(py, packed, n_bits, out, threads)
    }
}

fn unpack_uint<T: Element + FromBits>(
    py: Python<'_>,
    packed: &Bound<'_, PyAny>,
    n_bits: usize,
    out: &Bound<'_, PyUntypedArray>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let threads = n_threads(threads)?;
    let packed = elements::<u8>(packed, "packed", "a numpy uint8 array (..., n_bytes)")?;
    let mut out = elements_mut::<T>(out, "out", "a uint8 or uint16 array")?;
    let count = out.shape().last().copied().unwrap_or(1);
    let (packed, out) = (packed.as_slice()?, out.as_slice_mut()?);
    detached(py, threads, |run| bits::unpack_uint(packed, count, n_bits, out, run))
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
        let (dtype, bytes) = (array.dtype(), rows(array, "threshold")?.as_bytes());
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
