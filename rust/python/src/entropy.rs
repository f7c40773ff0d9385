//! The entropy family. `fastcodes.entropy` has the models, and arranges their frequencies.

use fastcodes_core::entropy::fitting::{self, Modes};
use fastcodes_core::entropy::huffman::{self, Huffman};
use fastcodes_core::entropy::rows::{self, Bernoulli, Blocks, MarkovChain, RowModel};
use fastcodes_core::entropy::scales::{self, Law, ScaleTable};
use fastcodes_core::entropy::symbols::{self, Model};
use fastcodes_core::entropy::{Tables, cells, frequencies};
use numpy::ndarray::{Ix1, Ix2};
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arrays::{CodesArray, ReadArray, count, described, elements_of_axes, empty, to_py_err, writable};
use crate::results::{bytes, filled};
use crate::runtime::{detached, n_threads};

const FREQUENCIES: &str = "a numpy uint32 array (n_tables, n_symbols)";
const DATA: &str = "a numpy uint8 array (n_bytes,)";

const WHICH: &str = "a numpy uint8 array (n, n_columns)";

/// Cells, and the bytes that the message of each takes.
type CellArrays<'py> = (Bound<'py, PyArray2<u8>>, Bound<'py, PyArray1<i64>>);

/// Symbols, and whether each row was read to its end.
type ReadCells<'py> = (Bound<'py, PyArray2<u8>>, Bound<'py, PyArray1<bool>>);

/// Symbols, and the lambda of each row.
type QuantizedRows<'py> = (Bound<'py, PyArray2<u8>>, Bound<'py, PyArray1<f32>>);

/// Bytes, and the offsets of blocks.
type BlockArrays<'py> = (Bound<'py, PyArray1<u8>>, Bound<'py, PyArray1<i64>>);

/// An array of two axes.
fn table_array<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<ReadArray<'py, u32>> {
    elements_of_axes(value, name, FREQUENCIES, 2)
}

fn axis<'py, T: numpy::Element>(
    value: &Bound<'py, PyAny>,
    name: &str,
    expected: &str,
) -> PyResult<ReadArray<'py, T>> {
    elements_of_axes(value, name, expected, 1)
}

/// Frequencies uint32 `(n_tables, n_symbols)` that add up to 65536, each at least 1, of counts uint64.
#[pyfunction]
pub fn entropy_frequencies<'py>(
    py: Python<'py>,
    counts: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<u32>>> {
    let threads = n_threads(threads)?;
    let counts = elements_of_axes::<u64>(counts, "counts", "a numpy uint64 array (n_tables, n_symbols)", 2)?;
    let shape = [counts.shape()[0], counts.shape()[1]];
    let values = counts.as_slice()?;
    filled::<u32, Ix2>(py, None, &shape, |out| {
        detached(py, threads, |run| frequencies::of_tables(values, shape[1], out, run))
    })
}

/// Tables of frequencies, arranged for coding.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct EntropyTables(Tables);

#[pymethods]
impl EntropyTables {
    /// From `frequencies`, uint32 `(n_tables, n_symbols)`.
    #[new]
    fn new(py: Python<'_>, frequencies: &Bound<'_, PyAny>) -> PyResult<Self> {
        let frequencies = table_array(frequencies, "frequencies")?;
        let (values, n_symbols) = (frequencies.as_slice()?, frequencies.shape()[1]);
        detached(py, 1, |_| Tables::new(values, n_symbols)).map(EntropyTables)
    }
}

/// The frequencies of a law at 64 scales.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct EntropyScales(ScaleTable);

