//! The xnor family: prepared operands as classes, and products of arrays. `fastcodes.xnor` converts its arguments to the types
//! expected here.

use fastcodes_core::Codes;
use fastcodes_core::xnor::{
    self, ByteValues, Conv, Filters, Images, Matrix, Operand, Output, Padding, Values,
};
use numpy::ndarray::{Dimension, Ix2, Ix3, Ix4};
use numpy::{Element, PyArray3, PyArray4, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{
    CodesArray, ReadArray, array_out, contiguous, count, elements, shape_text, to_py_err, typed, writable,
};
use crate::results::filled;
use crate::runtime::{detached, n_threads};

const ROWS: &str = "a numpy uint8 array (n, n_bytes) of packed bits, as fastcodes.bits.pack makes it";
const IMAGES: &str = "a numpy uint8 array (n, height, width, n_bytes) of packed bits, channels last";
const FILTERS: &str = "a numpy uint8 array (n_filters, height, width, n_bytes) of packed bits, channels last";

/// Rows of bits: an array with two axes is one plane, one with three axes several.
struct PlanesArray<'py>(Vec<CodesArray<'py>>);

impl<'py> PlanesArray<'py> {
    fn new(value: &Bound<'py, PyAny>, name: &'static str) -> PyResult<Self> {
        let array = typed::<u8>(value, name, ROWS)?;
        let planes = match array.ndim() {
            3 => (0..array.shape()[0])
                .map(|plane| CodesArray::described(&value.get_item(plane)?, name, ROWS))
                .collect::<PyResult<_>>()?,
            _ => vec![CodesArray::described(value, name, ROWS)?],
        };
        Ok(PlanesArray(planes))
    }

    fn views(&self) -> PyResult<Vec<Codes<'_>>> {
        self.0.iter().map(CodesArray::view).collect()
    }
}

/// What bits stand for: "signs", "unsigned" or "signed".
fn values_of(name: &str) -> PyResult<Values> {
    match name {
        "signs" => Ok(Values::Signs),
        "unsigned" => Ok(Values::Unsigned),
        "signed" => Ok(Values::TwosComplement),
        _ => Err(PyValueError::new_err(format!("values must be signs, unsigned or signed; got {name:?}"))),
    }
}

/// What to make of dot products: thresholds and packed flips, or scale and bias, with one element per column. The arrays
/// are checked and copied once, for many products.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct XnorFinish(ColumnFinish);

enum ColumnFinish {
    Bits { thresholds: Vec<i32>, flips: Vec<u8> },
    Floats { scale: Vec<f32>, bias: Vec<f32> },
}

#[pymethods]
impl XnorFinish {
    /// From `thresholds`, int32, and perhaps packed `flips`, uint8; or from `scale` and `bias`, float32.
    #[new]
    fn new(
        thresholds: Option<&Bound<'_, PyAny>>,
        flips: Option<&Bound<'_, PyAny>>,
        scale: Option<&Bound<'_, PyAny>>,
        bias: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let finish = match thresholds {
            Some(_) => ColumnFinish::Bits {
                thresholds: column(thresholds, "thresholds")?,
                flips: column(flips, "flips")?,
            },
            None => ColumnFinish::Floats { scale: column(scale, "scale")?, bias: column(bias, "bias")? },
        };
        Ok(XnorFinish(finish))
    }
}

/// A copy of a C-contiguous array; empty for None.
fn column<T: Element + Copy>(value: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Vec<T>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let array = elements::<T>(value, name, "a C-contiguous numpy array")?;
    let mut copy = Vec::new();
    copy.try_reserve_exact(array.len()).map_err(|error| to_py_err(error.into()))?;
    copy.extend_from_slice(array.as_slice()?);
    Ok(copy)
}

/// Makes the array of the results and fills it. `shape` has the number of columns last, even if they become packed bits.
fn finished<'py, D: Dimension>(
    py: Python<'py>,
    finish: Option<&XnorFinish>,
    out: Option<&Bound<'py, PyAny>>,
    shape: &[usize],
    compute: impl FnOnce(Output<'_>) -> PyResult<()>,
) -> PyResult<Bound<'py, PyAny>> {
    match finish.map(|finish| &finish.0) {
        None => {
            let array = array_out::<i32, D>(py, out, shape)?;
            let mut out = writable(&array)?;
            compute(Output::Dots(out.as_slice_mut()?))?;
            Ok(array.into_any())
        }
        Some(ColumnFinish::Bits { thresholds, flips }) => {
            let mut in_bytes = shape.to_vec();
            in_bytes.iter_mut().rev().take(1).for_each(|columns| *columns = columns.div_ceil(8));
            let array = array_out::<u8, D>(py, out, &in_bytes)?;
            let mut out = writable(&array)?;
            compute(Output::Bits { thresholds, flips, out: out.as_slice_mut()? })?;
            Ok(array.into_any())
        }
        Some(ColumnFinish::Floats { scale, bias }) => {
            let array = array_out::<f32, D>(py, out, shape)?;
            let mut out = writable(&array)?;
            compute(Output::Floats { scale, bias, out: out.as_slice_mut()? })?;
            Ok(array.into_any())
        }
    }
}

