//! The adc family. `fastcodes.adc` converts vectors to float32 and documents packed codes.

use std::sync::Arc;

use fastcodes_core::adc::{self, Blocks, Codebooks, TableMetric, Tables, Vectors};
use fastcodes_core::{Error, Run};
use numpy::{PyArray1, PyArray2, PyArray3};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PySlice;

use crate::arrays::{
    CodesArray, FloatsArray, MaskArray, borrowed_bytes, count, described, elements_mut, readonly_bytes, real,
    to_py_err,
};
use crate::probes::{Lists, ProbesArrays};
use crate::results::{self, CsrArrays, NeighborArrays};
use crate::runtime::{detached, n_threads};
use crate::versions::Versions;

const TABLES: &str = "a numpy float32 array (nq, M, K), as fastcodes.adc.tables makes it";
const CODES: &str =
    "a numpy uint8 array (n, M), one byte per subspace, as fastcodes.adc.encode makes it, or a PackedCodes";
const CODEBOOKS: &str = "a numpy float32 array (M, K, d / M)";

fn tables_of<'a>(values: &'a [f32], shape: [usize; 3]) -> Result<Tables<'a>, Error> {
    Tables::new(values, shape[0], shape[1], shape[2])
}

/// Codes as an array, or packed: the rows of the moment.
pub enum CodesSource<'py> {
    Rows(CodesArray<'py>),
    Packed(Arc<adc::PackedCodes>),
}

impl<'py> CodesSource<'py> {
    pub fn new(codes: &Bound<'py, PyAny>, expected: &str) -> PyResult<Self> {
        match codes.cast::<PackedCodes>() {
            Ok(packed) => Ok(CodesSource::Packed(packed.get().current(codes.py()))),
            Err(_) => Ok(CodesSource::Rows(CodesArray::described(codes, "codes", expected)?)),
        }
    }

    pub fn n_rows(&self) -> usize {
        match self {
            CodesSource::Rows(codes) => codes.n_rows(),
            CodesSource::Packed(packed) => packed.n_rows(),
        }
    }

    /// The codes as the core takes them, to be searched with tables of this many codewords.
    fn view(&self, n_codewords: usize) -> PyResult<Blocks<'_>> {
        match self {
            CodesSource::Rows(codes) => Ok(Blocks::from_rows(codes.view()?, n_codewords)),
            CodesSource::Packed(packed) => Ok(packed.blocks()),
        }
    }
}

/// See `fastcodes.adc.tables`.
#[pyfunction]
pub fn adc_tables<'py>(
    py: Python<'py>,
    queries: &Bound<'py, PyAny>,
    codebooks: &Bound<'py, PyAny>,
    metric: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray3<f32>>> {
    let threads = n_threads(threads)?;
    let queries = FloatsArray::new(queries, "queries", 1..=2, "a numpy array (nq, d) of numbers")?;
    let codebooks = FloatsArray::new(codebooks, "codebooks", 3..=3, CODEBOOKS)?;
    let metric = match metric.extract::<&str>() {
        Ok("l2") => TableMetric::L2,
        Ok("ip") => TableMetric::Ip,
        _ => {
            return Err(PyValueError::new_err(format!(
                "metric must be \"l2\" or \"ip\"; got {}",
                described(metric)
            )));
        }
    };
    let [n_queries, n_dims] = queries.shape();
    let [n_subspaces, n_codewords, n_part] = codebooks.shape();
    let (vectors, books) = (queries.values()?, codebooks.values()?);
    results::filled(py, None, &[n_queries, n_subspaces, n_codewords], |tables| {
        detached(py, threads, |run| {
            let vectors = Vectors::new("queries", vectors, n_queries, n_dims)?;
            let books = Codebooks::new(books, n_subspaces, n_codewords, n_part)?;
            adc::tables(vectors, books, metric, tables, run)
        })
    })
}

