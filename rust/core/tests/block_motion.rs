//! Block motion at every level against a loop over all candidates.
#![allow(missing_docs)]

mod common;

use common::Random;
use fastcodes_core::block_motion::{
    Block, Image, MAX_RADIUS, Planes, Window, one_bit_search, predictive_search, sad, search,
};
use fastcodes_core::{Error, Level, Run};

/// The sample at a place, those beyond an edge being those of the edge.
fn at(samples: &[u8], (width, height): (usize, usize), y: isize, x: isize) -> u8 {
    let y = y.clamp(0, height as isize - 1) as usize;
    samples[y * width + x.clamp(0, width as isize - 1) as usize]
}

/// For each block the costs of all candidates with their vectors, in order.
fn expected(
    frame: &[u8],
    reference: &[u8],
    sides: (usize, usize),
    side: usize,
    radius: usize,
) -> Vec<Vec<(i32, [i16; 2])>> {
    let radius = radius as isize;
    let mut blocks = Vec::new();
    for first_y in (0..sides.1).step_by(side) {
        for first_x in (0..sides.0).step_by(side) {
            let mut all = Vec::new();
            for (dy, dx) in (-radius..=radius).flat_map(|dy| (-radius..=radius).map(move |dx| (dy, dx))) {
                let mut cost = 0;
                for y in first_y as isize..(first_y + side) as isize {
                    for x in first_x as isize..(first_x + side) as isize {
                        let (a, b) = (at(frame, sides, y, x), at(reference, sides, y + dy, x + dx));
                        cost += i32::from(a.abs_diff(b));
                    }
                }
                all.push((cost, [dy as i16, dx as i16]));
            }
            all.sort_by_key(|(cost, [dy, dx])| (*cost, dy.abs() + dx.abs(), *dy, *dx));
            blocks.push(all);
        }
    }
    blocks
}

fn runs() -> impl Iterator<Item = Run<'static>> {
    let several = Level::available().into_iter().map(|level| Run::new(level, 3, &|| false));
    Level::available().into_iter().map(Run::serial).chain(several)
}

fn found(
    n_blocks: usize,
    k: usize,
    work: impl FnOnce(&mut [[i16; 2]], &mut [i32]) -> Result<(), Error>,
) -> Vec<(i32, [i16; 2])> {
    let (mut vectors, mut costs) = (vec![[99; 2]; n_blocks * k], vec![-1; n_blocks * k]);
    work(&mut vectors, &mut costs).unwrap();
    costs.into_iter().zip(vectors).collect()
}

#[test]
fn the_best_candidates_are_found_at_every_level() {
    let mut random = Random::new(3);
    for sides in [(1, 1), (16, 16), (35, 9), (40, 33)] {
        for block in [Block::Eight, Block::Sixteen] {
            for radius in [0, 1, 3, 9, 16, 20] {
                let (width, height) = sides;
                // Few values make ties; the extremes are the largest sums.
                for values in [2, 256] {
                    let mut plane = || -> Vec<u8> {
                        let value = |random: &mut Random| (random.below(values) * 255 / (values - 1)) as u8;
                        (0..width * height).map(|_| value(&mut random)).collect()
                    };
                    let (frame, reference) = (plane(), plane());
                    let known = expected(&frame, &reference, sides, block.side(), radius);
                    let image = |samples| Image::new("frame", samples, width, height).unwrap();
                    let window = Window { block, radius };
                    for k in [1, 4, (2 * radius + 1).pow(2)] {
                        let k = k.min((2 * radius + 1).pow(2));
                        let best: Vec<_> = known.iter().flat_map(|all| all[..k].to_vec()).collect();
                        for run in runs() {
                            let answer = found(known.len(), k, |vectors, costs| {
                                search(image(&frame), image(&reference), window, k, vectors, costs, &run)
                            });
                            assert!(answer == best, "{sides:?} {window:?} {k} {:?}", run.level());
                        }
                    }
                    let n_columns = width.div_ceil(block.side());
                    let chosen: Vec<_> = known.iter().map(|all| all[all.len() / 2]).collect();
                    let vectors: Vec<_> = chosen.iter().map(|(_, vector)| *vector).collect();
                    let mut costs = vec![0; vectors.len()];
                    for run in runs() {
                        sad(image(&frame), image(&reference), block, &vectors, &mut costs, &run).unwrap();
                        assert!(costs.iter().zip(&chosen).all(|(a, (b, _))| a == b), "{n_columns}");
                    }
                }
            }
        }
    }
}

