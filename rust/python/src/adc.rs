//! The adc family. `fastcodes.adc` brings vectors to float32 and holds packed codes.

use fastcodes_core::adc::{self, Blocks, Codebooks, Metric, Tables, Vectors};
use numpy::{
    Element, IntoPyArray, PyArray2, PyArray3, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn,
    PyReadwriteArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{
    CodesArray, FloatsArray, MaskArray, array_out, count, described, empty, real, results_shape, shared,
    to_py_err, typed, writable,
};
use crate::results::{CsrArrays, NeighborArrays};
use crate::runtime::run;

const TABLES: &str = "a numpy float32 array (nq, M, K), as fastcodes.adc.tables makes it";
const CODES: &str =
    "a numpy uint8 array (n, M), one byte a subspace, as fastcodes.adc.encode makes it, or a PackedCodes";
const CODEBOOKS: &str = "a numpy float32 array (M, K, d / M)";

fn tables_of<'a>(array: &'a FloatsArray<'_>) -> PyResult<Tables<'a>> {
    let [n_queries, n_subspaces, n_codewords] = array.shape();
    Tables::new(array.values()?, n_queries, n_subspaces, n_codewords).map_err(to_py_err)
}

fn codebooks_of<'a>(array: &'a FloatsArray<'_>) -> PyResult<Codebooks<'a>> {
    let [n_subspaces, n_codewords, n_dims] = array.shape();
    Codebooks::new(array.values()?, n_subspaces, n_codewords, n_dims).map_err(to_py_err)
}

fn vectors_of<'a>(name: &'static str, array: &'a FloatsArray<'_>) -> PyResult<Vectors<'a>> {
    let [n_rows, n_dims] = array.shape();
    Vectors::new(name, array.values()?, n_rows, n_dims).map_err(to_py_err)
}

/// Codes as an array, or packed.
enum CodesSource<'py> {
    Rows(CodesArray<'py>),
    Packed(Packed<'py>),
}

/// Packed codes as `fastcodes.adc.PackedCodes` holds them: `(blocks, n_rows, n_subspaces, n_codewords, largest code)`.
#[derive(FromPyObject)]
pub struct PackedParts<'py>(Bound<'py, PyAny>, usize, usize, usize, usize);

struct Packed<'py> {
    bytes: PyReadonlyArrayDyn<'py, u8>,
    n_rows: usize,
    n_subspaces: usize,
    n_codewords: usize,
    largest: usize,
}

impl<'py> Packed<'py> {
    fn new(parts: PackedParts<'py>) -> PyResult<Self> {
        let PackedParts(bytes, n_rows, n_subspaces, n_codewords, largest) = parts;
        let bytes = typed::<u8>(&bytes, "blocks", "a numpy uint8 array")?;
        let bytes = bytes.try_readonly().map_err(|_| shared("codes"))?;
        Ok(Packed { bytes, n_rows, n_subspaces, n_codewords, largest })
    }

    fn view(&self) -> PyResult<Blocks<'_>> {
        Blocks::from_packed(self.bytes.as_slice()?, self.n_rows, self.n_subspaces, self.n_codewords)
            .map_err(to_py_err)
    }
}

impl<'py> CodesSource<'py> {
    fn new(codes: &Bound<'py, PyAny>, packed: Option<PackedParts<'py>>) -> PyResult<Self> {
        match packed {
            Some(parts) => Ok(CodesSource::Packed(Packed::new(parts)?)),
            None => Ok(CodesSource::Rows(CodesArray::described(codes, "codes", CODES)?)),
        }
    }

    fn n_rows(&self) -> usize {
        match self {
            CodesSource::Rows(codes) => codes.n_rows(),
            CodesSource::Packed(packed) => packed.n_rows,
        }
    }