/// See `fastcodes.adc.knn`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub fn adc_knn<'py>(
    py: Python<'py>,
    tables: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    lists: Option<Lists<'py>>,
) -> PyResult<NeighborArrays<'py, f32>> {
    let threads = n_threads(threads)?;
    let (k, mask) = (count(k, "k", 0)?, MaskArray::new(mask)?);
    let tables = FloatsArray::new(tables, "tables", 2..=3, TABLES)?;
    let codes = CodesSource::new(codes, CODES)?;
    let (values, shape) = (tables.values()?, tables.shape());
    let (blocks, mask) = (codes.view(shape[2])?, mask.view()?);
    let lists = lists.as_ref().map(ProbesArrays::new).transpose()?;
    let probes = lists.as_ref().map(|lists| lists.view(shape[0])).transpose()?;
    results::neighbors(py, shape[0], codes.n_rows(), k, |out| {
        detached(py, threads, |run| match probes {
            None => adc::knn(tables_of(values, shape)?, blocks, mask, out, run),
            Some(probes) => adc::lists_knn(tables_of(values, shape)?, blocks, probes, mask, out, run),
        })
    })
}

/// See `fastcodes.adc.radius`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub fn adc_radius<'py>(
    py: Python<'py>,
    tables: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    radius: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    lists: Option<Lists<'py>>,
) -> PyResult<CsrArrays<'py, f32>> {
    let threads = n_threads(threads)?;
    let (radius, mask) = (real(radius, "radius", None)?, MaskArray::new(mask)?);
    let tables = FloatsArray::new(tables, "tables", 2..=3, TABLES)?;
    let codes = CodesSource::new(codes, CODES)?;
    let (values, shape) = (tables.values()?, tables.shape());
    let (blocks, mask) = (codes.view(shape[2])?, mask.view()?);
    let lists = lists.as_ref().map(ProbesArrays::new).transpose()?;
    let probes = lists.as_ref().map(|lists| lists.view(shape[0])).transpose()?;
    let found = detached(py, threads, |run| match probes {
        None => adc::radius(tables_of(values, shape)?, blocks, radius, mask, run),
        Some(probes) => adc::lists_radius(tables_of(values, shape)?, blocks, probes, radius, mask, run),
    })?;
    Ok(results::csr(py, found))
}

/// See `fastcodes.adc.scan`.
#[pyfunction]
pub fn adc_scan<'py>(
    py: Python<'py>,
    tables: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let threads = n_threads(threads)?;
    let tables = FloatsArray::new(tables, "tables", 2..=3, TABLES)?;
    let codes = CodesSource::new(codes, CODES)?;
    let (values, shape) = (tables.values()?, tables.shape());
    let blocks = codes.view(shape[2])?;
    results::filled(py, out, &[shape[0], codes.n_rows()], |sums| {
        detached(py, threads, |run| adc::scan(tables_of(values, shape)?, blocks, sums, run))
    })
}

/// What [`elements_mut`] is told to expect of the arrays that a call fills.
const FILLED: &str = "a C-contiguous, writable numpy array";

/// Fills `codes`, uint8 `(n, M)`, with the nearest codeword of each part of `x`; and `distances`, float32 `(n, M)`, if it is
/// an array, with the squared distances to them.
#[pyfunction]
pub fn adc_encode(
    py: Python<'_>,
    x: &Bound<'_, PyAny>,
    codebooks: &Bound<'_, PyAny>,
    codes: &Bound<'_, PyAny>,
    distances: Option<&Bound<'_, PyAny>>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let threads = n_threads(threads)?;
    let x = FloatsArray::new(x, "x", 1..=2, "a numpy array (n, d) of numbers")?;
    let codebooks = FloatsArray::new(codebooks, "codebooks", 3..=3, CODEBOOKS)?;
    let mut codes = elements_mut::<u8>(codes, "codes", FILLED)?;
    let mut distances = distances.map(|array| elements_mut::<f32>(array, "distances", FILLED)).transpose()?;
    let codes = codes.as_slice_mut()?;
    let distances = distances.as_mut().map(|array| array.as_slice_mut()).transpose()?;
    let ([n_rows, n_dims], [n_subspaces, n_codewords, n_part]) = (x.shape(), codebooks.shape());
    let (vectors, books) = (x.values()?, codebooks.values()?);
    detached(py, threads, |run| {
        let vectors = Vectors::new("x", vectors, n_rows, n_dims)?;
        let books = Codebooks::new(books, n_subspaces, n_codewords, n_part)?;
        adc::encode(vectors, books, codes, distances, run)
    })
}