/// What the fast search finds, block by block, given all candidates of each block in order.
fn downhill(known: &[Vec<(i32, [i16; 2])>], n_columns: usize) -> Vec<(i32, [i16; 2])> {
    let mut found: Vec<(i32, [i16; 2])> = Vec::new();
    for (index, all) in known.iter().enumerate() {
        let (row, column) = (index / n_columns, index % n_columns);
        let rank = |vector: [i16; 2]| all.iter().position(|(_, other)| *other == vector);
        let mut starts = vec![[0, 0]];
        if column > 0 {
            starts.push(found[index - 1].1);
        }
        if row % 8 > 0 {
            starts.push(found[index - n_columns].1);
        }
        if row % 8 > 0 && column + 1 < n_columns {
            starts.push(found[index - n_columns + 1].1);
        }
        if let [_, a, b, c] = starts[..] {
            let median = |axis: usize| {
                let mut values = [a[axis], b[axis], c[axis]];
                values.sort_unstable();
                values[1]
            };
            starts.push([median(0), median(1)]);
        }
        let mut best = starts.into_iter().filter_map(rank).min().unwrap();
        loop {
            let [dy, dx] = all[best].1;
            let around = (-1..=1).flat_map(|down| (-1..=1).map(move |right| [dy + down, dx + right]));
            match around.filter_map(rank).min().unwrap() {
                next if next < best => best = next,
                _ => break,
            }
        }
        found.push(all[best]);
    }
    found
}

#[test]
fn the_fast_search_goes_downhill_from_the_neighbours() {
    let mut random = Random::new(5);
    for sides in [(1, 1), (16, 16), (35, 9), (70, 33), (24, 150)] {
        for block in [Block::Eight, Block::Sixteen] {
            for radius in [0, 1, 5, 16] {
                for values in [2, 256] {
                    let (width, height) = sides;
                    // A ramp with some noise, moved from frame to frame: a slope to go down.
                    let mut plane = |by: usize| -> Vec<u8> {
                        let value = |place: usize, random: &mut Random| {
                            let (y, x) = (place / width + by, place % width + 2 * by);
                            (((y * y / 3 + x * 5) % 200 + random.below(40)) / (256 / values)) as u8
                        };
                        (0..width * height).map(|place| value(place, &mut random)).collect()
                    };
                    let (frame, reference) = (plane(3), plane(0));
                    let known = expected(&frame, &reference, sides, block.side(), radius);
                    let image = |samples| Image::new("frame", samples, width, height).unwrap();
                    let answer = downhill(&known, width.div_ceil(block.side()));
                    for run in runs() {
                        let found = found(known.len(), 1, |vectors, costs| {
                            let window = Window { block, radius };
                            predictive_search(image(&frame), image(&reference), window, vectors, costs, &run)
                        });
                        assert!(found == answer, "{sides:?} {block:?} {radius} {values} {:?}", run.level());
                    }
                }
            }
        }
    }
}

#[test]
fn planes_are_compared_by_bits_at_every_level() {
    let mut random = Random::new(4);
    for (width, height) in [(1_usize, 1_usize), (17, 16), (45, 20)] {
        for n_bands in [1, 3, 8] {
            for (block, radius) in
                [(Block::Eight, 5), (Block::Sixteen, 16), (Block::Eight, 16), (Block::Sixteen, 18)]
            {
                let n_bytes = n_bands * height * width.div_ceil(8);
                let (frame, reference) = (random.bytes(n_bytes), random.bytes(n_bytes));
                let unpacked = |bytes: &[u8], band: usize| -> Vec<u8> {
                    let row = width.div_ceil(8);
                    let bit =
                        |y: usize, x: usize| bytes[(band * height + y) * row + x / 8] >> (7 - x % 8) & 1;
                    (0..height)
                        .flat_map(|y| (0..width).map(move |x| (y, x)))
                        .map(|(y, x)| bit(y, x))
                        .collect()
                };
                let mut sums: Vec<Vec<(i32, [i16; 2])>> = Vec::new();
                for band in 0..n_bands {
                    let (a, b) = (unpacked(&frame, band), unpacked(&reference, band));
                    let mut of_band = expected(&a, &b, (width, height), block.side(), radius);
                    of_band.iter_mut().for_each(|all| all.sort_by_key(|(_, vector)| *vector));
                    match sums.is_empty() {
                        true => sums = of_band,
                        false => sums
                            .iter_mut()
                            .flatten()
                            .zip(of_band.iter().flatten())
                            .for_each(|(s, b)| s.0 += b.0),
                    }
                }
                for all in &mut sums {
                    all.sort_by_key(|(cost, [dy, dx])| (*cost, dy.abs() + dx.abs(), *dy, *dx));
                }
                let planes = |bytes| Planes::new("frame", bytes, n_bands, width, height).unwrap();
                for k in [1, 16, 60] {
                    let best: Vec<_> = sums.iter().flat_map(|all| all[..k].to_vec()).collect();
                    for run in runs() {
                        let answer = found(sums.len(), k, |vectors, costs| {
                            let window = Window { block, radius };
                            let (frame, reference) = (planes(&frame), planes(&reference));
                            one_bit_search(frame, reference, window, k, vectors, costs, &run)
                        });
                        assert!(answer == best, "{width} {height} {block:?} {radius} {k} {:?}", run.level());
                    }
                }
            }
        }
    }
}

