//! Models of short strings: every text comes back with every model, and any bytes are decoded or refused.

use fastcodes_core::text::{TextModel, Texts};
use fastcodes_core::{Level, Run};
use proptest::prelude::*;

use crate::fuzz;

fn joined(strings: &[Vec<u8>]) -> (Vec<u8>, Vec<i64>) {
    let mut offsets = vec![0];
    offsets.extend(strings.iter().scan(0, |end, string| {
        *end += string.len() as i64;
        Some(*end)
    }));
    (strings.concat(), offsets)
}

#[test]
fn texts_come_back() {
    let string =
        prop_oneof!["[ab ]{0,40}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..50)];
    let strings = prop::collection::vec(string, 1..30);
    fuzz(
        (strings.clone(), strings, 1usize..4, any::<usize>(), any::<u8>()),
        |(seen, others, threads, place, xor)| {
            let run = &Run::new(Level::PORTABLE, *threads, &|| false);
            let (bytes, offsets) = joined(seen);
            let seen = Texts::new("texts", &bytes, &offsets).unwrap();
            let model = TextModel::fit(&seen, TextModel::MIN_BYTES, run).unwrap();
            let mut file = model.to_bytes().unwrap();
            let model = TextModel::from_bytes(&file).unwrap();
            let (bytes, offsets) = joined(others);
            let (mut data, ends) =
                model.encode(&Texts::new("texts", &bytes, &offsets).unwrap(), run).unwrap();
            let back = model.decode(&Texts::new("data", &data, &ends).unwrap(), run).unwrap();
            prop_assert_eq!(back, (bytes.clone(), offsets.clone()));
            if !data.is_empty() {
                let place = place % data.len();
                data[place] ^= xor;
                _ = model.decode(&Texts::new("data", &data, &ends).unwrap(), run);
            }
            let place = place % file.len();
            file[place] ^= xor;
            if let Ok(model) = TextModel::from_bytes(&file) {
                let texts = Texts::new("texts", &bytes, &offsets).unwrap();
                let (data, ends) = model.encode(&texts, run).unwrap();
                let back = model.decode(&Texts::new("data", &data, &ends).unwrap(), run).unwrap();
                prop_assert_eq!(back, (bytes, offsets));
            }
            Ok(())
        },
    );
}
