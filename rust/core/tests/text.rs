//! Models of short strings: every text comes back, and bytes that are no code or no model are refused.
#![allow(missing_docs)]

mod common;

use common::Random;
use fastcodes_core::text::{MAX_TEXT_BYTES, TextModel, Texts};
use fastcodes_core::{Error, Level, Run};

const WORDS: [&str; 24] = [
    "a", "the", "man", "woman", "dog", "horse", "on", "with", "in", "of", "rides", "holds", "eats", "sees",
    "red", "small", "bicycle", "kitchen", "street", "table", "pizza", "umbrella", "field", "sitting",
];

fn serial() -> Run<'static> {
    Run::serial(Level::PORTABLE)
}

/// Strings one after the other.
fn joined<T: AsRef<[u8]>>(strings: &[T]) -> (Vec<u8>, Vec<i64>) {
    let (mut bytes, mut offsets) = (Vec::new(), vec![0]);
    for string in strings {
        bytes.extend_from_slice(string.as_ref());
        offsets.push(bytes.len() as i64);
    }
    (bytes, offsets)
}

/// Sentences in which some words are likelier after others.
fn sentences(n: usize, seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let sentence = |_| {
        let mut word = random.below(WORDS.len());
        let mut sentence = String::from("A");
        for _ in 0..4 + random.below(6) {
            word = (7 * word + 1 + random.below(3)) % WORDS.len();
            sentence += " ";
            sentence += WORDS[word];
        }
        sentence + "."
    };
    (0..n).map(sentence).collect()
}

fn fitted() -> TextModel {
    let (bytes, offsets) = joined(&sentences(2000, 0));
    TextModel::fit(&Texts::new("texts", &bytes, &offsets).unwrap(), TextModel::MIN_BYTES, &serial()).unwrap()
}

/// The codes of strings, each of which is checked to come back.
fn round_trip<T: AsRef<[u8]>>(model: &TextModel, strings: &[T]) -> (Vec<u8>, Vec<i64>) {
    let (bytes, offsets) = joined(strings);
    let texts = Texts::new("texts", &bytes, &offsets).unwrap();
    let (data, ends) = model.encode(&texts, &serial()).unwrap();
    let back = model.decode(&Texts::new("data", &data, &ends).unwrap(), &serial()).unwrap();
    assert_eq!(back, (bytes, offsets));
    (data, ends)
}

#[test]
fn texts_come_back() {
    let model = fitted();
    let mut random = Random::new(1);
    let all: Vec<u8> = (0..=255).collect();
    let mut strings: Vec<Vec<u8>> = vec![
        vec![],
        vec![0],
        vec![0; 100],
        b"A man".to_vec(),
        b" a  man ,, man\0man".to_vec(),
        all.clone(),
        all.into_iter().rev().collect(),
        "Ünïcödé 日本語 😀".into(),
        b"A man on the street. ".repeat(3000),
        random.bytes(70_000),
    ];
    strings.extend((0..200).map(|len| random.bytes(len)));
    strings.extend((0..200).map(|len| random.bytes_of_density(len, 3)));
    strings.extend((0..256).map(|byte| vec![byte as u8]));
    strings.extend(sentences(300, 2).into_iter().map(String::into_bytes));
    round_trip(&model, &strings);
    round_trip::<&[u8]>(&model, &[]);
}

#[test]
fn codes_take_what_their_probabilities_say() {
    let model = fitted();
    let strings = sentences(1000, 3);
    let (data, ends) = round_trip(&model, &strings);
    let (bytes, offsets) = joined(&strings);
    let texts = Texts::new("texts", &bytes, &offsets).unwrap();
    let mut bits = vec![f64::NAN; strings.len()];
    model.bits(&texts, &mut bits, &serial()).unwrap();
    for (bits, ends) in bits.iter().zip(ends.windows(2)) {
        let n_bytes = ends[1] - ends[0];
        assert!(n_bytes as f64 <= (bits / 8.0).ceil() + 1.0 && n_bytes as f64 >= (bits / 8.0).floor() - 4.0);
    }
    // The entropy of a sentence: 4 to 9 words, the first any of 24, the others one of three each.
    let entropy = 6_f64.log2() + 24_f64.log2() + 5.5 * 3_f64.log2();
    let mean = bits.iter().sum::<f64>() / bits.len() as f64;
    assert!((entropy - 0.2..1.04 * entropy).contains(&mean), "{mean}, {entropy}");
    assert!(data.len() < 3 * strings.len(), "{}", data.len());
}

