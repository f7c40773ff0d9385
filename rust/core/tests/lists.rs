//! Search of the candidates in inverted lists against its definition.
#![allow(missing_docs)]

mod common;

use common::Random;
use fastcodes_core::lists;
use fastcodes_core::{Codes, Error, Level, Mask, Neighbors, Probes, Run};

fn selected(mask: &Mask<'_>, n_rows: usize) -> Vec<bool> {
    match mask {
        Mask::All => vec![true; n_rows],
        Mask::Booleans(booleans) => booleans.iter().map(|selected| *selected != 0).collect(),
        Mask::Ids(ids) => {
            let mut selected = vec![false; n_rows];
            ids.iter().for_each(|id| selected[*id as usize] = true);
            selected
        }
    }
}

#[test]
fn candidates_are_the_selected_rows_in_the_lists() {
    let (n_rows, n_queries, n_lists) = (500, 37, 6);
    for n_bytes in [1, 7, 8, 9, 32, 40] {
        let (bytes, queries) =
            (Random::new(7).bytes(n_rows * n_bytes), Random::new(8).bytes(n_queries * n_bytes));
        let codes = Codes::new(&bytes, n_rows, n_bytes).unwrap();
        let query_rows = Codes::new(&queries, n_queries, n_bytes).unwrap();
        let mut random = Random::new(9);
        let ids: Vec<u32> = (0..3000).map(|_| random.below(n_rows) as u32).collect();
        let starts: Vec<i64> = (0..n_queries * n_lists).map(|_| random.below(2900) as i64).collect();
        let stops: Vec<i64> = starts.iter().map(|start| start + random.below(90) as i64).collect();
        let booleans: Vec<u8> = (0..n_rows).map(|row| u8::from(row % 3 > 0)).collect();
        let chosen: Vec<i64> = (0..n_rows as i64).rev().filter(|id| id % 7 == 2).collect();
        for mask in [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&chosen)] {
            let is_selected = selected(&mask, n_rows);
            for k in [0, 1, 10, 600] {
                let mut expected = Vec::new();
                for query in 0..n_queries {
                    let mine = query * n_lists..(query + 1) * n_lists;
                    let mut rows: Vec<usize> = starts[mine.clone()]
                        .iter()
                        .zip(&stops[mine])
                        .flat_map(|(start, stop)| &ids[*start as usize..*stop as usize])
                        .map(|id| *id as usize)
                        .filter(|row| is_selected[*row])
                        .collect();
                    rows.sort_unstable();
                    rows.dedup();
                    let differing = |row: usize| -> u32 {
                        let bytes = codes.row(row).iter().zip(query_rows.row(query));
                        bytes.map(|(a, b)| (a ^ b).count_ones()).sum()
                    };
                    let mut found: Vec<_> =
                        rows.iter().map(|row| (differing(*row) as i32, *row as i64)).collect();
                    found.sort_unstable();
                    found.resize(found.len().max(k), (i32::MAX, -1));
                    expected.extend_from_slice(&found[..k]);
                }
                let (expected, rows): (Vec<i32>, Vec<i64>) = expected.into_iter().unzip();
                for level in Level::available() {
                    for threads in [1, 2] {
                        let probes = Probes::new(&starts, &stops, &ids, n_queries).unwrap();
                        let (mut distances, mut indices) = (vec![7; n_queries * k], vec![7; n_queries * k]);
                        let out = Neighbors::new(&mut distances, &mut indices, k);
                        let run = &Run::new(level, threads, &|| false);
                        lists::hamming_knn(query_rows, codes, probes, mask, out, run).unwrap();
                        assert_eq!(
                            (&distances, &indices),
                            (&expected, &rows),
                            "{n_bytes} bytes, k = {k}, {level:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn lists_without_rows_are_errors() {
    let bytes = Random::new(6).bytes(40);
    let codes = Codes::new(&bytes, 10, 4).unwrap();
    let ids = [0, 9, 3, 10];
    let knn = |starts: &[i64], stops: &[i64]| {
        let probes = Probes::new(starts, stops, &ids, 2)?;
        let (mut distances, mut indices) = ([0; 4], [0; 4]);
        let out = Neighbors::new(&mut distances, &mut indices, 2);
        lists::hamming_knn(codes.slice(0, 2), codes, probes, Mask::All, out, &Run::serial(Level::best()))
    };
    assert_eq!(knn(&[0, 1], &[2, 3]), Ok(()));
    assert_eq!(knn(&[], &[]), Ok(()));
    assert_eq!(knn(&[0, 1], &[2, 4]), Err(Error::Row { name: "ids", row: 10, n_rows: 10 }));
    for (starts, stops) in [(&[0, 1], &[2, 5]), (&[-1, 1], &[2, 3]), (&[2, 1], &[1, 3])] {
        assert!(matches!(knn(starts, stops), Err(Error::Value { .. })), "{starts:?} {stops:?}");
    }
    assert!(matches!(knn(&[0, 1, 2], &[1, 2, 3]), Err(Error::Incompatible { .. })));
    assert!(matches!(knn(&[0, 1], &[1]), Err(Error::Incompatible { .. })));
}