/// Fills `sums`, float64 `(M, K, d / M)`, with the sums of the parts of `x` by their codes, and `counts`, int64 `(M, K)`, with
/// their numbers.
#[pyfunction]
pub fn adc_sums(
    py: Python<'_>,
    x: &Bound<'_, PyAny>,
    codes: &Bound<'_, PyAny>,
    sums: &Bound<'_, PyAny>,
    counts: &Bound<'_, PyAny>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let threads = n_threads(threads)?;
    let x = FloatsArray::new(x, "x", 1..=2, "a numpy array (n, d) of numbers")?;
    let codes = CodesArray::described(codes, "codes", CODES)?;
    let ([n_rows, n_dims], vectors, codes) = (x.shape(), x.values()?, codes.view()?);
    let (mut sums, mut counts) =
        (elements_mut::<f64>(sums, "sums", FILLED)?, elements_mut::<i64>(counts, "counts", FILLED)?);
    let (sums, counts) = (sums.as_slice_mut()?, counts.as_slice_mut()?);
    detached(py, threads, |run| {
        adc::add_up(Vectors::new("x", vectors, n_rows, n_dims)?, codes, sums, counts, run)
    })
}

/// Blocks as a file has them: `(blocks, n_rows, n_subspaces, largest code)`.
#[derive(FromPyObject)]
struct BlocksParts<'py>(Bound<'py, PyArray1<u8>>, usize, usize, usize);

/// The state of `fastcodes.adc.PackedCodes`.
#[pyclass(frozen, subclass, module = "fastcodes._native")]
pub struct PackedCodes {
    rows: Versions<adc::PackedCodes>,
}

impl PackedCodes {
    /// The rows of the moment.
    pub fn current(&self, py: Python<'_>) -> Arc<adc::PackedCodes> {
        self.rows.current(py)
    }

    fn change<T: Send>(
        &self,
        py: Python<'_>,
        threads: usize,
        change: impl FnOnce(&mut adc::PackedCodes, &Run<'_>) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        self.rows.change(py, threads, |rows| Ok(adc::PackedCodes::shared(rows)), change)
    }
}

#[pymethods]
impl PackedCodes {
    /// Rows of one byte per subspace; or, instead of `codes`, blocks with their rows, subspaces and largest code. Blocks of a
    /// read-only array are viewed, those of another copied.
    #[new]
    fn new(
        py: Python<'_>,
        codes: &Bound<'_, PyAny>,
        n_codewords: &Bound<'_, PyAny>,
        threads: Option<&Bound<'_, PyAny>>,
        blocks: Option<BlocksParts<'_>>,
    ) -> PyResult<Self> {
        let threads = n_threads(threads)?;
        let wrong = || {
            PyValueError::new_err(format!("n_codewords must be 16 or 256; got {}", described(n_codewords)))
        };
        let number = n_codewords.call_method0("__index__").and_then(|number| number.extract::<usize>());
        let n_codewords = number.ok().filter(|number| [16, 256].contains(number)).ok_or_else(wrong)?;
        let packed = match blocks {
            Some(BlocksParts(blocks, n_rows, n_subspaces, largest)) => {
                let bytes = borrowed_bytes(&blocks)?;
                adc::PackedCodes::from_blocks(bytes, n_rows, n_subspaces, n_codewords, largest)
                    .map_err(to_py_err)?
            }
            None => {
                let codes = CodesArray::described(codes, "codes", CODES)?;
                let codes = codes.view()?;
                detached(py, threads, |run| {
                    let mut packed = adc::PackedCodes::new(codes.n_bytes(), n_codewords)?;
                    packed.append(codes, run)?;
                    Ok(packed)
                })?
            }
        };
        Ok(PackedCodes { rows: Versions::new(packed) })
    }

