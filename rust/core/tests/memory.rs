//! A call whose memory ends returns an error, whichever allocation fails: none that can grow with the arguments aborts.
#![allow(missing_docs)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use common::Random;
use fastcodes_core::adc::{self, Blocks, Codebooks, PackedCodes, TableMetric, Tables, Vectors};
use fastcodes_core::additive::{self, Constraint, Search};
use fastcodes_core::asymmetric::{self, RealQueries};
use fastcodes_core::bits::{self, Along, BitOrder, Rows, Thresholds};
use fastcodes_core::block_motion::{self, Block, Image, Method, Planes, Window};
use fastcodes_core::entropy::huffman::{self, Huffman};
use fastcodes_core::entropy::rows::{self, Bernoulli, Blocks as RowBlocks, MarkovChain};
use fastcodes_core::entropy::scales::{self, Law, ScaleTable};
use fastcodes_core::entropy::symbols::{self, Model};
use fastcodes_core::entropy::{self, frequencies};
use fastcodes_core::hadamard::orthogonal::{self, Orthogonal};
use fastcodes_core::image::{self, Coding, Kind, SamplesOf, Step, Tune};
use fastcodes_core::jaccard::{self, SortedRows, Tversky};
use fastcodes_core::lists;
use fastcodes_core::lists::multi_index;
use fastcodes_core::minhash::{self, Bands, Hasher, Scheme, Sets, Shingles, Slots, Unit};
use fastcodes_core::rabitq::{self, Database, Grid, Metric, Queries, Weights};
use fastcodes_core::rerank::{self, Candidates, FloatRows};
use fastcodes_core::text::{TextModel, Texts};
use fastcodes_core::video::{Coder, Job, Reach, Shape};
use fastcodes_core::xnor::{
    self, ByteValues, Conv, Filters, Images, Matrix, Operand, Output, Padding, Values,
};
use fastcodes_core::{Codes, Error, Level, Mask, Neighbors, Probes, Run, components, hadamard, hamming};

/// Smaller allocations always succeed: most of them do not grow with the arguments.
const LARGE: usize = 1024;

/// Allocations that fail at either end of a call, and at least as many between them, if there are so many.
const SAMPLES: isize = 8;

/// The large allocations that still succeed; negative once one has failed.
static LEFT: AtomicIsize = AtomicIsize::new(isize::MAX);

/// The allocator of the system, but large allocations fail once [`LEFT`] is used up.
struct Limited;

impl Limited {
    fn fails(size: usize) -> bool {
        size >= LARGE
            && LEFT.load(Ordering::Relaxed) < isize::MAX
            && LEFT.fetch_sub(1, Ordering::Relaxed) <= 0
    }
}

// SAFETY: every method is that of `System`, or returns null, which means that there is no memory. The others are made of these.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Limited::fails(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of the same method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if Limited::fails(new_size) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, new_size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// Two lists of half of the rows for each query, which stand in their order.
fn lists_of(n_queries: usize, n_rows: usize) -> (Vec<i64>, Vec<i64>, Vec<u32>) {
    let (half, n_rows) = (n_rows as i64 / 2, n_rows as i64);
    let (starts, stops) = ([0, half].repeat(n_queries), [half, n_rows].repeat(n_queries));
    (starts, stops, (0..n_rows as u32).collect())
}