#[pymethods]
impl EntropyScales {
    /// Of the law "laplace", "gaussian" or "logistic".
    #[new]
    fn new(py: Python<'_>, law: &Bound<'_, PyAny>) -> PyResult<Self> {
        let law = match law.extract::<&str>() {
            Ok("laplace") => Law::Laplace,
            Ok("gaussian") => Law::Gaussian,
            Ok("logistic") => Law::Logistic,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "law must be \"laplace\", \"gaussian\" or \"logistic\"; got {}",
                    described(law)
                )));
            }
        };
        detached(py, 1, |_| ScaleTable::new(law)).map(EntropyScales)
    }

    /// The scales, float64 `(64,)`.
    #[getter]
    fn scales<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.0.scales().to_vec().into_pyarray(py)
    }

    /// The code length of each value, in bits.
    fn bits<'py>(
        &self,
        py: Python<'py>,
        values: &Bound<'py, PyAny>,
        scales: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let values = axis::<i32>(values, "symbols", "a numpy int32 array (n,)")?;
        let numbers = axis::<u8>(scales, "scales", "a numpy uint8 array (n,)")?;
        let (values, numbers) = (values.as_slice()?, numbers.as_slice()?);
        filled::<f64, Ix1>(py, None, &[values.len()], |out| {
            detached(py, 1, |_| scales::bits(values, numbers, &self.0, out))
        })
    }
}

/// A canonical Huffman code.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct EntropyHuffman(Huffman);

#[pymethods]
impl EntropyHuffman {
    /// From `lengths`, uint8 `(n_symbols,)`.
    #[new]
    fn new(py: Python<'_>, lengths: &Bound<'_, PyAny>) -> PyResult<Self> {
        let lengths = axis::<u8>(lengths, "lengths", "a numpy uint8 array (n_symbols,)")?;
        let lengths = lengths.as_slice()?;
        detached(py, 1, |_| Huffman::new(lengths)).map(EntropyHuffman)
    }

    /// The codewords, uint32 `(n_symbols,)`.
    #[getter]
    fn codewords<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u32>> {
        self.0.codewords().to_vec().into_pyarray(py)
    }
}

/// The lengths uint8 `(n_symbols,)` of Huffman codewords for counts uint64.
#[pyfunction]
pub fn entropy_huffman_lengths<'py>(
    py: Python<'py>,
    counts: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<u8>>> {
    let counts = axis::<u64>(counts, "counts", "a numpy uint64 array (n_symbols,)")?;
    let counts = counts.as_slice()?;
    Ok(detached(py, 1, |_| huffman::lengths(counts))?.into_pyarray(py))
}

/// A model of rows of codes.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct EntropyRows(Rows);

enum Rows {
    Chain(MarkovChain),
    Bits(Bernoulli),
}

/// Calls a function with the model of rows.
macro_rules! with_model {
    ($rows:expr, $model:ident => $call:expr) => {
        match &$rows.0 {
            Rows::Chain($model) => $call,
            Rows::Bits($model) => $call,
        }
    };
}

#[pymethods]
impl EntropyRows {
    /// A Markov chain from `frequencies`, uint32 `(n_tables, n_symbols)`.
    #[staticmethod]
    fn chain(
        py: Python<'_>,
        frequencies: &Bound<'_, PyAny>,
        n_columns: &Bound<'_, PyAny>,
        has_previous: bool,
    ) -> PyResult<Self> {
        let n_columns = count(n_columns, "n_columns", 0)?;
        let frequencies = table_array(frequencies, "frequencies")?;
        let (values, n_symbols) = (frequencies.as_slice()?, frequencies.shape()[1]);
        let chain = detached(py, 1, |_| MarkovChain::new(values, n_columns, n_symbols, has_previous))?;
        Ok(EntropyRows(Rows::Chain(chain)))
    }

    /// Packed bits from `ones`, uint32 `(n_bits,)`: of 65536, how probable a one is in each column.
    #[staticmethod]
    fn bernoulli(ones: &Bound<'_, PyAny>) -> PyResult<Self> {
        let ones = axis::<u32>(ones, "ones", "a numpy uint32 array (n_bits,)")?;
        Ok(EntropyRows(Rows::Bits(Bernoulli::new(ones.as_slice()?).map_err(to_py_err)?)))
    }