    /// The codes as the core takes them, to be searched with tables of some codewords.
    fn view(&self, tables: &Tables<'_>) -> PyResult<Blocks<'_>> {
        let n_codewords = tables.n_codewords();
        match self {
            CodesSource::Rows(codes) => Ok(Blocks::from_rows(codes.view()?, n_codewords)),
            CodesSource::Packed(packed) if n_codewords > packed.n_codewords => {
                Err(PyValueError::new_err(format!(
                    "tables have {n_codewords} codewords but codes were packed with n_codewords={}",
                    packed.n_codewords
                )))
            }
            CodesSource::Packed(packed) if packed.largest >= n_codewords => {
                Err(PyValueError::new_err(format!(
                    "codes have {}, but tables have {n_codewords} codewords; expected codes from 0 to {}",
                    packed.largest,
                    n_codewords - 1
                )))
            }
            CodesSource::Packed(packed) => packed.view(),
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
    let queries = FloatsArray::new(queries, "queries", 1..=2, "a numpy array (nq, d) of numbers")?;
    let codebooks = FloatsArray::new(codebooks, "codebooks", 3..=3, CODEBOOKS)?;
    let metric = match metric.extract::<&str>() {
        Ok("l2") => Metric::L2,
        Ok("ip") => Metric::Ip,
        _ => {
            return Err(PyValueError::new_err(format!(
                "metric must be \"l2\" or \"ip\"; got {}",
                described(metric)
            )));
        }
    };
    let (vectors, books) = (vectors_of("queries", &queries)?, codebooks_of(&codebooks)?);
    let [n_queries, _] = queries.shape();
    let [n_subspaces, n_codewords, _] = codebooks.shape();
    let out = empty(py, &[n_queries, n_subspaces, n_codewords])?;
    {
        let mut tables: numpy::PyReadwriteArray3<'_, f32> = out.try_readwrite()?;
        let tables = tables.as_slice_mut()?;
        run(py, threads, |level, parallel| adc::tables(level, vectors, books, metric, parallel, tables))?;
    }
    Ok(out)
}

/// See `fastcodes.adc.knn`.
#[pyfunction]
pub fn adc_knn<'py>(
    py: Python<'py>,
    tables: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    packed: Option<PackedParts<'py>>,
    k: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<NeighborArrays<'py, f32>> {
    let tables = FloatsArray::new(tables, "tables", 2..=3, TABLES)?;
    let codes = CodesSource::new(codes, packed)?;
    let (mask, k) = (MaskArray::new(mask)?, count(k, "k", 0)?);
    let tables = tables_of(&tables)?;
    let (blocks, mask) = (codes.view(&tables)?, mask.view()?);
    let shape = results_shape(tables.n_queries(), k)?;
    let (distances, indices): (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray2<i64>>) =
        (empty(py, &shape)?, empty(py, &shape)?);
    {
        let (mut distances, mut indices) = (distances.try_readwrite()?, indices.try_readwrite()?);
        let (distances, indices) = (distances.as_slice_mut()?, indices.as_slice_mut()?);
        run(py, threads, |level, parallel| {
            adc::knn(level, tables, blocks, k, mask, parallel, distances, indices)
        })?;
    }
    Ok((distances, indices))
}

/// See `fastcodes.adc.radius`.
#[pyfunction]
pub fn adc_radius<'py>(
    py: Python<'py>,
    tables: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    packed: Option<PackedParts<'py>>,
    radius: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<CsrArrays<'py, f32>> {
    let tables = FloatsArray::new(tables, "tables", 2..=3, TABLES)?;
    let codes = CodesSource::new(codes, packed)?;
    let mask = MaskArray::new(mask)?;
    let radius = real(radius, "radius", None)?;
    let tables = tables_of(&tables)?;
    let (blocks, mask) = (codes.view(&tables)?, mask.view()?);
    let found =
        run(py, threads, |level, parallel| adc::radius(level, tables, blocks, radius, mask, parallel))?;
    Ok((found.offsets.into_pyarray(py), found.distances.into_pyarray(py), found.indices.into_pyarray(py)))
}

/// See `fastcodes.adc.scan`.
#[pyfunction]
pub fn adc_scan<'py>(
    py: Python<'py>,
    tables: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    packed: Option<PackedParts<'py>>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let tables = FloatsArray::new(tables, "tables", 2..=3, TABLES)?;
    let codes = CodesSource::new(codes, packed)?;
    let tables = tables_of(&tables)?;
    let blocks = codes.view(&tables)?;
    let out = array_out(py, out, &[tables.n_queries(), codes.n_rows()])?;
    {
        let mut sums = writable(&out)?;
        let sums = sums.as_slice_mut()?;
        run(py, threads, |level, parallel| adc::scan(level, tables, blocks, parallel, sums))?;
    }
    Ok(out)
}