type Search<'a> = &'a dyn Fn(&mut [[i16; 2]], &mut [i32], &Run<'_>) -> Result<(), Error>;

/// Rows of blocks can be long: it is asked whether to stop before they are searched, not only after them.
#[test]
fn a_search_stops_within_a_row_of_blocks() {
    let samples = Random::new(9).bytes(64 * 64);
    let image = Image::new("frame", &samples, 64, 64).unwrap();
    let planes = Planes::new("frame", &samples[..64 * 8], 1, 64, 64).unwrap();
    let window = Window { block: Block::Eight, radius: 2 };
    let stopped = |work: Search<'_>| {
        let (mut vectors, mut costs) = (vec![[99; 2]; 64], vec![-1; 64]);
        let run = Run::new(Level::best(), 1, &|| true);
        std::thread::sleep(std::time::Duration::from_millis(60)); // as it is not asked more often
        assert_eq!(work(&mut vectors, &mut costs, &run), Err(Error::Interrupted));
        assert_eq!(costs, [-1; 64]);
    };
    stopped(&|vectors, costs, run| search(image, image, window, 1, vectors, costs, run));
    stopped(&|vectors, costs, run| predictive_search(image, image, window, vectors, costs, run));
    stopped(&|vectors, costs, run| one_bit_search(planes, planes, window, 1, vectors, costs, run));
}

#[test]
fn wrong_arguments_are_errors() {
    let run = Run::serial(Level::best());
    let samples = [0; 64];
    let image = Image::new("frame", &samples, 8, 8).unwrap();
    let window = |radius| Window { block: Block::Eight, radius };
    let searched = |other, window, k| search(image, other, window, k, &mut [[0; 2]], &mut [0], &run);
    assert_eq!(searched(image, window(0), 1), Ok(()));
    let other = Image::new("reference", &samples, 16, 4).unwrap();
    assert!(matches!(searched(other, window(1), 1), Err(Error::Mismatch { .. })));
    assert!(matches!(searched(image, window(MAX_RADIUS + 1), 1), Err(Error::Range { name: "radius", .. })));
    assert!(matches!(searched(image, window(1), 10), Err(Error::Range { name: "k", .. })));
    assert!(matches!(searched(image, window(1), 0), Err(Error::Range { name: "k", .. })));
    assert!(matches!(searched(image, window(1), 2), Err(Error::Length { .. })));
    let fast = |other, window, n: usize| {
        predictive_search(image, other, window, &mut vec![[0; 2]; n], &mut vec![0; n], &run)
    };
    assert_eq!(fast(image, window(0), 1), Ok(()));
    assert!(matches!(fast(other, window(1), 1), Err(Error::Mismatch { .. })));
    assert!(matches!(fast(image, window(MAX_RADIUS + 1), 1), Err(Error::Range { name: "radius", .. })));
    assert!(matches!(fast(image, window(1), 2), Err(Error::Length { .. })));
    assert!(Block::new(4).is_err());
    assert!(Image::new("frame", &samples, 0, 8).is_err());
    assert!(Image::new("frame", &samples, 9, 8).is_err());
    assert!(Planes::new("frame", &samples, 9, 8, 8).is_err());
    assert!(Planes::new("frame", &samples, 1, 9, 8).is_err());
    let far = sad(image, image, Block::Eight, &[[0, 128]], &mut [0], &run);
    assert!(matches!(far, Err(Error::Value { .. })), "{far:?}");
}