/// Makes a call again and again, each time with memory that ends at another large allocation: at the first ones, the last ones, and
/// some between them.
fn check(name: &str, call: impl Fn(&Run<'_>) -> Result<(), Error>) {
    for level in Level::available() {
        let run = &Run::serial(level);
        const PLENTY: isize = isize::MAX - 1;
        LEFT.store(PLENTY, Ordering::Relaxed);
        call(run).unwrap();
        let n_allocations = PLENTY - LEFT.swap(isize::MAX, Ordering::Relaxed);
        assert!(n_allocations > 0, "{name} makes no large allocation");
        // Odd, since allocations often take turns.
        let step = (n_allocations / SAMPLES) | 1;
        let near_an_end = |failing| failing < SAMPLES || n_allocations - failing <= SAMPLES;
        for failing in (0..n_allocations).filter(|index| near_an_end(*index) || index % step == 0) {
            // Should the process abort, this is the last line (with `--nocapture`).
            println!("{name}, {level:?}: large allocation {failing} of {n_allocations} fails");
            LEFT.store(failing, Ordering::Relaxed);
            let result = call(run);
            LEFT.store(isize::MAX, Ordering::Relaxed);
            assert_eq!(result, Err(Error::OutOfMemory));
        }
    }
}

/// What the caller of a call allocates, none of which fails.
fn of_caller<T>(allocate: impl FnOnce() -> T) -> T {
    let left = LEFT.swap(isize::MAX, Ordering::Relaxed);
    let allocated = allocate();
    LEFT.store(left, Ordering::Relaxed);
    allocated
}

fn with_room<T: Clone + Default>(
    len: usize,
    call: impl FnOnce(&mut [T]) -> Result<(), Error>,
) -> Result<(), Error> {
    call(&mut of_caller(|| vec![T::default(); len]))
}

fn with_found<D: Copy + Default>(
    n_queries: usize,
    k: usize,
    call: impl FnOnce(Neighbors<'_, D>) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut distances, mut indices) =
        of_caller(|| (vec![D::default(); n_queries * k], vec![0; n_queries * k]));
    call(Neighbors::new(&mut distances, &mut indices, k))
}

fn nothing<T>(_: T) {}

#[test]
fn where_memory_ends_every_call_is_an_error() {
    let mut random = Random::new(1);
    searches(&mut random);
    tables(&mut random);
    estimates(&mut random);
    products(&mut random);
    sets(&mut random);
    strings(&mut random);
    numbers(&mut random);
    messages(&mut random);
    pictures(&mut random);
    motion(&mut random);
    frames(&mut random);
}

fn searches(random: &mut Random) {
    const N: usize = 3000;
    let bytes = random.bytes(N * 700);
    let codes = Codes::new(&bytes, N, 40).unwrap();
    let booleans: Vec<u8> = random.bytes(N).iter().map(|byte| byte & 1).collect();
    let ids: Vec<i64> = (0..2000).map(|_| random.below(N) as i64).collect();
    let masks = [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&ids)];
    for (n_queries, k) in [(1, 400), (130, 1), (130, 70)] {
        let queries = codes.slice(0, n_queries);
        for mask in masks {
            check("hamming::knn", |run| {
                with_found(n_queries, k, |out| hamming::knn(queries, codes, mask, out, run))
            });
            check("jaccard::knn", |run| {
                with_found(n_queries, k, |out| {
                    jaccard::knn(queries, codes, None, Tversky::JACCARD, mask, out, run)
                })
            });
            check("hamming::radius", |run| hamming::radius(queries, codes, 150, mask, run).map(nothing));
            check("jaccard::radius", |run| {
                jaccard::radius(queries, codes, 0.6, None, Tversky::JACCARD, mask, run).map(nothing)
            });
        }
    }
    // Too many bytes for one task.
    let wide = Codes::new(&bytes, N, 700).unwrap();
    let queries = wide.slice(0, 5);
    check("hamming::knn", |run| with_found(5, 70, |out| hamming::knn(queries, wide, Mask::All, out, run)));
    check("jaccard::knn", |run| {
        with_found(5, 70, |out| jaccard::knn(queries, wide, None, Tversky::JACCARD, Mask::All, out, run))
    });
    let all = Codes::new(&bytes, 14 * N, 50).unwrap();
    check("jaccard::SortedRows::new", |run| SortedRows::new(all, run).map(nothing));
    let sorted = &SortedRows::new(all, &Run::serial(Level::PORTABLE)).unwrap();
    for queries in [all.slice(0, 1), all.slice(0, 9)] {
        check("jaccard::knn, sorted", |run| {
            with_found(queries.n_rows(), 70, |out| {
                jaccard::knn(queries, all, Some(sorted), Tversky::JACCARD, Mask::All, out, run)
            })
        });
        check("jaccard::radius, sorted", |run| {
            jaccard::radius(queries, all, 0.6, Some(sorted), Tversky::JACCARD, Mask::All, run).map(nothing)
        });
    }
    let (few, many) = (codes.slice(0, 70), codes.slice(0, 1100));
    check("hamming::pairs", |run| hamming::pairs(many, 145, run).map(nothing));
    check("jaccard::pairs", |run| jaccard::pairs(many, 0.6, run).map(nothing));
    check("hamming::groups", |run| hamming::groups(many, 145, run).map(nothing));
    check("jaccard::groups", |run| jaccard::groups(many, 0.6, run).map(nothing));
    check("hamming::cdist", |run| with_room(70 * N, |out| hamming::cdist(few, codes, out, run)));
    check("jaccard::cdist", |run| {
        with_room(70 * N, |out| jaccard::cdist(few, codes, Tversky::JACCARD, out, run))
    });
    let real = random.floats(10 * 320, -1.0..1.0);
    let real = RealQueries::new(&real, 10, 320).unwrap();
    check("asymmetric::knn", |run| {
        with_found(10, 70, |out| asymmetric::knn(real, codes, Mask::All, out, run))
    });
    let rows: Vec<u32> = (0..N as u32).collect();
    let (starts, stops) = (vec![0; 20], vec![N as i64; 20]);
    let (queries, probes) = (codes.slice(0, 20), Probes::new(&starts, &stops, &rows, 20).unwrap());
    // So many that a bit for each is a large allocation.
    let codes = Codes::new(&bytes, 9000, 40).unwrap();
    for mask in [Mask::All, Mask::Ids(&ids)] {
        check("lists::hamming_knn", |run| {
            with_found(20, 70, |out| lists::hamming_knn(queries, codes, probes, mask, out, run))
        });
    }
    let (starts, stops, rows) = lists_of(20, 9000);
    let probes = Probes::new(&starts, &stops, &rows, 20).unwrap();
    for mask in [Mask::All, Mask::Ids(&ids)] {
        check("hamming::lists_knn", |run| {
            with_found(20, 70, |out| hamming::lists_knn(queries, codes, probes, mask, out, run))
        });
        check("jaccard::lists_radius", |run| {
            jaccard::lists_radius(queries, codes, probes, Tversky::JACCARD, 0.6, mask, run).map(nothing)
        });
    }
    let floats = random.floats(N * 10, 0.0..1.0);
    let vectors = FloatRows::new("vectors", &floats, N, 10, 10).unwrap();
    let queries = FloatRows::new("queries", &floats, 20, 10, 10).unwrap();
    let ids: Vec<i64> = (0..20 * 300).map(|_| random.below(N) as i64).collect();
    for (bounds, k) in [(None, 400), (Some(&floats[..20 * 300]), 400), (Some(&floats[..20 * 300]), 1)] {
        check("rerank::nearest", |run| {
            with_found(20, k, |out| {
                let candidates = Candidates { ids: &ids, rows: None, bounds };
                rerank::nearest(queries, candidates, vectors, rerank::Metric::L2, out, &mut [0; 20], run)
            })
        });
    }
    check("rerank::nearest_of_all", |run| {
        with_found(20, 400, |out| rerank::nearest_of_all(queries, vectors, rerank::Metric::L2, out, run))
    });
    // Near rows are found in the tables, far ones by a scan.
    let codes = Codes::new(&bytes, 20_000, 40).unwrap();
    let (mut starts, mut entries) = (vec![0; 10 * 4097], vec![0; 10 * 20_000]);
    multi_index::fill(codes, 320, 10, &mut starts, &mut entries, &Run::serial(Level::best())).unwrap();
    let part = multi_index::Tables::new(320, 10, &starts, &entries).unwrap();
    let queries = codes.slice(0, 300);
    for mask in [Mask::All, Mask::Ids(&ids)] {
        check("multi_index::knn", |run| {
            with_found(300, 9, |out| multi_index::knn(queries, codes, &[part], mask, out, run))
        });
        for radius in [3, 150] {
            check("multi_index::radius", |run| {
                multi_index::radius(queries, codes, &[part], radius, mask, run).map(nothing)
            });
        }
    }
    check("multi_index::fill", |run| {
        with_room(10 * 4097, |starts| {
            with_room(10 * 20_000, |entries| multi_index::fill(codes, 320, 10, starts, entries, run))
        })
    });
    let (i, j): (Vec<i64>, Vec<i64>) = (0..900).map(|i| (i, (i * 7 + 3) % 900)).unzip();
    check("components", |run| with_room(900, |out| components(&i, &j, out, run)));
}

fn tables(random: &mut Random) {
    const N_QUERIES: usize = 12;
    // Tables of many subspaces are bounded in groups.
    for (n_codewords, n_subspaces, n_rows) in [(16, 8, 5000), (256, 8, 5000), (16, 300, 300), (256, 300, 300)]
    {
        let booleans: Vec<u8> = random.bytes(n_rows).iter().map(|byte| byte & 1).collect();
        let ids: Vec<i64> = (0..n_rows / 2).map(|_| random.below(n_rows) as i64).collect();
        let bytes: Vec<u8> = (0..n_rows * n_subspaces).map(|_| random.below(n_codewords) as u8).collect();
        let codes = Codes::new(&bytes, n_rows, n_subspaces).unwrap();
        let entries = random.floats(N_QUERIES * n_subspaces * n_codewords, 0.0..1.0);
        let tables = Tables::new(&entries, N_QUERIES, n_subspaces, n_codewords).unwrap();
        let mut packed = PackedCodes::new(n_subspaces, n_codewords).unwrap();
        packed.append(codes, &Run::serial(Level::PORTABLE)).unwrap();
        for blocks in [Blocks::from_rows(codes, n_codewords), packed.blocks()] {
            for mask in [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&ids)] {
                check("adc::knn", |run| {
                    with_found(N_QUERIES, 70, |out| adc::knn(tables, blocks, mask, out, run))
                });
                let radius = 0.4 * n_subspaces as f32;
                check("adc::radius", |run| adc::radius(tables, blocks, radius, mask, run).map(nothing));
                let (starts, stops, rows) = lists_of(N_QUERIES, n_rows);
                let probes = Probes::new(&starts, &stops, &rows, N_QUERIES).unwrap();
                check("adc::lists_knn", |run| {
                    with_found(N_QUERIES, 70, |out| adc::lists_knn(tables, blocks, probes, mask, out, run))
                });
                check("adc::lists_radius", |run| {
                    adc::lists_radius(tables, blocks, probes, radius, mask, run).map(nothing)
                });
            }
            check("adc::scan", |run| {
                with_room(N_QUERIES * n_rows, |out| adc::scan(tables, blocks, out, run))
            });
        }
        let new = || PackedCodes::new(n_subspaces, n_codewords).unwrap();
        check("PackedCodes::append", |run| new().append(codes, run));
        check("PackedCodes::remove", |run| {
            let mut copy = new();
            of_caller(|| copy.append(codes, run))?;
            copy.remove(Mask::Ids(&ids), run).map(nothing)
        });
    }
    let books = random.floats(8 * 256 * 4, -1.0..1.0);
    let books = Codebooks::new(&books, 8, 256, 4).unwrap();
    let x = random.floats(500 * 32, -1.0..1.0);
    let x = Vectors::new("x", &x, 500, 32).unwrap();
    check("adc::encode", |run| with_room(500 * 8, |out| adc::encode(x, books, out, None, run)));
    check("adc::tables", |run| {
        with_room(500 * 8 * 256, |out| adc::tables(x, books, TableMetric::L2, out, run))
    });
    let books = random.floats(4 * 256 * 32, -1.0..1.0);
    let books = Codebooks::new(&books, 4, 256, 32).unwrap();
    check("additive::beam", |run| {
        with_room(500 * 4, |codes| with_room(500, |errors| additive::beam(x, books, 3, codes, errors, run)))
    });
    let search = Search { n_iterations: 1, n_passes: 1, n_changes: 2, seed: 0 };
    check("additive::local_search", |run| {
        with_room(500 * 4, |codes| {
            with_room(500, |errors| additive::local_search(x, books, search, codes, errors, run))
        })
    });
    let constraint = Constraint { product: 0.0, penalty: 1.0 };
    check("additive::composite_search", |run| {
        with_room(500 * 4, |codes| {
            with_room(500, |costs| {
                additive::composite_search(x, books, constraint, search, codes, costs, run)
            })
        })
    });
}