/// The elements of a C-contiguous, writable array that no other argument shares.
fn filled<'py, T: Element>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadwriteArrayDyn<'py, T>> {
    let array = typed::<T>(value, name, "a C-contiguous, writable numpy array")?;
    array.try_readwrite().map_err(|_| shared(name))
}

/// Fills `codes`, uint8 `(n, M)`, with the nearest codeword of each part of `x`; and `errors`, float32 `(n, M)`, if it is an
/// array, with the squared distances to them.
#[pyfunction]
pub fn adc_encode(
    py: Python<'_>,
    x: &Bound<'_, PyAny>,
    codebooks: &Bound<'_, PyAny>,
    codes: &Bound<'_, PyAny>,
    errors: Option<&Bound<'_, PyAny>>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let x = FloatsArray::new(x, "x", 1..=2, "a numpy array (n, d) of numbers")?;
    let codebooks = FloatsArray::new(codebooks, "codebooks", 3..=3, CODEBOOKS)?;
    let (vectors, books) = (vectors_of("x", &x)?, codebooks_of(&codebooks)?);
    let mut codes = filled::<u8>(codes, "codes")?;
    let mut errors = errors.map(|errors| filled::<f32>(errors, "errors")).transpose()?;
    let codes = codes.as_slice_mut()?;
    let errors = errors.as_mut().map(|errors| errors.as_slice_mut()).transpose()?;
    run(py, threads, |level, parallel| adc::encode(level, vectors, books, parallel, codes, errors))
}

/// Fills `sums`, float64 `(M, K, d / M)`, with the sums of the parts of `x` that have each codeword as their code, and
/// `counts`, int64 `(M, K)`, with their number.
#[pyfunction]
pub fn adc_sums(
    py: Python<'_>,
    x: &Bound<'_, PyAny>,
    codes: &Bound<'_, PyAny>,
    sums: &Bound<'_, PyAny>,
    counts: &Bound<'_, PyAny>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let x = FloatsArray::new(x, "x", 1..=2, "a numpy array (n, d) of numbers")?;
    let codes = CodesArray::described(codes, "codes", CODES)?;
    let (vectors, codes) = (vectors_of("x", &x)?, codes.view()?);
    let (mut sums, mut counts) = (filled::<f64>(sums, "sums")?, filled::<i64>(counts, "counts")?);
    let (sums, counts) = (sums.as_slice_mut()?, counts.as_slice_mut()?);
    run(py, threads, |_, parallel| adc::add_up(vectors, codes, parallel, sums, counts))
}

/// Writes `codes`, uint8 `(n, M)`, as rows `first_row..` into `blocks`, which hold the rows before already; returns the largest
/// code.
#[pyfunction]
pub fn adc_pack(
    py: Python<'_>,
    codes: &Bound<'_, PyAny>,
    n_codewords: &Bound<'_, PyAny>,
    first_row: &Bound<'_, PyAny>,
    blocks: &Bound<'_, PyArrayDyn<u8>>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<u8> {
    let codes = CodesArray::described(codes, "codes", CODES)?;
    let (n_codewords, first_row) = (count(n_codewords, "n_codewords", 1)?, count(first_row, "first_row", 0)?);
    let codes = codes.view()?;
    let mut blocks = blocks.try_readwrite().map_err(|_| shared("blocks"))?;
    let blocks = blocks.as_slice_mut()?;
    run(py, threads, |level, parallel| adc::pack(level, codes, n_codewords, first_row, blocks, parallel))
}

/// Fills `out`, uint8 `(n, M)`, with rows `first_row..` of packed codes.
#[pyfunction]
pub fn adc_unpack(
    py: Python<'_>,
    packed: PackedParts<'_>,
    first_row: &Bound<'_, PyAny>,
    out: &Bound<'_, PyArrayDyn<u8>>,
    threads: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let first_row = count(first_row, "first_row", 0)?;
    let packed = Packed::new(packed)?;
    let blocks = packed.view()?;
    if out.ndim() != 2
        || out.shape()[1] != packed.n_subspaces
        || first_row.saturating_add(out.shape()[0]) > packed.n_rows
    {
        return Err(PyValueError::new_err("out must have one row for each row that there is"));
    }
    let mut out = out.try_readwrite().map_err(|_| shared("out"))?;
    let out = out.as_slice_mut()?;
    run(py, threads, |_, parallel| adc::unpack(&blocks, first_row, out, parallel))
}
