//! Frames: what was encoded is decoded, and any bytes are a frame or an error.

use fastcodes_core::block_motion::Method;
use fastcodes_core::image::Step;
use fastcodes_core::video::{Coder, From, Job, Reach, Shape};
use fastcodes_core::{Error, Level, Run};
use proptest::prelude::*;

use crate::{content, fuzz};

const REFERENCES: [&[From]; 3] = [&[], &[(0, 3)], &[(0, 1), (1, 2)]];

#[test]
fn frames_of_all_levels_agree_and_damage_is_an_error() {
    let case = (1usize..50, 1usize..40, any::<bool>(), 0u32..9, 1f64..200.0, any::<u32>(), 1usize..4);
    fuzz(case, |(width, height, has_chroma, eighths, step, seed, threads)| {
        let shape = Shape { width: *width, height: *height, has_chroma: *has_chroma };
        let n_luma = width * height;
        let n_chroma = if *has_chroma { width.div_ceil(2) * height.div_ceil(2) } else { 0 };
        let step = Step::new(*step).unwrap();
        let jobs = REFERENCES.map(|references| Job { references, step, keep: Some(references.len()) });
        let method = if seed % 2 == 0 { Method::Full } else { Method::Predictive };
        let reach = Reach { radius: 6, method };
        let coded = |run: &Run<'_>| -> Vec<Vec<u8>> {
            let mut coder = Coder::new(shape).unwrap();
            let mut encode = |(index, job): (usize, Job<'_>)| {
                let samples = content(n_luma + 2 * n_chroma, *eighths, u64::from(*seed) + index as u64);
                let (luma, chroma) = samples.split_at(n_luma);
                let (blue, red) = chroma.split_at(n_chroma);
                coder.encode([luma, blue, red], job, reach, run).unwrap()
            };
            jobs.into_iter().enumerate().map(&mut encode).collect()
        };
        let bytes = coded(&Run::serial(Level::PORTABLE));
        for level in Level::available() {
            prop_assert!(coded(&Run::new(level, *threads, &|| false)) == bytes, "{:?}", level);
        }
        let run = Run::serial(Level::best());
        let mut coder = Coder::new(shape).unwrap();
        for (job, bytes) in jobs.into_iter().zip(&bytes) {
            prop_assert!(coder.decode(bytes, job, &run).is_ok());
        }
        let mut coder = Coder::new(shape).unwrap();
        for (index, (job, bytes)) in jobs.into_iter().zip(&bytes).enumerate() {
            let mut altered = bytes.clone();
            let place = *seed as usize / 7 % bytes.len();
            match *seed as usize % 3 == index {
                true if seed % 2 == 0 => altered.truncate(place),
                true => altered[place] ^= 1 << (seed % 8),
                false => {}
            }
            match coder.decode(&altered, job, &run) {
                Ok(_) => {}
                Err(Error::Incompatible { problem }) => {
                    prop_assert!(problem.starts_with("data is not a frame"), "{problem}");
                    break;
                }
                Err(error) => return Err(TestCaseError::fail(format!("{error}"))),
            }
        }
        Ok(())
    });
}