fn estimates(random: &mut Random) {
    const N_ROWS: usize = 1500;
    const N_QUERIES: usize = 12;
    const N_DIMS: usize = 1200;
    let x = random.floats(N_ROWS * N_DIMS, -1.0..1.0);
    let values = &x[..N_QUERIES * N_DIMS];
    let offsets = [0.0; N_QUERIES];
    let booleans: Vec<u8> = random.bytes(N_ROWS).iter().map(|byte| byte & 1).collect();
    let ids: Vec<i64> = (0..N_ROWS / 2).map(|_| random.below(N_ROWS) as i64).collect();
    for n_bits in [1, 2, 4, 8] {
        let grid = Grid::new(n_bits).unwrap();
        let n_bytes = grid.n_bytes(N_DIMS);
        let (mut codes, mut factors) = (vec![0; N_ROWS * n_bytes], vec![0.0; N_ROWS * 2]);
        let run = &Run::serial(Level::PORTABLE);
        rabitq::encode(&x, N_DIMS, grid, None, &mut codes, &mut factors, run).unwrap();
        check("rabitq::encode", |run| {
            let (mut codes, mut factors) = of_caller(|| (vec![0; N_ROWS * n_bytes], vec![0.0; N_ROWS * 2]));
            rabitq::encode(&x, N_DIMS, grid, None, &mut codes, &mut factors, run)
        });
        check("rabitq::encode, weights", |run| {
            let (mut codes, mut factors) = of_caller(|| (vec![0; n_bytes], vec![0.0; 2]));
            let weights = Some(Weights::new(&x[..N_DIMS * N_DIMS], N_DIMS)?);
            rabitq::encode(&x[..N_DIMS], N_DIMS, grid, weights, &mut codes, &mut factors, run)
        });
        let codes = Codes::new(&codes, N_ROWS, n_bytes).unwrap();
        check("rabitq::errors", |run| {
            with_room(N_ROWS, |out| rabitq::errors(codes, &factors, grid, out, run))
        });
        let some = (codes.slice(0, 70), &factors[..140]);
        check("rabitq::cdist", |run| {
            with_room(70 * N_ROWS, |out| rabitq::cdist(some, (codes, &factors), grid, Metric::L2, out, run))
        });
        check("rabitq::Queries::new", |_| {
            Queries::new(values, N_DIMS, &offsets, grid, Metric::L2).map(nothing)
        });
        let queries = Queries::new(values, N_DIMS, &offsets, grid, Metric::L2).unwrap();
        let database = Database::from_rows(codes, &factors, grid).unwrap();
        for mask in [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&ids)] {
            check("rabitq::knn", |run| {
                with_found(N_QUERIES, 70, |out| rabitq::knn(&queries, database, mask, out, run))
            });
            check("rabitq::radius", |run| rabitq::radius(&queries, database, 700.0, mask, run).map(nothing));
            let (starts, stops, rows) = lists_of(N_QUERIES, N_ROWS);
            let probes = Probes::new(&starts, &stops, &rows, N_QUERIES).unwrap();
            check("rabitq::lists_knn", |run| {
                with_found(N_QUERIES, 70, |out| rabitq::lists_knn(&queries, database, probes, mask, out, run))
            });
        }
        check("rabitq::scan", |run| {
            with_room(N_QUERIES * N_ROWS, |out| rabitq::scan(&queries, database, out, run))
        });
    }
}

