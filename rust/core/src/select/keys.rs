//! Unsigned integers that sort like float32 distances, for [`TopK`](super::top_k::TopK).

/// A key that sorts like the value, which is never minus zero or NaN.
pub(crate) fn key(value: f32) -> u32 {
    let bits = value.to_bits();
    if value.is_sign_negative() { !bits } else { bits | 1 << 31 }
}

/// The lowest key beyond a radius; 0 if that is NaN.
pub(crate) fn beyond(radius: f32) -> u32 {
    // No distance is minus zero; a radius may be.
    if radius.is_nan() { 0 } else { key(radius + 0.0).saturating_add(1) }
}

/// The value that a key stands for.
pub(crate) fn value_of(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 0 { !key } else { key & !(1 << 31) })
}

/// The largest value with a key below this, if there is one.
pub(crate) fn largest(below: u32) -> Option<f32> {
    match below {
        u32::MAX => Some(f32::INFINITY),
        _ => below.checked_sub(1).map(value_of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_like_values() {
        let values = [f32::NEG_INFINITY, f32::MIN, -1.0, -1e-45, 0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY];
        assert!(values.map(key).is_sorted());
        assert!(values.iter().all(|value| value_of(key(*value)).to_bits() == value.to_bits()));
        assert_eq!((largest(0), largest(u32::MAX)), (None, Some(f32::INFINITY)));
        assert_eq!(largest(key(1.0) + 1), Some(1.0));
    }
}