#[test]
fn what_the_model_does_not_expect_grows_little() {
    let model = fitted();
    let mut random = Random::new(4);
    for len in [1, 10, 100, 1000, 10_000] {
        let (data, _) = round_trip(&model, &[random.bytes(len)]);
        assert!(data.len() <= len + len / 1000 + 4, "{len}: {}", data.len());
    }
}

#[test]
fn bits_are_those_of_the_spelled_text_where_these_are_fewer() {
    let model = fitted();
    let bytes = Random::new(4).bytes(10_000);
    let mut bits = [f64::NAN];
    let texts = Texts::new("texts", &bytes, &[0, 10_000]).unwrap();
    model.bits(&texts, &mut bits, &serial()).unwrap();
    // 8 bits and a thousandth for each byte, 8 to say so, 10 to end.
    let spelled = 10_000.0 * (8.0 + (65_536.0_f64 / 65_472.0).log2()) + 18.0;
    assert!((bits[0] - spelled).abs() < 1e-6, "{} and {spelled}", bits[0]);
    let n_bytes = round_trip(&model, &[bytes]).0.len() as f64;
    assert!((bits[0] / 8.0 - 1.0..=(bits[0] / 8.0).ceil() + 1.0).contains(&n_bytes), "{n_bytes}");
}

#[test]
fn codes_do_not_depend_on_threads_levels_or_neighbors() {
    let model = fitted();
    let strings = sentences(333, 5);
    let (bytes, offsets) = joined(&strings);
    let texts = Texts::new("texts", &bytes, &offsets).unwrap();
    let expected = model.encode(&texts, &serial()).unwrap();
    for level in Level::available() {
        for threads in [1, 2, 5] {
            let run = Run::new(level, threads, &|| false);
            assert_eq!(model.encode(&texts, &run).unwrap(), expected);
            let codes = Texts::new("data", &expected.0, &expected.1).unwrap();
            assert_eq!(model.decode(&codes, &run).unwrap().0, bytes);
        }
    }
    for (row, string) in strings.iter().enumerate() {
        let (alone, _) = round_trip(&model, &[string]);
        assert_eq!(alone, expected.0[expected.1[row] as usize..expected.1[row + 1] as usize]);
    }
}

#[test]
fn the_format_is_what_it_was() {
    let model = fitted();
    let (data, ends) = round_trip(&model, &["A small bicycle on the street.", "Xyz?", ""]);
    let codes: Vec<&[u8]> = ends.windows(2).map(|ends| &data[ends[0] as usize..ends[1] as usize]).collect();
    assert_eq!(codes[0], [213, 241, 168, 68, 115, 217, 42, 29]);
    assert_eq!(codes[1], [255, 88, 99, 60, 100, 63, 193]);
    assert_eq!(codes[2], [254, 255, 218]);
    // FNV-1a.
    let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    assert_eq!(model.to_bytes().unwrap().iter().fold(0xCBF2_9CE4_8422_2325, hash), 5_996_018_701_251_919_317);
}

#[test]
fn a_model_is_its_bytes() {
    let model = fitted();
    let bytes = model.to_bytes().unwrap();
    assert_eq!(bytes.len(), model.n_bytes());
    assert!(bytes.len() <= TextModel::MIN_BYTES, "{}", bytes.len());
    let same = TextModel::from_bytes(&bytes).unwrap();
    assert_eq!(same.to_bytes().unwrap(), bytes);
    let strings = sentences(100, 6);
    assert_eq!(round_trip(&model, &strings), round_trip(&same, &strings));
    let again = fitted().to_bytes().unwrap();
    assert_eq!(again, bytes);
}