fn products(random: &mut Random) {
    const N: usize = 300;
    let (bytes, weights) = (random.bytes(8 * N * 32), random.bytes(96 * 9 * 32));
    let thresholds = vec![0; N];
    let rows = |plane: usize| Codes::new(&bytes[plane * N * 32..][..N * 32], N, 32).unwrap();
    let operand =
        |n_planes, values| Operand::new("a", (0..n_planes).map(rows).collect(), values, 256).unwrap();
    let (signs, planes) = (operand(1, Values::Signs), operand(8, Values::Unsigned));
    let right = Operand::new("b", vec![Codes::new(&weights, N, 32).unwrap()], Values::Signs, 256).unwrap();
    check("Matrix::new", |run| Matrix::new(&right, run).map(nothing));
    for left in [&signs, &planes] {
        check("xnor::matmul", |run| {
            let matrix = of_caller(|| Matrix::new(&right, run))?;
            with_room(N * N, |out| xnor::matmul(left, &matrix, Output::Dots(out), run))
        });
        check("xnor::matmul, bits", |run| {
            let matrix = of_caller(|| Matrix::new(&right, run))?;
            with_room(N * N.div_ceil(8), |out| {
                let output = Output::Bits { thresholds: &thresholds, flips: &[], out };
                xnor::matmul(left, &matrix, output, run)
            })
        });
    }
    let byte_values = ByteValues { scale: 1, offset: 0 };
    let tall = Codes::new(&bytes, N, 256).unwrap();
    check("xnor::byte_matmul", |run| {
        let matrix = Matrix::new(&right, run)?;
        with_room(N * N, |out| xnor::byte_matmul(tall, byte_values, &matrix, Output::Dots(out), run))
    });
    let conv = Conv { stride: [1, 1], padding: [[1, 1]; 2], pad_value: Padding::Zero, dilation: [1, 1] };
    for n_groups in [1, 4] {
        let n_bytes = 32 / n_groups;
        let filters = |run: &Run<'_>| {
            Filters::new(&weights[..96 * 9 * n_bytes], [96, 3, 3], n_bytes, 256 / n_groups, n_groups, run)
        };
        check("Filters::new", |run| filters(run).map(nothing));
        let images = Images::new(&bytes[..8 * 144 * 32], [8, 12, 12], 32, 256).unwrap();
        check("xnor::conv2d", |run| {
            let filters = of_caller(|| filters(run))?;
            with_room(8 * 144 * 96, |out| xnor::conv2d(images, &filters, conv, Output::Dots(out), run))
        });
        let images = Images::of_bytes(&bytes[..144 * 256], [1, 12, 12], 256, byte_values).unwrap();
        check("xnor::conv2d, bytes", |run| {
            let filters = filters(run)?;
            with_room(144 * 96, |out| xnor::conv2d(images, &filters, conv, Output::Dots(out), run))
        });
    }
}

