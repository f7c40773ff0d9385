//! The coder behind `fastcodes.coding.ImageCodec`, which checks pictures and numbers.

use fastcodes_core::image::{self, Coding, Kind, SamplesOf, Step, Tune};
use numpy::ndarray::{Ix1, IxDyn};
use numpy::{
    Element, IntoPyArray, PyArray, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arrays::{ReadArray, elements, elements_of_axes, to_py_err};
use crate::results;
use crate::runtime::{detached, n_threads};

const DATA: &str = "a numpy uint8 array (n_bytes,)";

/// What a picture of this shape is.
fn kind<T>(array: &ReadArray<'_, T>, n_bits: u32) -> Kind
where
    T: Element,
{
    let (height, width, n_channels) = match *array.shape() {
        [height, width] => (height, width, 1),
        [height, width, n_channels] => (height, width, n_channels),
        _ => (0, 0, 0),
    };
    Kind { width, height, n_channels, n_bits }
}

/// The bytes of a picture, lossless if there is no `step`.
#[pyfunction]
pub fn image_encode<'py>(
    py: Python<'py>,
    image: &Bound<'py, PyAny>,
    step: Option<f64>,
    tune_ms_ssim: bool,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    const IMAGE: &str =
        "a numpy array (height, width) or (height, width, 3) of uint8, or (height, width) of uint16";
    let threads = n_threads(threads)?;
    let tune = if tune_ms_ssim { Tune::MsSsim } else { Tune::Psnr };
    let coding = match step {
        Some(step) => Coding::Lossy { step: Step::new(step).map_err(to_py_err)?, tune },
        None => Coding::Lossless,
    };
    let is_wide = image.cast::<PyUntypedArray>().is_ok_and(|array| array.dtype().itemsize() == 2);
    let bytes = if is_wide {
        let samples = elements::<u16>(image, "image", IMAGE)?;
        let (kind, samples) = (kind(&samples, 16), SamplesOf::Sixteen(samples.as_slice()?));
        detached(py, threads, |run| image::encode(samples, kind, coding, run))?
    } else {
        let samples = elements::<u8>(image, "image", IMAGE)?;
        let (kind, samples) = (kind(&samples, 8), SamplesOf::Eight(samples.as_slice()?));
        detached(py, threads, |run| image::encode(samples, kind, coding, run))?
    };
    results::bytes(py, &bytes)
}

/// Height, width, channels, bits, step if there is one, and whether it is tuned for MS-SSIM.
type Facts = (usize, usize, usize, u32, Option<f32>, bool);

/// What the first bytes of a picture say.
#[pyfunction]
pub fn image_inspect(data: &Bound<'_, PyAny>) -> PyResult<Facts> {
    let data = elements_of_axes::<u8>(data, "data", DATA, 1)?;
    let (kind, coding) = image::inspect(data.as_slice()?).map_err(to_py_err)?;
    let (step, tune) = match coding {
        Coding::Lossless => (None, Tune::Psnr),
        Coding::Lossy { step, tune } => (Some(step.value()), tune),
    };
    Ok((kind.height, kind.width, kind.n_channels, kind.n_bits, step, tune == Tune::MsSsim))
}

/// The picture, `(height, width)` or `(height, width, 3)`.
#[pyfunction]
pub fn image_decode<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    n_halvings: usize,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let threads = n_threads(threads)?;
    let data = elements_of_axes::<u8>(data, "data", DATA, 1)?;
    let bytes = data.as_slice()?;
    let picture = detached(py, threads, |run| image::decode(bytes, n_halvings, run))?;
    Ok(match picture.samples {
        SamplesOf::Eight(samples) => shaped(py, samples, picture.kind)?.into_any(),
        SamplesOf::Sixteen(samples) => shaped(py, samples, picture.kind)?.into_any(),
    })
}

fn shaped<T: Element>(py: Python<'_>, samples: Vec<T>, kind: Kind) -> PyResult<Bound<'_, PyArray<T, IxDyn>>> {
    let array: Bound<'_, PyArray<T, Ix1>> = samples.into_pyarray(py);
    match kind.n_channels {
        1 => array.reshape(IxDyn(&[kind.height, kind.width])),
        n_channels => array.reshape(IxDyn(&[kind.height, kind.width, n_channels])),
    }
}