#[test]
fn damaged_models_are_refused_or_work() {
    let bytes = fitted().to_bytes().unwrap();
    for len in (0..200).chain((200..bytes.len()).step_by(997)) {
        assert!(matches!(TextModel::from_bytes(&bytes[..len]), Err(Error::Incompatible { .. })), "{len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(TextModel::from_bytes(&longer).is_err());
    let (mut random, mut n_refused) = (Random::new(7), 0);
    for _ in 0..3000 {
        let mut altered = bytes.clone();
        // Most of the bytes are cells; what is checked comes before them.
        let end = [2000, bytes.len()][random.below(2)];
        let place = random.below(end);
        altered[place] ^= 1 << random.below(8);
        match TextModel::from_bytes(&altered) {
            Err(error) => {
                n_refused += 1;
                assert!(matches!(error, Error::Incompatible { .. }));
            }
            Ok(model) => _ = round_trip(&model, &["A man on the street.", "xyz"]),
        }
    }
    assert!(n_refused > 300, "{n_refused}");
    // A tree that is one long path would have as many steps as the square of its nodes.
    let start = 24 + u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
    let start = start + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let n_symbols = 257 + u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
    let mut altered = bytes.clone();
    for (node, pair) in altered[start + n_symbols..][..4 * (n_symbols - 1)].chunks_mut(4).enumerate() {
        let next = if node + 2 < n_symbols { node + 1 } else { 0x8000 + n_symbols - 1 };
        pair[..2].copy_from_slice(&(next as u16).to_le_bytes());
        pair[2..].copy_from_slice(&(0x8000 + node as u16).to_le_bytes());
    }
    assert!(TextModel::from_bytes(&altered).err().unwrap().to_string().contains("the code is wrong"));
    for field in [8, 12, 16] {
        let mut altered = bytes.clone();
        altered[field..field + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(TextModel::from_bytes(&altered).is_err());
    }
}

#[test]
fn bytes_that_are_no_code_are_refused_or_are_another_text() {
    let model = fitted();
    let (data, ends) = round_trip(&model, &sentences(500, 8));
    let decodes = |code: &[u8]| {
        let codes = Texts::new("data", code, &[0, code.len() as i64]).unwrap();
        match model.decode(&codes, &serial()) {
            Ok(_) => true,
            Err(Error::Value { name: "data", .. }) => false,
            Err(other) => panic!("{other}"),
        }
    };
    let (mut n_longer, mut random) = (0, Random::new(9));
    for ends in ends.windows(2) {
        let code = &data[ends[0] as usize..ends[1] as usize];
        for len in 0..code.len() {
            decodes(&code[..len]);
        }
        n_longer += usize::from(decodes(&[code, &[1]].concat()));
        assert!(!decodes(&[code, &[0]].concat()), "zeros at the end are left out");
    }
    assert!(n_longer < 10, "{n_longer}");
    for len in 0..300 {
        decodes(&random.bytes(len));
        decodes(&vec![0xFF; len]);
        decodes(&vec![0; len]);
    }
}

#[test]
fn arguments_are_checked() {
    let model = fitted();
    for offsets in [&[][..], &[1, 0], &[0, 6], &[-1], &[0, 3, 2]] {
        assert!(Texts::new("texts", b"abcde", offsets).is_err());
    }
    let texts = Texts::new("texts", b"abc", &[0, 3]).unwrap();
    for model_bytes in [0, TextModel::MIN_BYTES - 1, TextModel::MAX_BYTES + 1] {
        assert!(matches!(TextModel::fit(&texts, model_bytes, &serial()), Err(Error::Range { .. })));
    }
    let none = Texts::new("texts", b"", &[0]).unwrap();
    assert!(matches!(TextModel::fit(&none, 1 << 20, &serial()), Err(Error::Range { name: "texts", .. })));
    assert!(model.bits(&texts, &mut [], &serial()).is_err());
    let long = vec![b'a'; MAX_TEXT_BYTES + 1];
    let long = Texts::new("texts", &long, &[0, long.len() as i64]).unwrap();
    assert!(matches!(model.encode(&long, &serial()), Err(Error::Value { name: "texts", .. })));
}

#[test]
fn odd_training_texts_make_models() {
    let mut random = Random::new(10);
    let cases: Vec<Vec<Vec<u8>>> = vec![
        vec![vec![]],
        vec![b"a".to_vec()],
        vec![b"abab ".repeat(5000)],
        vec![random.bytes(5000), random.bytes(5000)],
        (0..256).map(|byte| vec![byte as u8; 9]).collect(),
        vec!["日本語".into(); 100],
    ];
    for strings in cases {
        let (bytes, offsets) = joined(&strings);
        let texts = Texts::new("texts", &bytes, &offsets).unwrap();
        let model = TextModel::fit(&texts, TextModel::MIN_BYTES, &serial()).unwrap();
        let model = TextModel::from_bytes(&model.to_bytes().unwrap()).unwrap();
        round_trip(&model, &strings);
        round_trip(&model, &sentences(20, 11));
    }
}

#[test]
fn a_long_fit_and_a_long_call_can_be_interrupted() {
    let (bytes, offsets) = joined(&sentences(20_000, 12));
    let texts = Texts::new("texts", &bytes, &offsets).unwrap();
    let stop = Run::new(Level::PORTABLE, 1, &|| true);
    assert_eq!(TextModel::fit(&texts, 1 << 20, &stop).err(), Some(Error::Interrupted));
    assert_eq!(fitted().encode(&texts, &stop).err(), Some(Error::Interrupted));
}