fn sets(random: &mut Random) {
    let tokens: Vec<u64> = (0..60_000).map(|_| random.word() % 5000).collect();
    let offsets: Vec<i64> = (0..=600).map(|set| set * 100).collect();
    check("Sets::new", |_| Sets::new(&tokens, &offsets).map(nothing));
    let sets = Sets::new(&tokens, &offsets).unwrap();
    let texts: Vec<String> = tokens[..5_000]
        .chunks(100)
        .map(|words| words.iter().map(|word| format!("Wörd{word} ")).collect())
        .collect();
    let text = texts.concat();
    for scheme in [Scheme::Independent, Scheme::OnePermutation] {
        check("Hasher::new", |_| Hasher::new(scheme, 2048, 0).map(nothing));
        let hasher = Hasher::new(scheme, 512, 0).unwrap();
        check("minhash::signatures", |run| {
            with_room(600 * 512, |out| minhash::signatures(&sets, &hasher, out, run))
        });
        for unit in [Unit::Words, Unit::Characters] {
            let shingles = Shingles::new(unit, 300, true).unwrap();
            check("minhash::text_signatures", |run| {
                with_room(50 * 512, |out| minhash::text_signatures(&texts, &shingles, &hasher, out, run))
            });
            check("Shingles::append", |_| shingles.append(&text, &mut Vec::new()));
        }
    }
    let (i, j): (Vec<i64>, Vec<i64>) = (0..600).map(|i| (i, (i * 7 + 3) % 600)).unzip();
    check("minhash::jaccard", |run| with_room(600, |out| minhash::jaccard(&sets, &sets, &i, &j, out, run)));
    let signatures: Vec<u32> = (0..600 * 128).map(|_| random.below(3) as u32).collect();
    let bytes = random.bytes(600 * 64);
    let codes = Codes::new(&bytes, 600, 64).unwrap();
    let slots = Slots::Bits(4);
    check("minhash::cdist", |run| with_room(600 * 600, |out| minhash::cdist(codes, codes, slots, out, run)));
    check("minhash::paired", |run| {
        with_room(600, |out| minhash::paired(codes, codes, &i, &j, slots, out, run))
    });
    let bands = |run: &Run<'_>| {
        let mut bands = Bands::new(128, 32, 4)?;
        bands.add(&signatures, run).map(|()| bands)
    };
    check("Bands::add", |run| bands(run).map(nothing));
    let filled = bands(&Run::serial(Level::PORTABLE)).unwrap();
    // A call that fails changes nothing, though tables of few different rows have little room.
    let mut many = filled.clone();
    for _ in 0..3 {
        many.add(&signatures, &Run::serial(Level::PORTABLE)).unwrap();
    }
    let added: Vec<u32> = (0..3000 * 128).map(|_| random.below(3) as u32).collect();
    check("Bands::add", |run| {
        let mut bands = of_caller(|| many.try_clone())?;
        let result = bands.add(&added, run);
        let found = |bands: &Bands| bands.query(&signatures[..5 * 128], 0, run);
        of_caller(|| assert!(result.is_ok() || found(&bands) == found(&many)));
        result
    });
    check("Bands::query", |run| filled.query(&signatures[..100 * 128], 20, run).map(nothing));
    check("Bands::pairs", |run| filled.pairs(20, run).map(nothing));
    check("Bands::groups", |run| filled.groups(50, run).map(nothing));
    check("Bands::groups_of_sets", |run| filled.groups_of_sets(&sets, 0.01, run).map(nothing));
    check("Bands::differing", |run| with_room(600, |out| filled.differing(&i, &j, out, run)));
}

