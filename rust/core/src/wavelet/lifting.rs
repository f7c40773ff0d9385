//! The lifting steps of each transform.

/// A wavelet transform: steps 0, 2, ... change the high samples by the low ones beside them, steps 1, 3, ... the low by the high.
pub trait Lifting {
    /// What it transforms.
    type Sample: Copy + Default;

    /// How many steps there are.
    const N_STEPS: usize;

    /// Changes each sample by those on its left and on its right, or undoes that.
    fn lift(
        step: usize,
        inverse: bool,
        samples: &mut [Self::Sample],
        left: &[Self::Sample],
        right: &[Self::Sample],
    );

    /// Copies LL with its gain (`up`), HH with the inverse one, or the other way round to undo that.
    fn scale(to: &mut [Self::Sample], from: &[Self::Sample], up: bool);
}

/// The 9/7, in float32.
pub struct NineSeven;

impl NineSeven {
    /// ITU-T T.800, table F.4.
    const STEPS: [f32; 4] = [-1.586_134_3, -0.052_980_12, 0.882_911_1, 0.443_506_85];

    /// 2 / K^2 for K = 1.230174...: bands HL and LH need no gain.
    pub(super) const LOW: f32 = 1.321_590_3;

    /// K^2 / 2.
    const HIGH: f32 = 0.756_664_16;
}

impl Lifting for NineSeven {
    type Sample = f32;

    const N_STEPS: usize = 4;

    #[inline]
    fn lift(step: usize, inverse: bool, samples: &mut [f32], left: &[f32], right: &[f32]) {
        let factor = if inverse { -Self::STEPS[step] } else { Self::STEPS[step] };
        for ((sample, left), right) in samples.iter_mut().zip(left).zip(right) {
            *sample += factor * (left + right);
        }
    }

    #[inline]
    fn scale(to: &mut [f32], from: &[f32], up: bool) {
        let factor = if up { Self::LOW } else { Self::HIGH };
        to.iter_mut().zip(from).for_each(|(to, from)| *to = factor * from);
    }
}

/// The 5/3, in integers. It has no gain.
pub struct FiveThree;

impl Lifting for FiveThree {
    type Sample = i32;

    const N_STEPS: usize = 2;

    #[inline]
    fn lift(step: usize, inverse: bool, samples: &mut [i32], left: &[i32], right: &[i32]) {
        // Wrapping, since altered bytes can decode to anything.
        let change = |left: i32, right: i32| match step {
            0 => -(left.wrapping_add(right) >> 1),
            _ => left.wrapping_add(right).wrapping_add(2) >> 2,
        };
        for ((sample, left), right) in samples.iter_mut().zip(left).zip(right) {
            let change = change(*left, *right);
            *sample = sample.wrapping_add(if inverse { change.wrapping_neg() } else { change });
        }
    }

    fn scale(to: &mut [i32], from: &[i32], _up: bool) {
        to.copy_from_slice(from);
    }
}
