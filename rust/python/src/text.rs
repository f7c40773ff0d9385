//! The model behind `fastcodes.coding.TextCodec`, which turns strings into bytes and checks numbers.

use fastcodes_core::text::{self, Texts};
use numpy::{IntoPyArray, Ix1, PyArray1};
use pyo3::prelude::*;

use crate::arrays::{ReadArray, elements_of_axes, to_py_err};
use crate::results::filled;
use crate::runtime::{detached, n_threads};

/// Bytes and offsets.
type JoinedArrays<'py> = (Bound<'py, PyArray1<u8>>, Bound<'py, PyArray1<i64>>);

/// Strings as bytes and offsets.
struct TextsArrays<'py> {
    name: &'static str,
    bytes: ReadArray<'py, u8>,
    offsets: ReadArray<'py, i64>,
}

impl<'py> TextsArrays<'py> {
    fn new(name: &'static str, bytes: &Bound<'py, PyAny>, offsets: &Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(TextsArrays {
            name,
            bytes: elements_of_axes(bytes, name, "a numpy uint8 array (n_bytes,)", 1)?,
            offsets: elements_of_axes(offsets, "offsets", "a numpy int64 array (n + 1,)", 1)?,
        })
    }

    fn view(&self) -> PyResult<Texts<'_>> {
        Texts::new(self.name, self.bytes.as_slice()?, self.offsets.as_slice()?).map_err(to_py_err)
    }
}

fn arrays<'py>(py: Python<'py>, (bytes, offsets): text::Joined) -> JoinedArrays<'py> {
    (bytes.into_pyarray(py), offsets.into_pyarray(py))
}

/// A fitted model of strings.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct TextModel(text::TextModel);

#[pymethods]
impl TextModel {
    /// The model of strings.
    #[new]
    fn new(
        py: Python<'_>,
        texts: &Bound<'_, PyAny>,
        offsets: &Bound<'_, PyAny>,
        model_bytes: usize,
        threads: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let threads = n_threads(threads)?;
        let texts = TextsArrays::new("texts", texts, offsets)?;
        let texts = texts.view()?;
        detached(py, threads, |run| text::TextModel::fit(&texts, model_bytes, run)).map(TextModel)
    }

    /// The model that `to_bytes` returned.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let data = elements_of_axes::<u8>(data, "data", "a numpy uint8 array (n_bytes,)", 1)?;
        let bytes = data.as_slice()?;
        py.detach(|| text::TextModel::from_bytes(bytes)).map(TextModel).map_err(to_py_err)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u8>>> {
        Ok(py.detach(|| self.0.to_bytes()).map_err(to_py_err)?.into_pyarray(py))
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.0.n_bytes()
    }

    /// The codes of strings, and their offsets.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<JoinedArrays<'py>> {
        let threads = n_threads(threads)?;
        let texts = TextsArrays::new("texts", texts, offsets)?;
        let texts = texts.view()?;
        Ok(arrays(py, detached(py, threads, |run| self.0.encode(&texts, run))?))
    }

    /// The strings of codes, and their offsets.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<JoinedArrays<'py>> {
        let threads = n_threads(threads)?;
        let codes = TextsArrays::new("data", data, offsets)?;
        let codes = codes.view()?;
        Ok(arrays(py, detached(py, threads, |run| self.0.decode(&codes, run))?))
    }

    /// The code length of each string.
    fn bits<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let threads = n_threads(threads)?;
        let texts = TextsArrays::new("texts", texts, offsets)?;
        let texts = texts.view()?;
        filled::<f64, Ix1>(py, None, &[texts.len()], |out| {
            detached(py, threads, |run| self.0.bits(&texts, out, run))
        })
    }
}