fn strings(random: &mut Random) {
    let strings: Vec<String> = (0..200)
        .map(|_| (0..10).map(|_| format!(" word{}", random.below(200).min(random.below(200)))).collect())
        .collect();
    let (bytes, ends) = (
        strings.concat().into_bytes(),
        strings.iter().scan(0, |end, string| {
            *end += string.len() as i64;
            Some(*end)
        }),
    );
    let offsets: Vec<i64> = [0].into_iter().chain(ends).collect();
    check("Texts::new", |_| Texts::new("texts", &bytes, &offsets).map(nothing));
    let texts = Texts::new("texts", &bytes, &offsets).unwrap();
    check("TextModel::fit", |run| TextModel::fit(&texts, TextModel::MIN_BYTES, run).map(nothing));
    let model = TextModel::fit(&texts, TextModel::MIN_BYTES, &Run::serial(Level::PORTABLE)).unwrap();
    check("TextModel::encode", |run| model.encode(&texts, run).map(nothing));
    let (data, ends) = model.encode(&texts, &Run::serial(Level::PORTABLE)).unwrap();
    let codes = Texts::new("data", &data, &ends).unwrap();
    check("TextModel::decode", |run| model.decode(&codes, run).map(nothing));
    let long = bytes.repeat(3);
    let long = Texts::new("texts", &long, &[0, long.len() as i64]).unwrap();
    check("TextModel::bits", |run| with_room(1, |out| model.bits(&long, out, run)));
    check("TextModel::to_bytes", |_| model.to_bytes().map(nothing));
    let file = model.to_bytes().unwrap();
    check("TextModel::from_bytes", |_| TextModel::from_bytes(&file).map(nothing));
}