    /// A read-only view of the blocks, `n_rows` and the largest code, all of the same moment.
    #[pyo3(name = "_blocks")]
    fn blocks<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyArray1<u8>>, usize, u8)> {
        let rows = self.rows.current(py);
        let (n_rows, largest) = (rows.n_rows(), rows.largest());
        Ok((readonly_bytes(py, rows)?, n_rows, largest))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.rows.current(py).n_rows()
    }

    #[getter]
    fn n_subspaces(&self, py: Python<'_>) -> usize {
        self.rows.current(py).n_subspaces()
    }

    #[getter]
    fn n_codewords(&self, py: Python<'_>) -> usize {
        self.rows.current(py).n_codewords()
    }

    #[getter]
    fn nbytes(&self, py: Python<'_>) -> usize {
        self.rows.current(py).as_bytes().len()
    }

    /// See `fastcodes.adc.PackedCodes.append`.
    #[pyo3(signature = (codes, *, threads))]
    fn append(
        &self,
        py: Python<'_>,
        codes: &Bound<'_, PyAny>,
        threads: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let threads = n_threads(threads)?;
        let codes = CodesArray::described(codes, "codes", CODES)?;
        let view = codes.view()?;
        self.change(py, threads, |rows, run| rows.append(view, run))
    }

    /// See `fastcodes.adc.PackedCodes.remove`.
    #[pyo3(signature = (mask, *, threads))]
    fn remove(
        &self,
        py: Python<'_>,
        mask: &Bound<'_, PyAny>,
        threads: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        let threads = n_threads(threads)?;
        let mask = MaskArray::new(Some(mask))?;
        let view = mask.view()?;
        self.change(py, threads, |rows, run| rows.remove(view, run))
    }

    /// See `fastcodes.adc.PackedCodes.unpack`.
    #[pyo3(signature = (start, stop, *, threads))]
    fn unpack<'py>(
        &self,
        py: Python<'py>,
        start: &Bound<'py, PyAny>,
        stop: Option<&Bound<'py, PyAny>>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<u8>>> {
        let threads = n_threads(threads)?;
        let rows = self.rows.current(py);
        let bounds =
            py.get_type::<PySlice>().call1((start, stop))?.call_method1("indices", (rows.n_rows(),))?;
        let (start, stop, _): (usize, usize, usize) = bounds.extract()?;
        let (start, stop) = (start.min(stop), stop);
        results::filled(py, None, &[stop - start, rows.n_subspaces()], |out| {
            detached(py, threads, |run| rows.unpack(start..stop, out, run))
        })
    }

    /// See `fastcodes.adc.PackedCodes.take`.
    #[pyo3(signature = (ids, *, threads))]
    fn take<'py>(
        &self,
        py: Python<'py>,
        ids: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<u8>>> {
        let threads = n_threads(threads)?;
        let wrong = || {
            PyTypeError::new_err(format!(
                "ids must be a numpy integer array (m,) of row ids; got {}",
                described(ids)
            ))
        };
        let ids_array = match MaskArray::new(Some(ids)) {
            Ok(MaskArray::Ids(array)) => array,
            _ => return Err(wrong()),
        };
        let (rows, ids) = (self.rows.current(py), ids_array.as_slice()?);
        results::filled(py, None, &[ids.len(), rows.n_subspaces()], |out| {
            detached(py, threads, |run| rows.take(ids, out, run))
        })
    }
}