    /// Bytes of a row.
    #[getter]
    fn n_bytes(&self) -> usize {
        with_model!(self, model => model.n_bytes())
    }
}

/// See `fastcodes.entropy.encode`: symbols uint8 of one table.
#[pyfunction]
pub fn entropy_encode<'py>(
    py: Python<'py>,
    symbols: &Bound<'py, PyAny>,
    tables: &EntropyTables,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let threads = n_threads(threads)?;
    let symbols = axis::<u8>(symbols, "symbols", "a numpy uint8 array (n,)")?;
    let symbols = symbols.as_slice()?;
    let data = detached(py, threads, |run| symbols::encode(symbols, Model::new(&tables.0), run))?;
    bytes(py, &data)
}

/// See `fastcodes.entropy.decode`.
#[pyfunction]
pub fn entropy_decode<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    tables: &EntropyTables,
    n: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<u8>>> {
    let (threads, n) = (n_threads(threads)?, count(n, "n", 0)?);
    let data = axis::<u8>(data, "data", DATA)?;
    let data = data.as_slice()?;
    symbols::check_n_symbols(n, &tables.0, data.len()).map_err(to_py_err)?;
    filled::<u8, Ix1>(py, None, &[n], |out| {
        detached(py, threads, |run| symbols::decode(data, Model::new(&tables.0), out, run))
    })
}

/// Symbols uint16 by the table `high` and the tables `low`.
#[pyfunction]
pub fn entropy_encode_wide<'py>(
    py: Python<'py>,
    symbols: &Bound<'py, PyAny>,
    high: &EntropyTables,
    low: &EntropyTables,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let threads = n_threads(threads)?;
    let symbols = axis::<u16>(symbols, "symbols", "a numpy uint16 array (n,)")?;
    let symbols = symbols.as_slice()?;
    let data = detached(py, threads, |run| symbols::encode_wide(symbols, &high.0, &low.0, run))?;
    bytes(py, &data)
}

/// What `entropy_encode_wide` encoded.
#[pyfunction]
pub fn entropy_decode_wide<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    high: &EntropyTables,
    low: &EntropyTables,
    n: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<u16>>> {
    let (threads, n) = (n_threads(threads)?, count(n, "n", 0)?);
    let data = axis::<u8>(data, "data", DATA)?;
    let data = data.as_slice()?;
    symbols::check_n_wide(n, &high.0, &low.0, data.len()).map_err(to_py_err)?;
    filled::<u16, Ix1>(py, None, &[n], |out| {
        detached(py, threads, |run| symbols::decode_wide(data, &high.0, &low.0, out, run))
    })
}

/// Integers int32, each with the number of its scale, uint8.
#[pyfunction]
pub fn entropy_encode_scaled<'py>(
    py: Python<'py>,
    symbols: &Bound<'py, PyAny>,
    scales: &Bound<'py, PyAny>,
    table: &EntropyScales,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let threads = n_threads(threads)?;
    let symbols = axis::<i32>(symbols, "symbols", "a numpy int32 array (n,)")?;
    let numbers = axis::<u8>(scales, "scales", "a numpy uint8 array (n,)")?;
    let (symbols, numbers) = (symbols.as_slice()?, numbers.as_slice()?);
    let data = detached(py, threads, |run| scales::encode(symbols, numbers, &table.0, run))?;
    bytes(py, &data)
}

/// What `entropy_encode_scaled` encoded: as many integers as scales.
#[pyfunction]
pub fn entropy_decode_scaled<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    scales: &Bound<'py, PyAny>,
    table: &EntropyScales,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let threads = n_threads(threads)?;
    let data = axis::<u8>(data, "data", DATA)?;
    let numbers = axis::<u8>(scales, "scales", "a numpy uint8 array (n,)")?;
    let (data, numbers) = (data.as_slice()?, numbers.as_slice()?);
    scales::check_n_values(numbers.len(), &table.0, data.len()).map_err(to_py_err)?;
    filled::<i32, Ix1>(py, None, &[numbers.len()], |out| {
        detached(py, threads, |run| scales::decode(data, numbers, &table.0, out, run))
    })
}