fn numbers(random: &mut Random) {
    let x = random.floats(500 * 300, -1.0..1.0);
    let bytes: Vec<u8> = x.iter().flat_map(|value| value.to_ne_bytes()).collect();
    let rows = Rows::new(&bytes, 500, 1200, 1200).unwrap();
    let thresholds = random.floats(300, -1.0..1.0);
    check("bits::pack", |run| {
        with_room(500 * 38, |out| {
            bits::pack(rows, Along::Rows, Thresholds::F32(&thresholds), BitOrder::Big, out, run)
        })
    });
    // The same bytes as half floats.
    let thresholds: Vec<u16> = (0..600).collect();
    check("bits::pack", |run| {
        with_room(500 * 75, |out| {
            bits::pack(rows, Along::Rows, Thresholds::F16(&thresholds), BitOrder::Big, out, run)
        })
    });
    check("hadamard::Signs::new", |_| {
        hadamard::Signs::new(Codes::new(&bytes[..3 * 8 * 128], 24, 128).unwrap(), 1000).map(nothing)
    });
    let signs = hadamard::Signs::new(Codes::new(&bytes[..3 * 2 * 64], 6, 64).unwrap(), 300).unwrap();
    check("hadamard::project", |run| {
        with_room(500 * 700, |out| hadamard::project(&x, &signs, 700, out, run))
    });
    check("hadamard::pack", |run| with_room(500 * 88, |out| hadamard::pack(&x, &signs, 700, out, run)));
    check("Orthogonal::new", |_| {
        Orthogonal::new(Codes::new(&bytes[..4 * 128], 4, 128).unwrap()).map(nothing)
    });
    let rotation = Orthogonal::new(Codes::new(&bytes[..4 * 38], 4, 38).unwrap()).unwrap();
    check("orthogonal::rotate", |run| {
        with_room(500 * 304, |out| orthogonal::rotate(&x, 300, &rotation, false, out, run))
    });
}

fn messages(random: &mut Random) {
    let counts: Vec<u64> = (0..256 * 256).map(|_| 1 + random.below(1000) as u64).collect();
    let serial = Run::serial(Level::PORTABLE);
    let mut frequencies = vec![0; counts.len()];
    frequencies::of_tables(&counts, 256, &mut frequencies, &serial).unwrap();
    let tables = |n_tables: usize| entropy::Tables::new(&frequencies[..n_tables * 256], 256);
    check("entropy::Tables::new", |_| tables(16).map(nothing));
    let code = |counts: &[u64]| huffman::lengths(counts).and_then(|lengths| Huffman::new(&lengths));
    check("entropy::Huffman::new", |_| code(&counts).map(nothing));
    check("entropy::ScaleTable::new", |_| ScaleTable::new(Law::Gaussian).map(nothing));
    let bytes = random.bytes(400_000);
    let scale_table = ScaleTable::new(Law::Laplace).unwrap();
    let scales = vec![9; 40_000];
    // The first run makes what an encoder needs.
    let data = scales::encode(&vec![3; 40_000], &scales, &scale_table, &serial).unwrap();
    // A short message, and a run.
    for n in [3000, 40_000] {
        let symbols = &bytes[..n];
        let which: Vec<u8> = symbols.iter().map(|symbol| symbol & 1).collect();
        let wide: Vec<u16> = which.iter().zip(symbols).map(|(a, b)| u16::from_be_bytes([*a, *b])).collect();
        // New tables each time: what an encoder needs is made at its first use.
        check("entropy::symbols::encode", |run| {
            let tables = of_caller(|| tables(2))?;
            symbols::encode(symbols, Model::with_which(&tables, &which)?, run).map(nothing)
        });
        check("entropy::symbols::encode_wide", |run| {
            let (high, low) = of_caller(|| (tables(1), tables(2)));
            symbols::encode_wide(&wide, &high?, &low?, run).map(nothing)
        });
        let values: Vec<i32> = wide.iter().map(|value| i32::from(*value)).collect();
        let encode = |run: &Run<'_>| scales::encode(&values, &which, &scale_table, run);
        check("entropy::scales::encode", |run| encode(run).map(nothing));
        let code = code(&counts).unwrap();
        check("entropy::Huffman::encode", |run| code.encode(&wide, run).map(nothing));
    }
    check("entropy::scales::decode", |run| {
        with_room(40_000, |out| scales::decode(&data, &scales, &scale_table, out, run))
    });
    let uniform = vec![256; 4 * 256];
    let chain = |n_columns: usize| MarkovChain::new(&uniform[..n_columns * 256], n_columns, 256, false);
    check("entropy::MarkovChain::new", |_| chain(4).map(nothing));
    let ones = vec![9; 4000];
    check("entropy::Bernoulli::new", |_| Bernoulli::new(&ones).map(nothing));
    let chain = chain(1).unwrap();
    let rows = Codes::new(&bytes, bytes.len(), 1).unwrap();
    check("entropy::rows::encode", |run| rows::encode(rows, &chain, 7, run).map(nothing));
    let (data, offsets) = rows::encode(rows, &chain, 1, &serial).unwrap();
    let ones = vec![1; bytes.len()];
    let (starts, stops) = (&offsets[..bytes.len()], &offsets[1..]);
    let blocks = RowBlocks { data: &data, starts, stops, lens: &ones, counts: &ones };
    check("entropy::rows::decode", |run| {
        with_room(bytes.len(), |out| rows::decode(blocks, &chain, out, run))
    });
}