/// The right-hand side of products, transposed.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct XnorMatrix(Matrix);

#[pymethods]
impl XnorMatrix {
    /// From `rows`, uint8 `(n, n_bytes)` of signs or `(n_planes, n, n_bytes)` of bit planes.
    #[new]
    fn new(
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
        n_features: &Bound<'_, PyAny>,
        values: &str,
        threads: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let threads = n_threads(threads)?;
        let (values, n_features) = (values_of(values)?, count(n_features, "n_bits", 1)?);
        let rows = PlanesArray::new(rows, "b")?;
        let planes = rows.views()?;
        detached(py, threads, |run| Matrix::new(&Operand::new("b", planes, values, n_features)?, run))
            .map(XnorMatrix)
    }

    /// `(n, n_features)`.
    #[getter]
    fn shape(&self) -> (usize, usize) {
        (self.0.n_rows(), self.0.n_features())
    }

    /// The array it was made from, uint8 `(n_planes, n, n_bytes)`.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray3<u8>>> {
        let shape = [self.0.planes().len(), self.0.n_rows(), self.0.n_features().div_ceil(8)];
        let array = array_out::<u8, Ix3>(py, None, &shape)?;
        let mut out = writable(&array)?;
        let n_bytes = (shape[1] * shape[2]).max(1);
        for (out, plane) in out.as_slice_mut()?.chunks_mut(n_bytes).zip(self.0.planes()) {
            out.copy_from_slice(plane);
        }
        drop(out);
        Ok(array)
    }
}

/// See `fastcodes.xnor.matmul` and `bitserial_matmul`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "they are the arguments of the public functions")]
pub fn xnor_matmul<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    values: &str,
    b: &XnorMatrix,
    n_features: &Bound<'py, PyAny>,
    finish: Option<&XnorFinish>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let threads = n_threads(threads)?;
    let (values, n_features) = (values_of(values)?, count(n_features, "n_bits", 1)?);
    let a = PlanesArray::new(a, "a")?;
    let planes = a.views()?;
    let n_rows = planes.first().map_or(0, Codes::n_rows);
    finished::<Ix2>(py, finish, out, &[n_rows, b.0.n_rows()], |output| {
        detached(py, threads, |run| {
            xnor::matmul(&Operand::new("a", planes, values, n_features)?, &b.0, output, run)
        })
    })
}

/// What bytes stand for: `(scale, offset)`.
type ByteParts = (i32, i32);

fn byte_values_of((scale, offset): ByteParts) -> ByteValues {
    ByteValues { scale, offset }
}

/// See `fastcodes.xnor.byte_matmul`.
#[pyfunction]
pub fn xnor_byte_matmul<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    byte_values: ByteParts,
    b: &XnorMatrix,
    finish: Option<&XnorFinish>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let threads = n_threads(threads)?;
    let a = CodesArray::described(a, "a", "a numpy uint8 array (m, d)")?;
    let a = a.view()?;
    finished::<Ix2>(py, finish, out, &[a.n_rows(), b.0.n_rows()], |output| {
        detached(py, threads, |run| xnor::byte_matmul(a, byte_values_of(byte_values), &b.0, output, run))
    })
}

/// The lowest `n_planes` bits of `values`, uint8 `(m, d)`, as uint8 `(n_planes, m, ceil(d / 8))`.
#[pyfunction]
pub fn xnor_planes<'py>(
    py: Python<'py>,
    values: &Bound<'py, PyAny>,
    n_planes: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let threads = n_threads(threads)?;
    let n_planes = count(n_planes, "n_bits", 1)?;
    let values = CodesArray::described(values, "values", "a numpy array (m, d) of integers")?;
    let view = values.view()?;
    let shape = [n_planes.min(Operand::MAX_PLANES), values.n_rows(), view.n_bytes().div_ceil(8)];
    filled::<u8, Ix3>(py, out, &shape, |out| {
        detached(py, threads, |run| xnor::planes(view, n_planes, out, run))
    })
}

/// A C-contiguous uint8 array with four axes.
fn four_axes<'py>(
    value: &Bound<'py, PyAny>,
    name: &str,
    expected: &str,
) -> PyResult<(ReadArray<'py, u8>, [usize; 4])> {
    let array = typed::<u8>(value, name, expected)?;
    let Ok(shape) = <[usize; 4]>::try_from(array.shape()) else {
        let given = shape_text(array.shape());
        return Err(PyValueError::new_err(format!("{name} must be {expected}; got shape {given}")));
    };
    Ok((ReadArray::new(contiguous(array)?, name)?, shape))
}

/// Filters of signs, transposed.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct XnorFilters(Filters);