/// Symbols uint16 by a Huffman code.
#[pyfunction]
pub fn entropy_huffman_encode<'py>(
    py: Python<'py>,
    symbols: &Bound<'py, PyAny>,
    code: &EntropyHuffman,
) -> PyResult<Bound<'py, PyBytes>> {
    let symbols = axis::<u16>(symbols, "symbols", "a numpy uint16 array (n,)")?;
    let symbols = symbols.as_slice()?;
    bytes(py, &detached(py, 1, |run| code.0.encode(symbols, run))?)
}

/// What `entropy_huffman_encode` encoded.
#[pyfunction]
pub fn entropy_huffman_decode<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    code: &EntropyHuffman,
    n: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<u16>>> {
    let n = count(n, "n", 0)?;
    let data = axis::<u8>(data, "data", DATA)?;
    let data = data.as_slice()?;
    code.0.check_n(n, data.len()).map_err(to_py_err)?;
    filled::<u16, Ix1>(py, None, &[n], |out| detached(py, 1, |run| code.0.decode(data, out, run)))
}

/// Bytes and the offsets of blocks, int64 `(n_blocks + 1,)`, of the rows of codes.
#[pyfunction]
pub fn entropy_encode_rows<'py>(
    py: Python<'py>,
    codes: &Bound<'py, PyAny>,
    model: &EntropyRows,
    rows_per_block: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<BlockArrays<'py>> {
    let (threads, rows_per_block) = (n_threads(threads)?, count(rows_per_block, "rows_per_block", 1)?);
    let codes = CodesArray::described(codes, "codes", "a numpy uint8 array (n, n_bytes)")?;
    let view = codes.view()?;
    let (data, offsets) = detached(
        py,
        threads,
        |run| with_model!(model, model => rows::encode(view, model, rows_per_block, run)),
    )?;
    Ok((data.into_pyarray(py), offsets.into_pyarray(py)))
}

/// The first `counts[i]` of the `lens[i]` rows of the blocks `data[starts[i]:stops[i]]`, all int64.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub fn entropy_decode_rows<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    starts: &Bound<'py, PyAny>,
    stops: &Bound<'py, PyAny>,
    lens: &Bound<'py, PyAny>,
    counts: &Bound<'py, PyAny>,
    model: &EntropyRows,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let threads = n_threads(threads)?;
    let data = axis::<u8>(data, "data", DATA)?;
    let numbers = |value, name| axis::<i64>(value, name, "a numpy int64 array (n_blocks,)");
    let (starts, stops) = (numbers(starts, "starts")?, numbers(stops, "stops")?);
    let (lens, counts) = (numbers(lens, "lens")?, numbers(counts, "counts")?);
    let blocks = Blocks {
        data: data.as_slice()?,
        starts: starts.as_slice()?,
        stops: stops.as_slice()?,
        lens: lens.as_slice()?,
        counts: counts.as_slice()?,
    };
    let n_wanted = with_model!(model, model => blocks.n_wanted(model));
    let shape = [n_wanted.map_err(to_py_err)?, model.n_bytes()];
    filled::<u8, Ix2>(py, None, &shape, |out| {
        detached(py, threads, |run| with_model!(model, model => rows::decode(blocks, model, out, run)))
    })
}