fn pictures(random: &mut Random) {
    let serial = Run::serial(Level::PORTABLE);
    let (width, height) = (600, 40);
    let bytes = random.bytes(width * height * 3);
    let words: Vec<u16> = bytes.iter().map(|byte| u16::from(*byte) << 3).collect();
    let kind = |n_channels, n_bits| Kind { width, height, n_channels, n_bits };
    let step = Step::new(9.0).unwrap();
    for (samples, kind, coding) in [
        (SamplesOf::Eight(&bytes[..]), kind(3, 8), Coding::Lossless),
        (SamplesOf::Sixteen(&words[..width * height]), kind(1, 16), Coding::Lossless),
        (SamplesOf::Eight(&bytes[..]), kind(3, 8), Coding::Lossy { step, tune: Tune::Psnr }),
        (SamplesOf::Eight(&bytes[..]), kind(3, 8), Coding::Lossy { step, tune: Tune::MsSsim }),
    ] {
        check("image::encode", |run| image::encode(samples, kind, coding, run).map(nothing));
        let data = image::encode(samples, kind, coding, &serial).unwrap();
        for halvings in [0, 2] {
            check("image::decode", |run| image::decode(&data, halvings, usize::MAX, run).map(nothing));
        }
    }
}

fn motion(random: &mut Random) {
    let (width, height) = (90, 40);
    let (a, b) = (random.bytes(width * height), random.bytes(width * height));
    let images = [&a, &b].map(|samples| Image::new("frame", samples, width, height).unwrap());
    let planes = [&a, &b].map(|bytes| Planes::new("frame", &bytes[..2 * 40 * 12], 2, width, height).unwrap());
    let (n_blocks, k) = (5 * 12, 9);
    let window = Window { block: Block::Eight, radius: 20 };
    let results = || of_caller(|| (vec![[0; 2]; n_blocks * k], vec![0; n_blocks * k]));
    check("block_motion::search", |run| {
        let (mut vectors, mut costs) = results();
        block_motion::search(images[0], images[1], window, k, &mut vectors, &mut costs, run)
    });
    check("block_motion::predictive_search", |run| {
        let (mut vectors, mut costs) = of_caller(|| (vec![[0; 2]; n_blocks], vec![0; n_blocks]));
        block_motion::predictive_search(images[0], images[1], window, &mut vectors, &mut costs, run)
    });
    check("block_motion::one_bit_search", |run| {
        let (mut vectors, mut costs) = results();
        block_motion::one_bit_search(planes[0], planes[1], window, k, &mut vectors, &mut costs, run)
    });
    check("block_motion::sad", |run| {
        let (vectors, mut costs) = results();
        block_motion::sad(images[0], images[1], Block::Eight, &vectors, &mut costs, run)
    });
}

fn frames(random: &mut Random) {
    let shape = Shape { width: 70, height: 50, has_chroma: true };
    let planes = [70 * 50, 35 * 25, 35 * 25].map(|len| random.bytes(len));
    let planes = [&planes[0][..], &planes[1][..], &planes[2][..]];
    let step = Step::new(9.0).unwrap();
    let jobs = [&[][..], &[(0, 1)][..]].map(|references| Job { references, step, keep: Some(0) });
    let encode = |method: Method, run: &Run<'_>| -> Result<Vec<Vec<u8>>, Error> {
        let mut coder = Coder::new(shape)?;
        let mut all = of_caller(|| Vec::with_capacity(2));
        for job in jobs {
            let reach = Reach { radius: 5, method };
            all.push(coder.encode(planes, job, reach, run)?);
        }
        Ok(all)
    };
    for method in [Method::Full, Method::Predictive] {
        check("video::Coder::encode", |run| encode(method, run).map(nothing));
    }
    let all = encode(Method::Full, &Run::serial(Level::PORTABLE)).unwrap();
    check("video::Coder::decode", |run| {
        let mut coder = Coder::new(shape)?;
        for (job, bytes) in jobs.into_iter().zip(&all) {
            coder.decode(bytes, job, run)?;
        }
        Ok(())
    });
}