#[pymethods]
impl XnorFilters {
    /// From `filters`, uint8 `(n_filters, height, width, ceil(n_channels / 8))`; `n_channels` is that of one group.
    #[new]
    fn new(
        py: Python<'_>,
        filters: &Bound<'_, PyAny>,
        n_channels: &Bound<'_, PyAny>,
        groups: &Bound<'_, PyAny>,
        threads: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let threads = n_threads(threads)?;
        let (n_channels, groups) = (count(n_channels, "n_channels", 1)?, count(groups, "groups", 1)?);
        let (array, [n, height, width, n_bytes]) = four_axes(filters, "filters", FILTERS)?;
        let bytes = array.as_slice()?;
        detached(py, threads, |run| Filters::new(bytes, [n, height, width], n_bytes, n_channels, groups, run))
            .map(XnorFilters)
    }

    /// `(n_filters, height, width, n_channels)`, with the channels of one group.
    #[getter]
    fn shape(&self) -> (usize, usize, usize, usize) {
        let [height, width] = self.0.kernel();
        (self.0.n_filters(), height, width, self.0.n_channels())
    }

    /// The number of groups.
    #[getter]
    fn groups(&self) -> usize {
        self.0.n_groups()
    }

    /// The array it was made from, uint8 `(n_filters, height, width, n_bytes)`.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray4<u8>>> {
        let (n, height, width, n_channels) = self.shape();
        let array = array_out::<u8, Ix4>(py, None, &[n, height, width, n_channels.div_ceil(8)])?;
        let mut out = writable(&array)?;
        let mut left = out.as_slice_mut()?;
        for rows in self.0.rows() {
            let (own, rest) = left.split_at_mut(rows.len());
            own.copy_from_slice(rows);
            left = rest;
        }
        drop(out);
        Ok(array)
    }
}

/// `(stride, padding, value of the padding, dilation)`, each pair for rows and columns.
type ConvParts = ((usize, usize), ((usize, usize), (usize, usize)), i32, (usize, usize));

fn conv_of((stride, padding, pad_value, dilation): ConvParts) -> PyResult<Conv> {
    let pad_value = match pad_value {
        -1 => Padding::Minus,
        0 => Padding::Zero,
        1 => Padding::Plus,
        _ => return Err(PyValueError::new_err(format!("pad_value must be -1, 0 or 1; got {pad_value}"))),
    };
    let padding = [padding.0.into(), padding.1.into()];
    Ok(Conv { stride: stride.into(), padding, pad_value, dilation: dilation.into() })
}

/// See `fastcodes.xnor.conv2d`, and `byte_conv2d`, where each byte of a pixel is a channel.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "they are the arguments of the public functions")]
pub fn xnor_conv2d<'py>(
    py: Python<'py>,
    images: &Bound<'py, PyAny>,
    byte_values: Option<ByteParts>,
    filters: &XnorFilters,
    n_channels: &Bound<'py, PyAny>,
    conv: ConvParts,
    finish: Option<&XnorFinish>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let threads = n_threads(threads)?;
    let expected =
        if byte_values.is_none() { IMAGES } else { "a numpy uint8 array (n, height, width, channels)" };
    let (n_channels, conv) = (count(n_channels, "n_channels", 1)?, conv_of(conv)?);
    let (array, [n, height, width, n_bytes]) = four_axes(images, "images", expected)?;
    let (bytes, shape) = (array.as_slice()?, [n, height, width]);
    let images = || match byte_values {
        None => Images::new(bytes, shape, n_bytes, n_channels),
        Some(byte_values) => Images::of_bytes(bytes, shape, n_bytes, byte_values_of(byte_values)),
    };
    let [out_height, out_width] = conv.out_shape([height, width], filters.0.kernel()).map_err(to_py_err)?;
    let shape = [n, out_height, out_width, filters.0.n_filters()];
    // Four bytes are the largest element; numpy counts an axis of length 0 as 1.
    let elements = shape.iter().try_fold(4_usize, |product, n| product.checked_mul(*n.max(&1)));
    if elements.is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(PyValueError::new_err(format!(
            "padding is too large: results of shape {} fit no memory",
            shape_text(&shape)
        )));
    }
    finished::<Ix4>(py, finish, out, &shape, |output| {
        detached(py, threads, |run| xnor::conv2d(images()?, &filters.0, conv, output, run))
    })
}

/// See `fastcodes.xnor.max_pool2d`.
#[pyfunction]
pub fn xnor_max_pool2d<'py>(
    py: Python<'py>,
    images: &Bound<'py, PyAny>,
    size: (usize, usize),
    stride: (usize, usize),
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray4<u8>>> {
    let threads = n_threads(threads)?;
    let (array, [n, height, width, n_bytes]) = four_axes(images, "images", IMAGES)?;
    let (size, stride) = (size.into(), stride.into());
    let images = Images::new(array.as_slice()?, [n, height, width], n_bytes, n_bytes.saturating_mul(8))
        .map_err(to_py_err)?;
    let [out_height, out_width] = xnor::pooled_shape([height, width], size, stride).map_err(to_py_err)?;
    filled::<u8, Ix4>(py, out, &[n, out_height, out_width, n_bytes], |out| {
        detached(py, threads, |run| xnor::max_pool2d(images, size, stride, out, run))
    })
}