/// Cells uint8 `(n, n_bytes)` of symbols, each by the table whose number is in `which`, and the bytes that each message takes.
#[pyfunction]
pub fn entropy_encode_cells<'py>(
    py: Python<'py>,
    symbols: &Bound<'py, PyAny>,
    which: &Bound<'py, PyAny>,
    tables: &EntropyTables,
    n_bytes: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<CellArrays<'py>> {
    let (threads, n_bytes) = (n_threads(threads)?, count(n_bytes, "n_bytes", 1)?);
    let symbols = elements_of_axes::<u8>(symbols, "symbols", WHICH, 2)?;
    let which = elements_of_axes::<u8>(which, "which", WHICH, 2)?;
    let (n, n_columns) = (symbols.shape()[0], symbols.shape()[1]);
    let (symbols, which) = (symbols.as_slice()?, which.as_slice()?);
    let lens = empty::<i64, Ix1>(py, &[n])?;
    let cells = filled::<u8, Ix2>(py, None, &[n, n_bytes], |out| {
        let mut lens = writable(&lens)?;
        let lens = lens.as_slice_mut()?;
        detached(py, threads, |run| {
            cells::encode(symbols, which, n_columns, &tables.0, n_bytes, out, lens, run)
        })
    })?;
    Ok((cells, lens))
}

/// The first symbols of cells, one for each column of `which`, and whether the message of a cell ends there.
#[pyfunction]
pub fn entropy_decode_cells<'py>(
    py: Python<'py>,
    codes: &Bound<'py, PyAny>,
    which: &Bound<'py, PyAny>,
    tables: &EntropyTables,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<ReadCells<'py>> {
    let threads = n_threads(threads)?;
    let codes = elements_of_axes::<u8>(codes, "codes", "a numpy uint8 array (n, n_bytes)", 2)?;
    let which = elements_of_axes::<u8>(which, "which", WHICH, 2)?;
    let (n, n_bytes, n_columns) = (codes.shape()[0], codes.shape()[1], which.shape()[1]);
    let (codes, which) = (codes.as_slice()?, which.as_slice()?);
    let is_whole = empty::<bool, Ix1>(py, &[n])?;
    let symbols = filled::<u8, Ix2>(py, None, &[n, n_columns], |out| {
        let mut is_whole = writable(&is_whole)?;
        let is_whole = is_whole.as_slice_mut()?;
        detached(py, threads, |run| {
            cells::decode(codes, n_bytes, which, n_columns, &tables.0, out, is_whole, run)
        })
    })?;
    Ok((symbols, is_whole))
}

/// Symbols `(n, 1 + n_columns)` of real numbers whose code takes at most `n_bytes` bytes: the mode of each row, and its numbers.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub fn entropy_quantize<'py>(
    py: Python<'py>,
    values: &Bound<'py, PyAny>,
    steps: &Bound<'py, PyAny>,
    which: &Bound<'py, PyAny>,
    centers: &Bound<'py, PyAny>,
    tables: &EntropyTables,
    n_bytes: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<QuantizedRows<'py>> {
    let (threads, n_bytes) = (n_threads(threads)?, count(n_bytes, "n_bytes", 1)?);
    let values = elements_of_axes::<f32>(values, "values", "a numpy float32 array (n, n_columns)", 2)?;
    let steps = elements_of_axes::<f32>(steps, "steps", "a numpy float32 array (n_modes, n_columns)", 2)?;
    let which = elements_of_axes::<u8>(which, "which", "a numpy uint8 array (n_modes, 1 + n_columns)", 2)?;
    let centers = elements_of_axes::<f32>(centers, "centers", "a numpy float32 array (n_tables, 256)", 2)?;
    let (n, n_columns) = (values.shape()[0], values.shape()[1]);
    let values = values.as_slice()?;
    let (steps, which, centers) = (steps.as_slice()?, which.as_slice()?, centers.as_slice()?);
    let lambdas = empty::<f32, Ix1>(py, &[n])?;
    let symbols = filled::<u8, Ix2>(py, None, &[n, 1 + n_columns], |out| {
        let mut lambdas = writable(&lambdas)?;
        let lambdas = lambdas.as_slice_mut()?;
        detached(py, threads, |run| {
            let modes = Modes::new(&tables.0, which, steps, n_columns, centers)?;
            fitting::quantize(values, &modes, n_bytes, out, lambdas, run)
        })
    })?;
    Ok((symbols, lambdas))
}
