//! Search kernels by level and width, without Python: 100 queries, and codes that only fit the last cache level.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastcodes_core::jaccard::{self, Tversky};
use fastcodes_core::{Codes, Level, Mask, Neighbors, Run, hamming};

const N_QUERIES: usize = 100;
const N_ROWS: usize = 100_000;
const K: usize = 10;

#[path = "../../rust/core/tests/common/mod.rs"]
mod common;

fn random_bytes(len: usize) -> Vec<u8> {
    common::Random::new(0).bytes(len)
}

/// One group per function; the id is the number of bits and the level, the throughput counts distances.
macro_rules! knn {
    ($criterion:expr, $family:ident, $distance:ty $(, $more:expr)*) => {
        let mut group = $criterion.benchmark_group(concat!(stringify!($family), "/knn"));
        group.throughput(Throughput::Elements((N_QUERIES * N_ROWS) as u64)).sample_size(10);
        for n_bytes in [8, 16, 32, 128, 512] {
            let bytes = random_bytes((N_QUERIES + N_ROWS) * n_bytes);
            let all = Codes::new(&bytes, N_QUERIES + N_ROWS, n_bytes).unwrap();
            let (queries, codes) = (all.slice(0, N_QUERIES), all.slice(N_QUERIES, N_QUERIES + N_ROWS));
            let search = |level: Level| {
                let mut found = (vec![<$distance>::MAX; N_QUERIES * K], vec![0; N_QUERIES * K]);
                let out = Neighbors::new(&mut found.0, &mut found.1, K);
                $family::knn(queries, codes, $($more,)* Mask::All, out, &Run::serial(level)).unwrap();
                found
            };
            let expected = search(Level::PORTABLE);
            for level in Level::available() {
                assert_eq!(search(level), expected);
                group.bench_function(
                    BenchmarkId::new(format!("{} bits", n_bytes * 8), level.name()),
                    |bencher| {
                        bencher.iter(|| search(level));
                    },
                );
            }
        }
        group.finish();
    };
}

fn search(criterion: &mut Criterion) {
    knn!(criterion, hamming, i32);
    knn!(criterion, jaccard, f32, None, Tversky::JACCARD);
}

criterion_group!(benches, search);
criterion_main!(benches);
